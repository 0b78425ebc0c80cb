"""What a run is called here: its status, its progress, its error. Pure, and the same in every answer."""

from enum import StrEnum
from typing import assert_never

import msgspec

from runwell.domain.events import RunFailed
from runwell.domain.json_gate import EMPTY, Json
from runwell.domain.run import Question, Reason, Run, RunStatus

SOURCE = "praisonai"
LONGEST_QUESTION = 500
"""Characters of a question that `current_step` shows."""


class JobStatus(StrEnum):
    """The statuses of the original. A run that waits for a person is one that runs."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


def job_status(status: RunStatus) -> JobStatus:
    match status:
        case RunStatus.QUEUED:
            return JobStatus.QUEUED
        case RunStatus.RUNNING | RunStatus.WAITING:
            return JobStatus.RUNNING
        case RunStatus.SUCCEEDED:
            return JobStatus.SUCCEEDED
        case RunStatus.FAILED:
            return JobStatus.FAILED
        case RunStatus.CANCELLED:
            return JobStatus.CANCELLED
    assert_never(status)


def run_statuses(status: JobStatus) -> frozenset[RunStatus]:
    """The statuses of runs that read as this one."""
    return frozenset(each for each in RunStatus if job_status(each) is status)


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """What this dialect keeps in `Run.extra` of the runs it makes. `timeout` is as submitted, seconds."""

    session_id: str | None = None
    agent_id: str | None = None
    recipe: bool = False
    refused: bool = False
    timeout: int | None = None

    def encoded(self) -> Json:
        return Json(msgspec.json.encode(self))


NOTHING_KEPT = Kept()


def kept_of(run: Run) -> Kept:
    """Nothing for runs that were made elsewhere: what is in there is not ours."""
    if run.source != SOURCE or run.extra == EMPTY:
        return NOTHING_KEPT
    return _DECODE(run.extra)


_DECODE = msgspec.json.Decoder(Kept).decode


def agent_id_of(run: Run) -> str | None:
    """None before the run has begun, and for one that no agent was found for."""
    kept = kept_of(run)
    if run.started_at is None or (kept.refused and kept.agent_id is None):
        return None
    return kept.agent_id or run.agent


def seconds_allowed(run: Run) -> str | None:
    """The timeout as the client gave it, or as the run has it; None without one."""
    timeout = kept_of(run).timeout
    if timeout is None:
        return None if run.timeout is None else f"{run.timeout:g}"
    return str(timeout)


def failure(reason: str, message: str, allowed: str | None) -> str:
    """The sentence for a failed run; `allowed` is `seconds_allowed`."""
    if reason == Reason.TIMED_OUT and allowed is not None:
        return f"Job timed out after {allowed}s"
    return message


def failure_of(run: Run) -> str | None:
    if run.error is None:
        return None
    return failure(run.reason or "", run.error.message, seconds_allowed(run))


def failure_told(event: RunFailed, allowed: str | None) -> str:
    return failure(event.reason, event.error.message, allowed)


def waiting_for(question: Question) -> str:
    """What `current_step` says of a run that waits."""
    asked = msgspec.json.decode(question.question)
    text = asked if isinstance(asked, str) else bytes(question.question).decode()
    return f"Waiting for an answer: {text[:LONGEST_QUESTION]}"


def step_of(run: Run) -> str | None:
    """What the run does now: what it waits for, what it says of itself, or the step it is in."""
    if run.question is not None:
        return waiting_for(run.question)
    if run.progress is not None and run.progress.step is not None:
        return run.progress.step
    return run.steps.current


def percentage_of(run: Run) -> float:
    """Where it stands; a run that did not succeed stays where it was."""
    if run.status is RunStatus.SUCCEEDED:
        return 100.0
    return percentage(run.progress.percent if run.progress is not None else None)


def percentage(percent: float | None) -> float:
    return 0.0 if percent is None else float(percent)
