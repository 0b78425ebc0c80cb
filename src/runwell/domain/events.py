"""What can happen to a run: a closed union of facts, in the past tense.

The log is these, numbered 1, 2, 3 … per run. An event's bytes are the JSON of its fields; its type
and its number stand beside them, so that a stream can splice bytes without reading them.
`SCHEMA_VERSION` is stored with every event and grows when a field changes its meaning.

`in_step` names the step an output was said in; None is outside every step.
"""

from typing import ClassVar, NamedTuple

import msgspec

from runwell.domain.instant import Instant
from runwell.domain.json_gate import EMPTY, Json
from runwell.domain.run import NO_USAGE, Progress, Question, RunError, Usage
from runwell.domain.step import StepKind
from runwell.domain.thread import Role

SCHEMA_VERSION = 1


class _Event(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    type: ClassVar[str]


class InheritedStep(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A step that an earlier run finished and this one need not repeat.

    `text` is what was streamed inside it: it belongs to the output of an agent that only streams.
    """

    key: str
    name: str
    kind: StepKind
    output: Json
    parent: str | None = None
    text: str = ""


class RunCreated(_Event, frozen=True, omit_defaults=True, kw_only=True):
    """The request, whole: everything a first answer or a later attempt needs to know again."""

    type = "run.created"
    agent: str
    input: Json
    source: str = "native"
    thread_id: str | None = None
    metadata: Json = EMPTY
    priority: int = 0
    max_attempts: int = 3
    timeout: float | None = None
    not_before: Instant | None = None
    expires_at: Instant | None = None
    concurrency_key: str | None = None
    retry_of: str | None = None
    continues: str | None = None
    steps: tuple[InheritedStep, ...] = ()
    answers: dict[str, Json] = {}


class RunWaiting(_Event, frozen=True, omit_defaults=True, kw_only=True):
    """The agent asked; the attempt ended; nobody works on the run until the answer."""

    type = "run.waiting"
    question: Question
    expires_at: Instant | None = None


class RunResumed(_Event, frozen=True, omit_defaults=True, kw_only=True):
    type = "run.resumed"
    key: str
    answer: Json


class RunCancelRequested(_Event, frozen=True, omit_defaults=True, kw_only=True):
    """The attempt has been told; `run.cancelled` follows when it has let go."""

    type = "run.cancel_requested"
    by: str | None = None


class RunSucceeded(_Event, frozen=True, omit_defaults=True, kw_only=True):
    type = "run.succeeded"
    output: Json
    reason: str | None = None


class RunFailed(_Event, frozen=True, omit_defaults=True, kw_only=True):
    type = "run.failed"
    reason: str
    error: RunError


class RunCancelled(_Event, frozen=True, omit_defaults=True, kw_only=True):
    type = "run.cancelled"
    reason: str
    by: str | None = None


class AttemptStarted(_Event, frozen=True, omit_defaults=True, kw_only=True):
    type = "attempt.started"
    attempt: int
    worker: str


class AttemptFailed(_Event, frozen=True, omit_defaults=True, kw_only=True):
    """The agent raised and will be tried again, not before `retry_at`."""

    type = "attempt.failed"
    attempt: int
    error: RunError
    retry_at: Instant


class AttemptLost(_Event, frozen=True, omit_defaults=True, kw_only=True):
    """The worker vanished; the run is queued again."""

    type = "attempt.lost"
    attempt: int
    worker: str


class AttemptHandedBack(_Event, frozen=True, omit_defaults=True, kw_only=True):
    """The worker is shutting down and gave the run back; no try is burnt."""

    type = "attempt.handed_back"
    attempt: int
    worker: str


class StepStarted(_Event, frozen=True, omit_defaults=True, kw_only=True):
    type = "step.started"
    key: str
    name: str
    kind: StepKind = StepKind.CODE
    parent: str | None = None


class StepFinished(_Event, frozen=True, omit_defaults=True, kw_only=True):
    """`started_at` of this execution and the step's value, JSON."""

    type = "step.finished"
    key: str
    name: str
    started_at: Instant
    output: Json
    kind: StepKind = StepKind.CODE
    parent: str | None = None


class StepFailed(_Event, frozen=True, omit_defaults=True, kw_only=True):
    """It raised. A failed step is not remembered: a later attempt does it again."""

    type = "step.failed"
    key: str
    name: str
    started_at: Instant
    error: RunError
    kind: StepKind = StepKind.CODE
    parent: str | None = None


class TextDelta(_Event, frozen=True, omit_defaults=True, kw_only=True):
    type = "output.text_delta"
    text: str
    in_step: str | None = None


class ReasoningDelta(_Event, frozen=True, omit_defaults=True, kw_only=True):
    type = "output.reasoning_delta"
    text: str
    in_step: str | None = None


class MessageAdded(_Event, frozen=True, omit_defaults=True, kw_only=True):
    type = "output.message_added"
    role: Role
    content: Json
    in_step: str | None = None


class ToolCalled(_Event, frozen=True, omit_defaults=True, kw_only=True):
    type = "output.tool_called"
    call_id: str
    name: str
    arguments: Json
    in_step: str | None = None


class ToolReturned(_Event, frozen=True, omit_defaults=True, kw_only=True):
    type = "output.tool_returned"
    call_id: str
    name: str
    result: Json
    failed: bool = False
    in_step: str | None = None


class ProgressNoted(_Event, frozen=True, omit_defaults=True, kw_only=True):
    type = "output.progress_noted"
    progress: Progress
    in_step: str | None = None


class UsageCounted(_Event, frozen=True, omit_defaults=True, kw_only=True):
    """Paid is paid: never void, never compared, counted on every way out."""

    type = "output.usage_counted"
    usage: Usage = NO_USAGE
    model: str | None = None
    in_step: str | None = None


class OutputRestarted(_Event, frozen=True, omit_defaults=True, kw_only=True):
    """This attempt says something else than the log holds.

    Everything said before outside finished steps is void; what still stands is said again below.
    """

    type = "output.restarted"
    attempt: int


RunEvent = (
    RunCreated | RunWaiting | RunResumed | RunCancelRequested | RunSucceeded | RunFailed | RunCancelled
)  # fmt: skip
AttemptEvent = AttemptStarted | AttemptFailed | AttemptLost | AttemptHandedBack
StepEvent = StepStarted | StepFinished | StepFailed
Said = TextDelta | ReasoningDelta | MessageAdded | ToolCalled | ToolReturned | ProgressNoted
"""What an agent says: compared by a later attempt, void after `output.restarted`."""
OutputEvent = Said | UsageCounted | OutputRestarted
Event = RunEvent | AttemptEvent | StepEvent | OutputEvent

EVENT_TYPES: tuple[type[Event], ...] = (
    RunCreated, RunWaiting, RunResumed, RunCancelRequested, RunSucceeded, RunFailed, RunCancelled,
    AttemptStarted, AttemptFailed, AttemptLost, AttemptHandedBack,
    StepStarted, StepFinished, StepFailed,
    TextDelta, ReasoningDelta, MessageAdded, ToolCalled, ToolReturned, ProgressNoted, UsageCounted,
    OutputRestarted,
)  # fmt: skip

FINAL_TYPES = frozenset({RunSucceeded.type, RunFailed.type, RunCancelled.type})
"""Exactly one event of these types ends every log."""

_ENCODE = msgspec.json.Encoder().encode
_DECODERS = {event.type: msgspec.json.Decoder(event) for event in EVENT_TYPES}


def encode_event(event: Event) -> bytes:
    """The event's fields as JSON, without its type."""
    return _ENCODE(event)


def decode_event(type: str, data: bytes) -> Event:
    """The event behind stored bytes. Raises `KeyError` for a type this version does not know."""
    return _DECODERS[type].decode(data)


class LoggedEvent(NamedTuple):
    """One line of a log: number, instant, type, and the fields still as bytes."""

    seq: int
    at: Instant
    type: str
    data: bytes

    @property
    def event(self) -> Event:
        return decode_event(self.type, self.data)
