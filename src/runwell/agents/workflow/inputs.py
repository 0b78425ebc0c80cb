"""What the agent of a step is given.

An agent that takes a plain prompt gets text, any other gets JSON. Without a prompt of its own a step
passes on what comes in; with one, it gets the prompt and all that it needs to follow it:

    | the step has        | text                                 | JSON                            |
    |---------------------|--------------------------------------|---------------------------------|
    | no prompt, nothing before it  | the run's input            | the run's input                 |
    | no prompt, one step before it | that step's output         | that step's output              |
    | no prompt, several            | their outputs, headed      | {"<id>": <output>, …}           |
    | a prompt                      | the prompt, "Input:" and   | {"prompt": …, "input": …,       |
    |                               | the outputs, headed        |  "outputs": {"<id>": …}}        |
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from runwell.domain.agent import TEXT_INPUT, WorkflowStep
from runwell.domain.json_gate import JsonValue
from runwell.domain.prompt import text_of
from runwell.ports.agent import Agent

Outputs = Sequence[tuple[WorkflowStep, JsonValue]]
"""What the steps before brought, in the order in which the step names them."""


def input_of(step: WorkflowStep, agent: Agent, run_input: Any, outputs: Outputs) -> JsonValue:
    """The input of the step's agent. Pure: a later attempt gives the same."""
    if bytes(agent.spec.input_schema) == bytes(TEXT_INPUT):
        return _text(step, run_input, outputs)
    return _value(step, run_input, outputs)


def _value(step: WorkflowStep, run_input: Any, outputs: Outputs) -> JsonValue:
    by_id = {before.id: output for before, output in outputs}
    if step.prompt:
        return {"prompt": step.prompt, "input": run_input, "outputs": by_id}
    if len(outputs) > 1:
        return by_id
    return outputs[0][1] if outputs else run_input


def _text(step: WorkflowStep, run_input: Any, outputs: Outputs) -> JsonValue:
    if not step.prompt and not outputs:
        return None if run_input is None else _words_of_input(run_input)
    if not step.prompt and len(outputs) == 1:
        return _words(outputs[0][1])
    parts = [step.prompt] if step.prompt else []
    if step.prompt and run_input is not None:
        parts.append(f"Input:\n{_words_of_input(run_input)}")
    parts.extend(f"Output of {before.name}:\n{_words(output)}" for before, output in outputs)
    return "\n\n".join(parts)


def _words_of_input(value: Any) -> str:
    """Its text, in the forms clients send a prompt; else the value as JSON."""
    text = text_of(value)
    return text if text is not None else _words(value)


def _words(value: Any) -> str:
    """A string as it is, all else as JSON: an output with a text in it may hold more than that."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
