"""A run: one execution of one agent, from the request to its one final status.

`Run` is what the status read shows. What went in, what was said and what each step returned is in
the run's log; a row that is read a thousand times a second stays small. The constructor refuses
shapes that cannot be (`queued` with a worker, final without an end), so no reader checks twice.
"""

from enum import StrEnum

import msgspec

from runwell.domain.callback import Callback
from runwell.domain.instant import Instant, seconds_between
from runwell.domain.json_gate import EMPTY, NULL, Json


class RunStatus(StrEnum):
    """Where a run is.

    - `queued`: nobody works on it. Moved in by create, answer, try_again, lapse, hand_back; out by
      claim, cancel, expire. A crash leaves it as it is.
    - `running`: one attempt, on one worker, holds it. Moved out by that attempt, by its deadline,
      or by the rescue that finds its worker gone. A crash leaves it here until that rescue.
    - `waiting`: it asked a question and costs nothing. Moved out by answer, continue, cancel, expire.
    - `succeeded`, `failed`, `cancelled`: final. Nothing moves a run out of these.
    """

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Reason(StrEnum):
    """Why a run ended as it did. Failed and cancelled runs always have one; succeeded ones may."""

    ERROR = "error"
    """The agent raised, and asked for no (more) retries."""
    MODEL_ERROR = "model_error"
    """The model's API refused or broke."""
    LOST = "lost"
    """The worker vanished in the last attempt allowed."""
    EXPIRED = "expired"
    """It was still queued or waiting at `expires_at`."""
    TIMED_OUT = "timed_out"
    """Its attempts ran longer than `timeout`, added up."""
    OUTPUT_TOO_LARGE = "output_too_large"
    INVALID_INPUT = "invalid_input"
    """The input does not fit the agent's schema."""
    BUDGET_EXHAUSTED = "budget_exhausted"
    MAX_STEPS = "max_steps"
    CONTINUED = "continued"
    """It waited, and another run went on from there."""
    REQUESTED = "requested"
    """Somebody cancelled it."""


class RunError(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong: `code` for machines, `message` for people, `trace` for the developer."""

    code: str
    message: str
    trace: str | None = None


class Usage(msgspec.Struct, frozen=True):
    """What a run, a step or one call consumed. Tokens are counts, `cost` is US dollars."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    cost: float = 0.0
    credits: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.model_calls + other.model_calls,
            self.tool_calls + other.tool_calls,
            self.cost + other.cost,
            self.credits + other.credits,
        )


NO_USAGE = Usage()


class Progress(msgspec.Struct, frozen=True):
    """How far the run says it is: 0 to 100 or unknown, and the words for what it does now."""

    percent: float | None = None
    step: str | None = None


class StepCounts(msgspec.Struct, frozen=True):
    """Steps by outcome, and the key of the one started last that has not ended."""

    started: int = 0
    finished: int = 0
    failed: int = 0
    current: str | None = None


NO_STEPS = StepCounts()


class Question(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a waiting run asks. `key` names the ask within the run.

    `schema` is the JSON Schema of the answer, `null` for any answer: msgspec cannot decode a
    document that may be missing.
    """

    key: str
    question: Json
    schema: Json = NULL


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run as the store keeps it. Instants are µs since the epoch, `timeout` is seconds.

    `version` grows when what a status read shows changes, never for text. `last_seq` is the number
    of the newest event. `attempt` is the fence: it grows at every claim. `tries` counts attempts
    that failed or were lost, and is what `max_attempts` limits. `label` is a word that a dialect lists
    runs by, `extra` what it needs to show this one again; both mean nothing to the core.
    """

    id: str
    owner: str
    agent: str
    status: RunStatus
    created_at: Instant
    queued_at: Instant
    source: str = "native"
    reason: str | None = None
    version: int = 1
    last_seq: int = 0
    attempt: int = 0
    tries: int = 0
    max_attempts: int = 3
    priority: int = 0
    thread_id: str | None = None
    in_order: bool = False
    concurrency_key: str | None = None
    timeout: float | None = None
    not_before: Instant | None = None
    expires_at: Instant | None = None
    started_at: Instant | None = None
    claimed_at: Instant | None = None
    first_output_at: Instant | None = None
    finished_at: Instant | None = None
    cancel_requested_at: Instant | None = None
    ran_for: int = 0
    worker: str | None = None
    progress: Progress | None = None
    usage: Usage = NO_USAGE
    steps: StepCounts = NO_STEPS
    question: Question | None = None
    error: RunError | None = None
    retry_of: str | None = None
    continues: str | None = None
    metadata: Json = EMPTY
    definition: Json | None = None
    output: Json | None = None
    label: str | None = None
    extra: Json = EMPTY
    callbacks: tuple[Callback, ...] = ()

    def __post_init__(self) -> None:
        fault = _fault(self)
        if fault:
            raise ValueError(f"impossible run {self.id}: {fault}")

    @property
    def final(self) -> bool:
        return self.finished_at is not None

    @property
    def duration(self) -> float | None:
        """Seconds from the first claim to the end; None until both have happened."""
        if self.started_at is None or self.finished_at is None:
            return None
        return seconds_between(self.started_at, self.finished_at)

    @property
    def ttft(self) -> float | None:
        """Seconds from submit to the first output (time to first token)."""
        if self.first_output_at is None:
            return None
        return seconds_between(self.created_at, self.first_output_at)

    def time_left(self, now: Instant) -> float | None:
        """Seconds this run may still spend `running`; None without a timeout."""
        if self.timeout is None:
            return None
        current = now - self.claimed_at if self.claimed_at is not None else 0
        return self.timeout - seconds_between(0, self.ran_for + current)


def _fault(run: Run) -> str | None:
    """The first thing about this shape that cannot be; None when it can."""
    status = run.status
    running = status is RunStatus.RUNNING
    final = status in _FINAL
    if running != (run.worker is not None) or running != (run.claimed_at is not None):
        return f"{status} with worker={run.worker!r}, claimed_at={run.claimed_at}"
    if final != (run.finished_at is not None):
        return f"{status} with finished_at={run.finished_at}"
    if (status is RunStatus.WAITING) != (run.question is not None):
        return f"{status} with question={run.question!r}"
    if (status is RunStatus.FAILED) != (run.error is not None):
        return f"{status} with error={run.error!r}"
    if run.reason is None and status in (RunStatus.FAILED, RunStatus.CANCELLED):
        return f"{status} without a reason"
    if running and run.attempt < 1:
        return "running in attempt 0"
    return None


_FINAL = frozenset({RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED})
"""The shape rule needs the word before the table exists; a test holds both against each other."""
