"""What can be asked of a run. Each is a value; `lifecycle.decide` says what comes of it."""

import msgspec

from runwell.domain.callback import Callback
from runwell.domain.events import InheritedStep, OutputEvent, StepEvent
from runwell.domain.instant import Instant
from runwell.domain.json_gate import EMPTY, Json
from runwell.domain.run import Question, RunError


class Create(msgspec.Struct, frozen=True, kw_only=True):
    """A new run. `steps` and `answers` are what it inherits from `retry_of` or `continues`."""

    id: str
    owner: str
    agent: str
    input: Json
    source: str = "native"
    thread_id: str | None = None
    in_order: bool = False
    concurrency_key: str | None = None
    metadata: Json = EMPTY
    priority: int = 0
    not_before: Instant | None = None
    expires_at: Instant | None = None
    timeout: float | None = None
    max_attempts: int = 3
    definition: Json | None = None
    retry_of: str | None = None
    continues: str | None = None
    steps: tuple[InheritedStep, ...] = ()
    answers: dict[str, Json] = {}
    label: str | None = None
    extra: Json = EMPTY
    callbacks: tuple[Callback, ...] = ()


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    worker: str


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    question: Question
    expires_at: Instant | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    answer: Json


class Succeed(msgspec.Struct, frozen=True, kw_only=True):
    output: Json
    reason: str | None = None


class Fail(msgspec.Struct, frozen=True, kw_only=True):
    reason: str
    error: RunError


class TryAgain(msgspec.Struct, frozen=True, kw_only=True):
    """The agent raised and asks for another attempt, `delay` seconds from now."""

    error: RunError
    delay: float


class Lapse(msgspec.Struct, frozen=True, kw_only=True):
    """The worker is gone. With no try left this is decided as `lapse_last`.

    `seen_at` is its last sign of life: the time after it was nobody's work and counts for no timeout.
    """

    seen_at: Instant


class HandBack(msgspec.Struct, frozen=True, kw_only=True):
    pass


class AskCancel(msgspec.Struct, frozen=True, kw_only=True):
    by: str | None = None


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    by: str | None = None


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Expire(msgspec.Struct, frozen=True, kw_only=True):
    pass


class TimeOut(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Continue(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What the running attempt says and does, in order."""

    events: tuple[StepEvent | OutputEvent, ...]


Command = (
    Create | Claim | Pause | Answer | Succeed | Fail | TryAgain | Lapse | HandBack | AskCancel
    | Cancel | Stop | Expire | TimeOut | Continue | Record
)  # fmt: skip
