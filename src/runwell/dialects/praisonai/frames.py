"""A job's stream, as frames: named events as the server of the original sends them, whose JSON also has
the keys that its documentation and its command line know (`event`, `data`, a closing `[DONE]`)."""

import json
from collections.abc import Iterable
from typing import Any

from runwell.dialects.praisonai import words
from runwell.dialects.praisonai.responses import job_id
from runwell.dialects.praisonai.words import JobStatus
from runwell.domain.events import (
    AttemptFailed,
    AttemptHandedBack,
    AttemptLost,
    AttemptStarted,
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
from runwell.domain.instant import Instant, to_iso
from runwell.domain.json_gate import Json, decode
from runwell.domain.run import Run, RunStatus
from runwell.stream.frames import FrameWriter

LONGEST_RESULT = 1_000
"""Characters of the result in a frame; the whole of it is at `/result`."""
DONE = b"data: [DONE]\r\n\r\n"


def frame(event: str, told: str, data: dict[str, Any], also: dict[str, Any]) -> bytes:
    """`data` as the server has it; `told` and `also` are the same for readers of the documentation."""
    # Escaped to ASCII: the original's client splits lines at U+2028 and the like.
    body = json.dumps({**data, "event": told, "data": also})
    return f"event: {event}\r\ndata: {body}\r\n\r\n".encode()


def numbered(frames: list[bytes], seq: int) -> list[bytes]:
    """With the event's number on the last frame: who comes back with it has seen all of them."""
    if not frames:
        return frames
    return [*frames[:-1], b"id: %d\r\n%b" % (seq, frames[-1])]


def heartbeat(now: Instant) -> bytes:
    """What is sent when nothing happens. Not part of the story, so it has no number."""
    at = {"timestamp": f"{to_iso(now)[:-1]}+00:00"}
    return frame("heartbeat", "heartbeat", at, at)


def status_frame(run_id: str, status: JobStatus) -> bytes:
    told = {"status": status, "job_id": job_id(run_id)}
    return frame("status", "status", told, told)


def progress_frame(percentage: float, step: str | None) -> bytes:
    told = {"percentage": percentage, "step": step or ""}
    return frame("progress", "progress", told, {"percentage": percentage, "current_step": step or ""})


def result_frame(output: Json) -> bytes:
    value = decode(output)
    text = value if isinstance(value, str) else bytes(output).decode()
    told = {"result": text[:LONGEST_RESULT]}
    return frame("result", "complete", told, {"status": JobStatus.SUCCEEDED, **told})


def error_frame(message: str) -> bytes:
    told = {"error": message}
    return frame("error", "error", told, {"status": JobStatus.FAILED, **told})


def cancelled_frame() -> bytes:
    told = {"message": "Job was cancelled"}
    return frame("cancelled", "complete", told, {"status": JobStatus.CANCELLED, **told})


def deleted_frames() -> bytes:
    """For a job that was deleted while somebody watched it."""
    return error_frame("Job not found") + DONE


def frames_without_log(run: Run) -> bytes:
    """What is left to tell of an ended run whose log was pruned: how it ended."""
    told = [
        status_frame(run.id, words.job_status(run.status)),
        progress_frame(words.percentage_of(run), words.step_of(run)),
    ]
    match run.status:
        case RunStatus.FAILED:
            told.append(error_frame(words.failure_of(run) or ""))
        case RunStatus.CANCELLED:
            told.append(cancelled_frame())
        case _:
            told.append(result_frame(run.output or Json(b"null")))
    return b"".join([*numbered(told, run.last_seq), DONE])


class JobFrames(FrameWriter):
    """Folds a run's log into frames. `allowed` is its timeout as the client gave it."""

    SILENT = frozenset(
        {
            RunCancelRequested, TextDelta, ReasoningDelta, MessageAdded, ToolCalled, ToolReturned,
            UsageCounted, OutputRestarted,
        }
    )  # fmt: skip

    def __init__(self, run_id: str, allowed: str | None) -> None:
        self._run_id = run_id
        self._allowed = allowed
        self._percentage = 0.0
        self._noted: str | None = None
        self._current: str | None = None
        self._shown: tuple[float, str | None] | None = None
        self.ended = False

    def run_created(self, line: LoggedEvent, event: RunCreated) -> Iterable[bytes]:
        return numbered([self._now(JobStatus.QUEUED), *self._progress(None)], line.seq)

    def attempt_started(self, line: LoggedEvent, event: AttemptStarted) -> Iterable[bytes]:
        return numbered([self._now(JobStatus.RUNNING)], line.seq)

    def run_waiting(self, line: LoggedEvent, event: RunWaiting) -> Iterable[bytes]:
        self._current = None
        return numbered(self._progress(words.waiting_for(event.question)), line.seq)

    def run_resumed(self, line: LoggedEvent, event: RunResumed) -> Iterable[bytes]:
        return numbered([self._now(JobStatus.QUEUED), *self._progress(self._step)], line.seq)

    def attempt_failed(self, line: LoggedEvent, event: AttemptFailed) -> Iterable[bytes]:
        return self._requeued(line)

    def attempt_lost(self, line: LoggedEvent, event: AttemptLost) -> Iterable[bytes]:
        return self._requeued(line)

    def attempt_handed_back(self, line: LoggedEvent, event: AttemptHandedBack) -> Iterable[bytes]:
        return self._requeued(line)

    def step_started(self, line: LoggedEvent, event: StepStarted) -> Iterable[bytes]:
        self._current = event.key
        return numbered(self._progress(self._step), line.seq)

    def step_finished(self, line: LoggedEvent, event: StepFinished) -> Iterable[bytes]:
        return self._step_ended(event.key)

    def step_failed(self, line: LoggedEvent, event: StepFailed) -> Iterable[bytes]:
        return self._step_ended(event.key)

    def output_progress_noted(self, line: LoggedEvent, event: ProgressNoted) -> Iterable[bytes]:
        self._percentage = words.percentage(event.progress.percent)
        self._noted = event.progress.step
        return numbered(self._progress(self._step), line.seq)

    def run_succeeded(self, line: LoggedEvent, event: RunSucceeded) -> Iterable[bytes]:
        self._percentage = 100.0
        return self._end(line, JobStatus.SUCCEEDED, result_frame(event.output))

    def run_failed(self, line: LoggedEvent, event: RunFailed) -> Iterable[bytes]:
        return self._end(line, JobStatus.FAILED, error_frame(words.failure_told(event, self._allowed)))

    def run_cancelled(self, line: LoggedEvent, event: RunCancelled) -> Iterable[bytes]:
        return self._end(line, JobStatus.CANCELLED, cancelled_frame())

    @property
    def _step(self) -> str | None:
        return self._noted if self._noted is not None else self._current

    def _now(self, status: JobStatus) -> bytes:
        """Always a change: the arrows of the lifecycle that are told here lead to another status."""
        return status_frame(self._run_id, status)

    def _progress(self, step: str | None) -> list[bytes]:
        """A frame if it is a change."""
        progress = self._percentage, step or ""
        if progress == self._shown:
            return []
        self._shown = progress
        return [progress_frame(*progress)]

    def _requeued(self, line: LoggedEvent) -> Iterable[bytes]:
        self._current = None
        return numbered([self._now(JobStatus.QUEUED)], line.seq)

    def _step_ended(self, key: str) -> Iterable[bytes]:
        """Says nothing: what is done now is not known before the next step, or the end."""
        if self._current == key:
            self._current = None
        return ()

    def _end(self, line: LoggedEvent, status: JobStatus, last: bytes) -> Iterable[bytes]:
        self._current = None
        self.ended = True
        told = [self._now(status), *self._progress(self._step), last]
        return [*numbered(told, line.seq), DONE]
