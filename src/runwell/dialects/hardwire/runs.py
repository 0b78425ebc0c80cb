"""A workflow run as it is shown: what it is, and each step of its plan, also those that have not begun.

The same picture is made from what the store keeps and, event by event, from the log: see `fold`.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, assert_never

from runwell.dialects.hardwire.words import State
from runwell.domain.agent import ModelAgent, WorkflowAgent, WorkflowStep
from runwell.domain.instant import Instant
from runwell.domain.json_gate import Json
from runwell.domain.run import Run, RunStatus
from runwell.domain.step import Step, StepKind, StepStatus
from runwell.domain.workflow import plan_of


class Planned(NamedTuple):
    """A step that is to be done. `tool` is what does it, in one word."""

    id: str
    name: str
    tool: str


Plan = tuple[Planned, ...]
"""All steps of a workflow, in the order in which they become possible; empty where it is not known."""


class ToolUse(NamedTuple):
    """A tool that was used within a step."""

    id: str
    name: str
    state: State
    output: Json | None


class StepView(NamedTuple):
    """A step. One that has not begun has no times; `error` is a sentence."""

    id: str
    name: str
    state: State
    started_at: Instant | None
    completed_at: Instant | None
    output: Json | None = None
    error: str | None = None
    tools: tuple[ToolUse, ...] = ()


class Facts(NamedTuple):
    """What a run is by now, apart from its steps."""

    status: RunStatus
    created_at: Instant
    started_at: Instant | None = None
    finished_at: Instant | None = None
    output: Json | None = None
    error: str | None = None


class RunView(NamedTuple):
    """A workflow run. `trigger` is the id of the message that started it; the others are ids as kept."""

    id: str
    chat: str
    workflow: str
    trigger: str
    facts: Facts
    steps: tuple[StepView, ...]


def facts_of(run: Run) -> Facts:
    error = run.error.message if run.error is not None else None
    return Facts(run.status, run.created_at, run.started_at, run.finished_at, run.output, error)


def plan_for(workflow: WorkflowAgent) -> Plan:
    return tuple(Planned(step.id, step.name, tool_word(step)) for step in plan_of(workflow))


def tool_word(step: WorkflowStep) -> str:
    """What does the step: its agent, which may be a tool; else its first tool, else its model."""
    if step.agent is not None:
        return step.agent
    if step.tools:
        return step.tools[0]
    return step.model.model if isinstance(step.model, ModelAgent) else "model"


def plan_id(key: str) -> str:
    """The step of the plan that a key belongs to: keys of steps within it begin with its own."""
    return key.partition("/")[0]


def steps_shown(plan: Plan, steps: Iterable[Step], facts: Facts) -> tuple[StepView, ...]:
    """The steps of the plan; without one, the steps of the run that are in no other, as they began."""
    begun: dict[str, Step] = {}
    tools: dict[str, list[Step]] = {}
    for step in steps:
        if step.key == plan_id(step.key) and step.parent is None:
            begun[step.key] = step
        elif step.kind is StepKind.TOOL:
            tools.setdefault(plan_id(step.key), []).append(step)
    listed = plan or tuple(Planned(step.key, step.name, step.name) for step in begun.values())
    return tuple(_shown(each, begun.get(each.id), tools.get(each.id, ()), facts) for each in listed)


def _shown(planned: Planned, step: Step | None, tools: Sequence[Step], facts: Facts) -> StepView:
    state = state_of(step, facts.status)
    if step is None or state is State.PENDING:
        return StepView(planned.id, planned.name, state, None, None)
    ended = state is not State.RUNNING
    error = None
    if state is State.FAILED:
        error = step.error.message if step.error is not None else facts.error
    return StepView(
        id=planned.id,
        name=planned.name,
        state=state,
        started_at=step.started_at,
        completed_at=(step.finished_at or facts.finished_at) if ended else None,
        output=step.output,
        error=error,
        tools=tuple(
            ToolUse(tool.key, tool.name, state_of(tool, facts.status), tool.output) for tool in tools
        ),
    )


def state_of(step: Step | None, status: RunStatus) -> State:
    """A step that was under way when its worker vanished is begun again: it is pending until then."""
    if step is not None and step.status is not StepStatus.RUNNING:
        return State.COMPLETED if step.status is StepStatus.FINISHED else State.FAILED
    match status:
        case RunStatus.QUEUED:
            return State.PENDING
        case RunStatus.RUNNING | RunStatus.WAITING:
            return State.PENDING if step is None else State.RUNNING
        case RunStatus.FAILED:
            return State.PENDING if step is None else State.FAILED
        case RunStatus.SUCCEEDED | RunStatus.CANCELLED:
            return State.CANCELLED
    assert_never(status)
