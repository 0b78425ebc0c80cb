"""Workflows written in Python: `workflow("report", steps=[step("search", agent=searcher), …])`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from runwell.agents.python import PythonAgent, UnusableFunction
from runwell.agents.python.function import check_settings
from runwell.agents.recognise import as_agent
from runwell.agents.workflow.runner import WorkflowRunner
from runwell.domain.agent import ModelAgent, WorkflowAgent, WorkflowStep
from runwell.domain.workflow import check_workflow
from runwell.ports.agent import Agent


class StepInCode(NamedTuple):
    """A step, and the agent that it brings along."""

    step: WorkflowStep
    agent: Agent | None


def step(
    id: str,
    *,
    agent: Any = None,
    prompt: str = "",
    after: Sequence[str] | None = None,
    model: ModelAgent | str | None = None,
    tools: Sequence[str | PythonAgent[..., Any]] = (),
    name: str | None = None,
) -> StepInCode:
    """One step of a `workflow`; `id` is its key among the run's steps, `name` what people see.

    `agent` does it: a decorated function, an agent object of a framework, or the name of a served
    agent. Without one it is `model` (a `ModelAgent`, or a model's name), else the workflow's, else the
    default agent. `tools` go to the model: functions decorated with `@agent(kind="tool")`, or their
    names. `after` are ids of the steps it waits for; an empty list means none, and no `after` at any
    step means: one after the other. Raises `UnusableFunction` for what is no agent.
    """
    brought, called = _agent(id, agent)
    if called is not None and model is not None:
        raise ValueError(f"step {id!r} names an agent and a model: leave one of them out")
    made = WorkflowStep(
        id=id,
        name=id if name is None else name,
        prompt=prompt,
        agent=called,
        model=_model(model),
        tools=tuple(tool if isinstance(tool, str) else tool.name for tool in tools),
        depends_on=None if after is None else _ids(id, after),
    )
    return StepInCode(made, brought)


def workflow(
    name: str,
    *,
    steps: Sequence[StepInCode],
    model: ModelAgent | str | None = None,
    description: str = "",
    retries: int = 0,
    timeout: float | None = None,
    concurrency: int | None = None,
) -> WorkflowRunner:
    """An agent made of steps, to be served from the module in which it has a name.

    `model` does the steps that name nobody. `retries` is how often a failure is tried again (finished
    steps stay finished), `timeout` (s) how long a run may work, `concurrency` how many run at once.
    Raises `InvalidInput` for steps that are no plan, `ValueError` for a setting.
    """
    check_settings(name, retries, timeout, concurrency)
    definition = WorkflowAgent(steps=tuple(each.step for each in steps), model=_model(model))
    check_workflow(definition)
    return WorkflowRunner(
        name,
        definition,
        description=description,
        retries=retries,
        timeout=timeout,
        concurrency=concurrency,
        own={each.step.id: each.agent for each in steps if each.agent is not None},
    )


def _agent(id: str, given: Any) -> tuple[Agent | None, str | None]:
    """The agent to bring along, and what it is called."""
    if given is None or isinstance(given, str):
        return None, given
    found = as_agent(given, id)
    if found is None:
        raise UnusableFunction(f"step {id!r}: {given!r} is no agent; put @agent on a function, or name one")
    if isinstance(found, WorkflowRunner):
        raise UnusableFunction(
            f"step {id!r}: {found.name!r} is a workflow itself; put its steps into this one"
        )
    # A function's types are looked at when the module is complete, not while it is being read.
    return found, found.name if isinstance(found, PythonAgent) else found.spec.name


def _model(given: ModelAgent | str | None) -> ModelAgent | None:
    return ModelAgent(model=given) if isinstance(given, str) else given


def _ids(id: str, after: Sequence[str]) -> tuple[str, ...]:
    if isinstance(after, str):
        raise TypeError(f"step {id!r}: after is a list of ids, such as [{after!r}]")
    return tuple(after)
