"""A workflow run from its log, event by event: the same picture as the store's."""

from collections.abc import Callable
from typing import Any, assert_never

from msgspec.structs import replace

from runwell.dialects.hardwire.runs import Facts, Plan, StepView, steps_shown
from runwell.domain.events import (
    AttemptFailed,
    AttemptHandedBack,
    AttemptLost,
    AttemptStarted,
    Event,
    LoggedEvent,
    MessageAdded,
    OutputRestarted,
    ProgressNoted,
    ReasoningDelta,
    RunCancelled,
    RunCancelRequested,
    RunCreated,
    RunFailed,
    RunResumed,
    RunSucceeded,
    RunWaiting,
    StepEvent,
    StepFailed,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCalled,
    ToolReturned,
    UsageCounted,
)
from runwell.domain.instant import Instant
from runwell.domain.run import RunStatus
from runwell.domain.step import Step, StepStatus


class RunFold:
    """Takes the lines of a log in order; `facts` and `steps` are the run after the last one."""

    def __init__(self) -> None:
        self.facts = Facts(RunStatus.QUEUED, 0)
        self.steps: dict[str, Step] = {}

    def shown(self, plan: Plan) -> tuple[StepView, ...]:
        return steps_shown(plan, self.steps.values(), self.facts)

    def take(self, line: LoggedEvent, event: Event) -> None:
        match event:
            case RunCreated():
                self._create(line.at, event)
            case AttemptStarted():
                begun = self.facts.started_at
                self._now(RunStatus.RUNNING, started_at=line.at if begun is None else begun)
            case AttemptFailed() | AttemptLost() | AttemptHandedBack() | RunResumed():
                self._now(RunStatus.QUEUED)
            case RunWaiting():
                self._now(RunStatus.WAITING)
            case RunSucceeded():
                self._now(RunStatus.SUCCEEDED, finished_at=line.at, output=event.output)
            case RunFailed():
                self._now(RunStatus.FAILED, finished_at=line.at, error=event.error.message)
            case RunCancelled():
                self._now(RunStatus.CANCELLED, finished_at=line.at)
            case StepStarted() | StepFinished() | StepFailed():
                self._step(line.at, event)
            case (
                RunCancelRequested() | TextDelta() | ReasoningDelta() | MessageAdded() | ToolCalled()
                | ToolReturned() | ProgressNoted() | UsageCounted() | OutputRestarted()
            ):  # fmt: skip
                return
            case _:
                assert_never(event)

    def _create(self, at: Instant, event: RunCreated) -> None:
        self.facts = Facts(RunStatus.QUEUED, at)
        for step in event.steps:
            self.steps[step.key] = Step(
                key=step.key, name=step.name, kind=step.kind, status=StepStatus.FINISHED, attempt=0,
                started_at=at, finished_at=at, parent=step.parent, output=step.output, inherited=True,
            )  # fmt: skip

    def _now(self, status: RunStatus, **changed: Any) -> None:
        self.facts = self.facts._replace(status=status, **changed)

    def _step(self, at: Instant, event: StepEvent) -> None:
        said: Callable[..., Step] = _new(event, at)
        match event:
            case StepStarted():
                step = said(status=StepStatus.RUNNING, started_at=at)
            case StepFinished():
                step = said(
                    status=StepStatus.FINISHED, started_at=event.started_at, finished_at=at,
                    output=event.output,
                )  # fmt: skip
            case StepFailed():
                step = said(
                    status=StepStatus.FAILED, started_at=event.started_at, finished_at=at, error=event.error
                )
            case _:
                assert_never(event)
        # One that is begun again keeps its place.
        self.steps[event.key] = step


def _new(event: StepEvent, at: Instant) -> Callable[..., Step]:
    bare = Step(
        key=event.key, name=event.name, kind=event.kind, status=StepStatus.RUNNING, attempt=0,
        started_at=at, parent=event.parent,
    )  # fmt: skip
    return lambda **fields: replace(bare, **fields)
