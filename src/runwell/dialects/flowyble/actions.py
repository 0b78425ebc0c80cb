"""What a run has done, as this API tells it: one step for each tool call. A pure fold over the log.

An action is a step of kind tool, code or workflow, or a tool call that an agent noted without a step.
A model request is none, but the actions it led to carry its number, its reasoning and its tokens.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from runwell.dialects.flowyble import bodies
from runwell.dialects.flowyble.words import json_word, milliseconds
from runwell.domain import json_gate
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
from runwell.domain.instant import Instant
from runwell.domain.json_gate import Json
from runwell.domain.run import RunError
from runwell.domain.step import Step, StepKind

Key = str | None


@dataclass(slots=True)
class _Request:
    """A model request. `number` counts those of the run from 1."""

    number: int
    reasoning: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    input_tokens: int = 0
    output_tokens: int = 0
    finished: bool = False

    def why(self) -> str:
        """What it thought; the words beside its tool calls, of a model that does not think aloud."""
        return "".join(self.reasoning or self.text)


@dataclass(slots=True)
class _Action:
    name: str
    request: _Request | None
    started_at: Instant
    said_in: Key
    step: Key
    """The key of the step that this is; None for a call that is only noted."""
    call_id: str | None = None
    input: Json | None = None
    output: Json | None = None
    result: Json | None = None
    ended_at: Instant | None = None
    finished: bool = False


class Actions:
    """Give it a run's log in order, from the first line."""

    def __init__(self) -> None:
        self._requests: dict[str, _Request] = {}
        self._newest: dict[Key, _Request] = {}
        """By parent: the request that was begun last among the same step's children."""
        self._steps: dict[str, _Action] = {}
        self._actions: list[_Action] = []
        self._finished: set[Key] = set()

    def add(self, line: LoggedEvent) -> None:
        event: Event = line.event
        match event:
            case RunCreated():
                self._inherit(event)
            case StepStarted():
                self._start(event, line.at)
            case StepFinished() | StepFailed():
                self._end(event, line.at)
            case TextDelta() | ReasoningDelta():
                self._note(event)
            case ToolCalled():
                self._call(event, line.at)
            case ToolReturned():
                self._return(event, line.at)
            case UsageCounted():
                self._count(event)
            case OutputRestarted():
                self._restart()
            case (
                RunWaiting() | RunResumed() | RunCancelRequested() | RunSucceeded() | RunFailed()
                | RunCancelled() | AttemptStarted() | AttemptFailed() | AttemptLost()
                | AttemptHandedBack() | MessageAdded() | ProgressNoted()
            ):  # fmt: skip
                return
            case _:
                assert_never(event)

    def steps(self) -> list[bodies.Step]:
        return [_step(number, action) for number, action in enumerate(self._actions, start=1)]

    def _inherit(self, event: RunCreated) -> None:
        """Model requests that an earlier run made are counted; what they led to is not told again."""
        for step in event.steps:
            if step.kind is StepKind.MODEL:
                self._ask(step.key, step.parent).finished = True

    def _ask(self, key: str, parent: Key) -> _Request:
        request = self._requests.get(key)
        if request is None:
            request = self._requests[key] = _Request(len(self._requests) + 1)
        self._newest[parent] = request
        return request

    def _start(self, event: StepStarted, at: Instant) -> None:
        match event.kind:
            case StepKind.MODEL:
                self._ask(event.key, event.parent)
                return
            case StepKind.TOOL:
                request = self._newest.get(event.parent)
            case StepKind.CODE | StepKind.WORKFLOW:
                request = None
            case _:
                assert_never(event.kind)
        action = self._steps.get(event.key)
        if action is None:
            action = self._steps[event.key] = _Action(event.name, request, at, event.key, event.key)
            self._actions.append(action)
        else:
            # A later attempt does it again. What it says is in the log again only where it differs.
            action.started_at, action.ended_at, action.result = at, None, None

    def _end(self, event: StepFinished | StepFailed, at: Instant) -> None:
        finished = isinstance(event, StepFinished)
        if finished:
            self._finished.add(event.key)
        if event.kind is StepKind.MODEL:
            self._ask(event.key, event.parent).finished = finished
            return
        if event.key not in self._steps:
            started = StepStarted(key=event.key, name=event.name, kind=event.kind, parent=event.parent)
            self._start(started, event.started_at)
        action = self._steps[event.key]
        action.started_at, action.ended_at, action.finished = event.started_at, at, finished
        action.result = event.output if isinstance(event, StepFinished) else _failure(event.error)

    def _note(self, event: TextDelta | ReasoningDelta) -> None:
        request = self._requests.get(event.in_step or "")
        if request is not None:
            (request.text if isinstance(event, TextDelta) else request.reasoning).append(event.text)

    def _call(self, event: ToolCalled, at: Instant) -> None:
        step = self._steps.get(event.in_step or "")
        if step is not None and step.call_id is None and step.name == event.name:
            step.call_id, step.input = event.call_id, event.arguments
            return
        request = self._requests.get(event.in_step or "") or self._newest.get(event.in_step)
        self._actions.append(
            _Action(event.name, request, at, event.in_step, None, event.call_id, event.arguments)
        )

    def _return(self, event: ToolReturned, at: Instant) -> None:
        for action in reversed(self._actions):
            same = action.said_in == event.in_step and action.call_id == event.call_id
            if same and action.output is None:
                action.output = event.result
                if action.step is None:
                    action.ended_at = at
                return

    def _count(self, event: UsageCounted) -> None:
        request = self._requests.get(event.in_step or "")
        if request is not None:
            request.input_tokens += event.usage.input_tokens
            request.output_tokens += event.usage.output_tokens

    def _restart(self) -> None:
        """All that was said outside finished steps is void; what still stands comes again."""
        for request in self._requests.values():
            if not request.finished:
                request.reasoning, request.text = [], []
        for action in self._steps.values():
            if not action.finished:
                action.call_id, action.input, action.output = None, None, None
        self._actions = [
            action for action in self._actions if action.step is not None or action.said_in in self._finished
        ]


def iterations(steps: Iterable[Step]) -> int:
    """How many model requests of the run led to tool calls of its own."""
    count = 0
    asked: set[Key] = set()
    for step in steps:
        if step.kind is StepKind.MODEL:
            asked.add(step.parent)
        elif step.kind is StepKind.TOOL and not step.inherited and step.parent in asked:
            asked.discard(step.parent)
            count += 1
    return count


def _step(number: int, action: _Action) -> bodies.Step:
    request = action.request
    output = action.output if action.output is not None else action.result
    return bodies.Step(
        step_number=number,
        iteration_number=request.number if request is not None else 0,
        tool_name=action.name,
        input_data=json_word(action.input),
        output_data=json_word(output),
        reasoning=request.why() if request is not None else "",
        token_usage=(
            bodies.TokenUsage(request.input_tokens, request.output_tokens)
            if request is not None
            else bodies.TokenUsage(0, 0)
        ),
        duration=milliseconds(action.started_at, action.ended_at),
    )


def _failure(error: RunError) -> Json:
    return json_gate.encode({"error": error.message})
