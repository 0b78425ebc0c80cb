"""A workflow run as server-sent events: a pure fold over its log, in either form of the API.

docs   run_started, then step_started … step_progress … step_completed or step_failed for each step,
       and at last run_completed or run_failed
app    a snapshot of the whole whenever it has changed, and at last complete
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import msgspec

from runwell.dialects.hardwire.fold import RunFold
from runwell.dialects.hardwire.runs import Facts, Plan, Planned, RunView, StepView, plan_id
from runwell.dialects.hardwire.words import CANCELLED, DELETED, State, run_state
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
    StepFailed,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCalled,
    ToolReturned,
    UsageCounted,
)
from runwell.domain.ids import spell_uuid
from runwell.domain.json_gate import Json
from runwell.stream.frames import FrameWriter

_ENCODE = msgspec.json.Encoder().encode


def frame(type: str, **fields: Any) -> bytes:
    return b"data: %b\n\n" % _ENCODE({"type": type, **fields})


def result_object(output: Json | None) -> Any:
    """A step's output; what is no object is put into one."""
    if output is not None and bytes(output).lstrip()[:1] == b"{":
        return output
    return {"output": output}


class DocsRunFrames(FrameWriter):
    """A later attempt goes on where the earlier one was: nothing begins twice, unless it had failed."""

    SILENT = frozenset(
        {
            RunWaiting, RunResumed, RunCancelRequested, AttemptFailed, AttemptLost, AttemptHandedBack,
            TextDelta, ReasoningDelta, MessageAdded, ToolCalled, ToolReturned, UsageCounted, OutputRestarted,
        }
    )  # fmt: skip

    def __init__(self, run_id: str, workflow_id: str, plan: Plan) -> None:
        self.ended = False
        self._run = spell_uuid(run_id)
        self._workflow = spell_uuid(workflow_id)
        self._plan: dict[str, Planned] = {step.id: step for step in plan}
        self._begun = False
        self._open: set[str] = set()
        self._shares: dict[str, float] = {}
        """How far each step is, from 0 to 1."""
        self._inherited: list[tuple[str, str, Json]] = []

    def give_up(self) -> list[bytes]:
        """The way out when the log is gone in the middle: the run was deleted while it was watched."""
        return self._fail(DELETED)

    def run_created(self, line: LoggedEvent, event: RunCreated) -> list[bytes]:
        for step in event.steps:
            if self._tells(step.key, step.parent):
                self._inherited.append((step.key, step.name, step.output))
        return []

    def attempt_started(self, line: LoggedEvent, event: AttemptStarted) -> list[bytes]:
        if self._begun:
            return []
        self._begun = True
        told = [frame("run_started", runId=self._run, workflowId=self._workflow)]
        for key, name, output in self._inherited:
            told += [*self._begin(key, name), *self._complete(key, output)]
        return told

    def step_started(self, line: LoggedEvent, event: StepStarted) -> list[bytes]:
        return self._begin(event.key, event.name) if self._tells(event.key, event.parent) else []

    def step_finished(self, line: LoggedEvent, event: StepFinished) -> list[bytes]:
        if not self._tells(event.key, event.parent):
            return []
        return [*self._begin(event.key, event.name), *self._complete(event.key, event.output)]

    def step_failed(self, line: LoggedEvent, event: StepFailed) -> list[bytes]:
        if not self._tells(event.key, event.parent):
            return []
        told = self._begin(event.key, event.name)
        self._open.discard(event.key)
        self._shares.pop(event.key, None)
        return [*told, frame("step_failed", stepId=event.key, error=event.error.message)]

    def output_progress_noted(self, line: LoggedEvent, event: ProgressNoted) -> list[bytes]:
        """What a step's agent notes of itself reaches the log as progress of the whole: see
        `agents.workflow`. The step's own share is what the others leave."""
        step = plan_id(event.in_step or "")
        if step not in self._open:
            return []
        known = self._shares.get(step, 0.0)
        if event.progress.percent is not None:
            others = sum(share for id, share in self._shares.items() if id != step)
            share = event.progress.percent * max(len(self._plan), 1) / 100 - others
            known = self._shares[step] = max(known, min(share, 1.0))
        name = self._plan[step].name if step in self._plan else step
        words = event.progress.step or ""
        message = words.removeprefix(f"{name}: ") if words != name else ""
        return [frame("step_progress", stepId=step, progress=round(known * 100), message=message)]

    def run_succeeded(self, line: LoggedEvent, event: RunSucceeded) -> list[bytes]:
        self.ended = True
        return [frame("run_completed", runId=self._run, status=State.COMPLETED)]

    def run_failed(self, line: LoggedEvent, event: RunFailed) -> list[bytes]:
        return self._fail(event.error.message)

    def run_cancelled(self, line: LoggedEvent, event: RunCancelled) -> list[bytes]:
        """There is no frame for this; to say `run_completed` would look like success."""
        return self._fail(CANCELLED)

    def _tells(self, key: str, parent: str | None) -> bool:
        outer = parent is None and key == plan_id(key)
        return outer and (key in self._plan or not self._plan)

    def _begin(self, key: str, name: str) -> list[bytes]:
        if key in self._open:
            return []
        self._open.add(key)
        tool = self._plan[key].tool if key in self._plan else name
        return [frame("step_started", stepId=key, toolId=tool)]

    def _complete(self, key: str, output: Json | None) -> list[bytes]:
        self._open.discard(key)
        self._shares[key] = 1.0
        return [frame("step_completed", stepId=key, result=result_object(output))]

    def _fail(self, error: str) -> list[bytes]:
        self.ended = True
        return [frame("run_failed", runId=self._run, error=error)]


def docs_frames_without_log(view: RunView, plan: Plan) -> bytes:
    """An ended run whose log was pruned: its steps as the store has them, and its end."""
    run, tools = spell_uuid(view.id), {step.id: step.tool for step in plan}
    told = [frame("run_started", runId=run, workflowId=spell_uuid(view.workflow))]
    for step in view.steps:
        if step.started_at is None:
            continue
        told.append(frame("step_started", stepId=step.id, toolId=tools.get(step.id, step.name)))
        if step.state is State.COMPLETED:
            told.append(frame("step_completed", stepId=step.id, result=result_object(step.output)))
        elif step.state is State.FAILED:
            told.append(frame("step_failed", stepId=step.id, error=step.error or ""))
    state = run_state(view.facts.status)
    if state is State.COMPLETED:
        told.append(frame("run_completed", runId=run, status=state))
    else:
        error = CANCELLED if state is State.CANCELLED else view.facts.error or ""
        told.append(frame("run_failed", runId=run, error=error))
    return b"".join(told)


ShowSnapshot = Callable[[Facts, tuple[StepView, ...]], bytes]
"""The frame of a run as it is; `stream` binds it to one run."""


class AppRunFrames(FrameWriter):
    """A frame holds all there is, so that the last one is enough."""

    SILENT: ClassVar[frozenset[type[Event]]] = frozenset(
        {
            RunCancelRequested, TextDelta, ReasoningDelta, MessageAdded, ToolCalled, ToolReturned,
            ProgressNoted, UsageCounted, OutputRestarted,
        }
    )  # fmt: skip

    def __init__(self, plan: Plan, snapshot: ShowSnapshot, complete: Callable[[Facts], bytes]) -> None:
        self.ended = False
        self._plan = plan
        self._snapshot = snapshot
        self._complete = complete
        self._fold = RunFold()
        self._last = b""

    def _take(self, line: LoggedEvent, event: Event) -> Iterable[bytes]:
        self._fold.take(line, event)
        facts = self._fold.facts
        shown = self._snapshot(facts, self._fold.shown(self._plan))
        told = [] if shown == self._last else [shown]
        self._last = shown
        if facts.finished_at is not None:
            self.ended = True
            told.append(self._complete(facts))
        return told

    run_created = run_waiting = run_resumed = _take
    run_succeeded = run_failed = run_cancelled = _take
    attempt_started = attempt_failed = attempt_lost = attempt_handed_back = _take
    step_started = step_finished = step_failed = _take
