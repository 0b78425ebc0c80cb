"""Who does the steps of a workflow."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from runwell.agents.model import ModelRunner, Tools
from runwell.domain.agent import ModelAgent, WorkflowAgent, WorkflowStep
from runwell.ports.agent import Agent, Reach


@dataclass(frozen=True, slots=True)
class Crew:
    """The agents and tools that this process serves; `default` does what names nobody."""

    agents: Mapping[str, Agent] = field(default_factory=dict)
    tools: Tools = field(default_factory=dict)
    default: str | None = None
    workflows: frozenset[str] = frozenset()
    """Names of agents that are workflows themselves: they do no steps of others."""
    reach: Reach | None = None
    """For models of steps, see `ModelRunner`."""


class Miscast(Exception):
    """Nobody here can do a step. `path` is the step's place: `$.steps[2].agent`."""

    def __init__(self, path: str, fault: str, hint: str) -> None:
        super().__init__(fault)
        self.path = path
        self.fault = fault
        self.hint = hint


def cast(workflow: WorkflowAgent, own: Mapping[str, Agent], crew: Crew) -> dict[str, Agent]:
    """The agent of each step, by the step's id. `own` are those that the workflow brings along.

    Raises `Miscast` at the first step that nobody can do.
    """
    return {
        step.id: own.get(step.id) or _agent(step, workflow.model, crew, f"$.steps[{place}]")
        for place, step in enumerate(workflow.steps)
    }


def _agent(step: WorkflowStep, otherwise: ModelAgent | None, crew: Crew, path: str) -> Agent:
    model = step.model if step.model is not None else None if step.agent else otherwise
    if model is not None:
        return _asking(step, model, crew, path)
    name = step.agent or crew.default
    if name is None:
        raise Miscast(
            path,
            f"step {step.id!r} names neither an agent nor a model, and no agent is served",
            "Give it an `agent`, or the workflow a `model`.",
        )
    if step.tools:
        raise Miscast(
            f"{path}.tools",
            f"step {step.id!r} has tools, and the agent {name!r} does it, which brings its own",
            "Tools are for steps that a model does: leave them out, or name a `model`.",
        )
    return _served(step, name, crew, path)


def _asking(step: WorkflowStep, model: ModelAgent, crew: Crew, path: str) -> Agent:
    """An agent of a model and instructions, with the step's tools beside the model's own."""
    for number, tool in enumerate(step.tools):
        if tool not in crew.tools:
            known = ", ".join(crew.tools) or "there is none"
            raise Miscast(
                f"{path}.tools[{number}]",
                f"step {step.id!r} uses the tool {tool!r}, which is not served",
                f'Serve a function with @agent(kind="tool", name={tool!r}); tools now: {known}.',
            )
    tools = tuple(dict.fromkeys((*model.tools, *step.tools)))
    made = replace(model, tools=tools)
    return ModelRunner(step.agent or step.id, made, tools=crew.tools, reach=crew.reach)


def _served(step: WorkflowStep, name: str, crew: Crew, path: str) -> Agent:
    if name in crew.workflows:
        raise Miscast(
            f"{path}.agent",
            f"step {step.id!r} names the agent {name!r}, which is a workflow itself",
            "Put its steps into this one.",
        )
    agent = crew.agents.get(name)
    if agent is None:
        known = ", ".join(crew.agents) or "there is none"
        raise Miscast(
            f"{path}.agent",
            f"step {step.id!r} names the agent {name!r}, which is not served",
            f"Serve it, or name another; agents now: {known}.",
        )
    return agent
