"""A run's stream: Letta's frames as a pure fold over the log.

Frames are numbered from 1 in the order in which they come, whoever asks and however often. A stop
reason and a usage frame have numbers and do not show them. What comes after a wait that another API
has answered goes on with the next number.
"""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, NamedTuple

import msgspec

from runwell.dialects.letta import ids, messages
from runwell.dialects.letta.endings import error_type_of, stop_of_failure, stop_of_success
from runwell.dialects.letta.messages import ErrorMessage, Message, StopReason, UsageStatistics
from runwell.dialects.letta.origin import Origin
from runwell.dialects.letta.parts import TEXTS, Kind
from runwell.dialects.letta.telling import asked_by_request, stop_frame, tell, usage_of
from runwell.dialects.letta.transcript import Change, Transcript
from runwell.domain.events import (
    AttemptFailed,
    AttemptHandedBack,
    AttemptLost,
    AttemptStarted,
    Event,
    LoggedEvent,
    ProgressNoted,
    RunCancelled,
    RunCancelRequested,
    RunCreated,
    RunFailed,
    RunResumed,
    RunSucceeded,
    StepFailed,
)
from runwell.domain.run import Run
from runwell.stream.frames import FrameWriter

DONE = b"data: [DONE]\n\n"
CANCELLED = b'data: {"message_type": "stop_reason", "stop_reason": "cancelled"}\n\n'
"""With the spaces of the original."""
_ENCODE = msgspec.json.Encoder().encode


class View(NamedTuple):
    """Who is looking: frames up to and with number `after` are passed over; `numbered` frames show
    their numbers, those of a foreground stream do not; `pings` False hides the first frame."""

    after: int = 0
    numbered: bool = True
    pings: bool = True


class LettaFrames(FrameWriter):
    """Write the log from its first line; `waiting` closes what is said of a run that waits."""

    SILENT: ClassVar[frozenset[type[Event]]] = frozenset(
        {
            RunResumed, RunCancelRequested, StepFailed, ProgressNoted,
            AttemptStarted, AttemptFailed, AttemptLost, AttemptHandedBack,
        }
    )  # fmt: skip

    def __init__(self, run: Run, origin: Origin | None, view: View) -> None:
        self._run = run
        self._view = view
        self._tokens = origin is not None and origin.tokens
        self._pinged = origin is None or origin.pings
        self._shown = origin.shown if origin is not None else None
        self._transcript = Transcript(run.id, origin)
        self._number = 0

    def run_created(self, line: LoggedEvent, event: RunCreated) -> Iterator[bytes]:
        if self._pinged:
            yield from self._message(messages.ping_of(self._run.id, line.at), hidden=not self._view.pings)
        yield from self._changes(line)

    def _changes(self, line: LoggedEvent, event: Event | None = None) -> Iterator[bytes]:
        for change in tell(self._transcript, line):
            for message in self._told(change):
                yield from self._message(message)

    # What these say is what the transcript makes of them.
    run_waiting = step_started = step_finished = output_text_delta = output_reasoning_delta = _changes
    output_message_added = output_tool_called = output_tool_returned = _changes
    output_usage_counted = output_restarted = _changes

    def run_succeeded(self, line: LoggedEvent, event: RunSucceeded) -> Iterator[bytes]:
        yield from self._changes(line)
        yield from self._end(stop_of_success(event.reason))

    def run_failed(self, line: LoggedEvent, event: RunFailed) -> Iterator[bytes]:
        yield from self._changes(line)
        yield from self._unshown(stop_frame(stop_of_failure(event.reason)))
        self._number += 1
        if self._number > self._view.after:
            error = error_message(self._run, event, self._number if self._view.numbered else None)
            yield b"event: error\ndata: " + _ENCODE(error) + b"\n\n"
        if not self._view.numbered:
            yield DONE

    def run_cancelled(self, line: LoggedEvent, event: RunCancelled) -> Iterator[bytes]:
        yield from self._changes(line)
        self._number += 1
        if self._number > self._view.after:
            yield CANCELLED
        yield DONE

    def waiting(self) -> bytes:
        """What ends the stream of a run that waits now. Changes nothing: the run may go on."""
        number = self._number
        closing = b"".join(self._end("requires_approval"))
        self._number = number
        return closing

    def _end(self, reason: str) -> Iterator[bytes]:
        yield from self._unshown(stop_frame(reason))
        yield from self._unshown(usage_of(self._transcript))
        yield DONE

    def _told(self, change: Change) -> Iterable[Message]:
        part = change.part
        if asked_by_request(part) or (self._shown is not None and part.kind not in self._shown):
            return
        run = self._run.id
        if change.delta is not None:
            if self._tokens:
                yield messages.delta_of(run, part, change.delta, change.at)
        elif self._tokens and part.kind in (Kind.CALL, Kind.REQUEST):
            yield from messages.call_deltas_of(run, part, change.at)
        elif not (self._tokens and part.kind in TEXTS and part.streamed):
            yield messages.message_of(run, part)

    def _message(self, message: Message, hidden: bool = False) -> Iterator[bytes]:
        self._number += 1
        if hidden or self._number <= self._view.after:
            return
        message.seq_id = self._number if self._view.numbered else None
        yield _data(message)

    def _unshown(self, frame: StopReason | UsageStatistics) -> Iterator[bytes]:
        self._number += 1
        if self._number > self._view.after:
            yield _data(frame)


def error_message(run: Run, event: RunFailed, number: int | None) -> ErrorMessage:
    return ErrorMessage(
        run_id=ids.run_id(run.id),
        error_type=error_type_of(event.reason),
        message=event.error.message,
        detail=event.error.code,
        seq_id=number,
    )


def _data(frame: Any) -> bytes:
    return b"data: " + _ENCODE(frame) + b"\n\n"
