"""One attempt's memory and bookkeeping: which step is which, what is remembered, what was asked.

Shared by the async and the blocking context; every method is safe from any thread.
"""

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any, Final

import msgspec

from runwell.domain import json_gate
from runwell.domain.events import StepFailed, StepFinished, StepStarted, UsageCounted
from runwell.domain.instant import Instant
from runwell.domain.json_gate import Json
from runwell.domain.memory import Memory
from runwell.domain.prices import Prices
from runwell.domain.run import Question, Run, RunError, Usage
from runwell.domain.step import StepKind
from runwell.domain.thread import Message
from runwell.ports.agent import AskInsideStep, Suspended
from runwell.ports.clock import Clock
from runwell.worker.checks import deadline
from runwell.worker.recorder import Recorder, promise

CURRENT_STEP: Final[ContextVar[str | None]] = ContextVar("runwell_step", default=None)
"""The key of the step that the calling task or thread is in."""

MISSING: Final = object()


def words_of(error: BaseException) -> str:
    """An exception's message, storable; its class's name if its own words fail."""
    return readable(error, json_gate.clean_text(type(error).__name__))


def readable(value: object, otherwise: str) -> str:
    """`str(value)`, storable; `otherwise` when there is nothing to read."""
    try:
        words = str(value)
    except Exception:  # noqa: BLE001 - a broken __str__ must not cost the run its end
        words = ""
    return json_gate.clean_text(words) or otherwise


class OpenStep(msgspec.Struct, frozen=True):
    """A step being done now."""

    key: str
    name: str
    kind: StepKind
    parent: str | None
    started_at: Instant
    ended: Future[None]


class Session:
    """What both contexts of one attempt share."""

    def __init__(
        self,
        run: Run,
        input: Json,
        messages: list[Message],
        memory: Memory,
        recorder: Recorder,
        clock: Clock,
        prices: Prices | None = None,
        heard: Callable[[], bool] = lambda: True,
    ) -> None:
        self.run = run
        self.input = json_gate.decode(input)
        self.messages = messages
        self.recorder = recorder
        self.cancelled = False
        self.told = False
        """Whether the agent has seen that it is cancelled: what it returns then may be half of it."""
        self.unheard = False
        """Whether a step was not begun because others may take this process for gone."""
        self.question: Question | None = None
        self.question_expires_at: Instant | None = None
        self._memory = memory
        self._clock = clock
        self._prices = prices or Prices()
        self._heard = heard
        self._lock = threading.Lock()
        self._uses: Counter[str] = Counter()
        self._open: dict[str, OpenStep] = {}
        self._calls = itertools.count(1)

    def over(self) -> bool:
        """Whether the attempt ends before its agent does; whoever asks has been told."""
        if self.cancelled:
            self.told = True
        return self.cancelled

    def next_key(self, name: str) -> str:
        """`name`, then `name#2`, `name#3` …: the n-th use in this attempt is the n-th in every one."""
        with self._lock:
            self._uses[name] += 1
            count = self._uses[name]
        return name if count == 1 else f"{name}#{count}"

    def consumed(self, usage: Usage, model: str | None, asked: str | None) -> UsageCounted:
        """The event that counts `usage`. Priced here, so that the log, the step and the run agree."""
        priced = self._prices.priced(usage, model, asked)
        return UsageCounted(usage=priced, model=model or asked, in_step=CURRENT_STEP.get())

    def next_call_id(self) -> str:
        return f"call_{next(self._calls)}"

    def remembered(self, key: str) -> Any:
        """The value of a finished step, or `MISSING`."""
        document = self._memory.values.get(key)
        return MISSING if document is None else json_gate.decode(document)

    def open_step(self, key: str, name: str, kind: StepKind) -> OpenStep:
        """Raises `Suspended` when the attempt is ending, or when another process may have it by now,
        `ValueError` for a key that is in use now.

        After a question, steps that are being done may still begin steps of their own: the end of
        the attempt waits for them, and what they have done is paid for.
        """
        if not self._heard():
            # Its start would be refused, but only after it had been done.
            self.unheard = True
            raise Suspended
        step = OpenStep(key, name, kind, CURRENT_STEP.get(), self._clock.now(), promise())
        with self._lock:
            if self.question is not None and step.parent not in self._open:
                raise Suspended
            if key in self._open:
                raise ValueError(f"step {key!r} is running already: give concurrent steps their own key=")
            self._open[key] = step
        self.recorder.put(StepStarted(key=key, name=name, kind=kind, parent=step.parent))
        return step

    def close_step(self, step: OpenStep, value: Any) -> tuple[Any, Future[None] | None]:
        """The value as every later attempt will see it, and when it is on disk.

        If the process dies before that, the step is done again: it had not finished.
        """
        document = json_gate.encode_any(value)
        written = self.recorder.put(
            StepFinished(
                key=step.key, name=step.name, kind=step.kind, parent=step.parent,
                started_at=step.started_at, output=document,
            ),
            durable=True,
        )  # fmt: skip
        self._memory.values[step.key] = document
        return json_gate.decode(document), written

    def fail_step(self, step: OpenStep, error: BaseException) -> None:
        """Note the failure; a failed or interrupted step is not remembered."""
        interrupted = not isinstance(error, Exception)
        code = "interrupted" if interrupted else json_gate.clean_text(type(error).__name__)
        fault = RunError(code, words_of(error)[:2_000])
        try:
            self.recorder.put(
                StepFailed(
                    key=step.key, name=step.name, kind=step.kind, parent=step.parent,
                    started_at=step.started_at, error=fault,
                )
            )  # fmt: skip
        except Suspended:
            # The attempt is over and its log closed: the reader sees a step that was interrupted.
            return

    def leave_step(self, step: OpenStep) -> None:
        with self._lock:
            self._open.pop(step.key, None)
        step.ended.set_result(None)

    def steps_in_flight(self) -> list[Future[None]]:
        with self._lock:
            return [step.ended for step in self._open.values()]

    def answer_to(self, key: str) -> Any:
        """The answer given earlier, or `MISSING`. Raises `AskInsideStep`."""
        if CURRENT_STEP.get() is not None:
            raise AskInsideStep
        document = self._memory.answers.get(key)
        return MISSING if document is None else json_gate.decode(document)

    def ask(self, key: str, question: Any, schema: dict[str, Any] | None, expires_in: float | None) -> None:
        """Put the question; from here on the attempt only ends. A second question waits its turn.

        Raises `InvalidJson`, `TypeError` or `ValueError` before anything is put.
        """
        expires_at = None if expires_in is None else deadline(self._clock.now(), expires_in)
        asked = Question(
            key=key,
            question=json_gate.encode_any(question),
            schema=json_gate.encode(schema),
        )
        with self._lock:
            if self.question is None:
                self.question = asked
                self.question_expires_at = expires_at
