"""What each arrow of the lifecycle does to a run. Called by `lifecycle.decide` and by nothing else."""

from typing import Any, NamedTuple

from msgspec.structs import replace

from runwell.domain.commands import (
    Answer,
    AskCancel,
    Cancel,
    Claim,
    Command,
    Create,
    Fail,
    Lapse,
    Pause,
    Record,
    Succeed,
    TryAgain,
)
from runwell.domain.errors import IllegalTransition
from runwell.domain.events import (
    AttemptFailed,
    AttemptHandedBack,
    AttemptLost,
    AttemptStarted,
    Event,
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
from runwell.domain.instant import Instant, after
from runwell.domain.json_gate import NULL
from runwell.domain.run import NO_STEPS, Reason, Run, RunError, RunStatus, StepCounts


class Outcome(NamedTuple):
    """The run after the arrow, what the log says of it, and whether a status read shows it."""

    run: Run
    events: tuple[Event, ...]
    visible: bool = True


def create(command: Create, now: Instant) -> Outcome:
    inherited = len(command.steps)
    run = Run(
        id=command.id, owner=command.owner, agent=command.agent, status=RunStatus.QUEUED,
        created_at=now, queued_at=now, source=command.source, max_attempts=command.max_attempts,
        priority=command.priority, thread_id=command.thread_id, in_order=command.in_order,
        concurrency_key=command.concurrency_key, timeout=command.timeout,
        not_before=command.not_before, expires_at=command.expires_at, retry_of=command.retry_of,
        continues=command.continues, metadata=command.metadata, definition=command.definition,
        label=command.label, extra=command.extra, callbacks=command.callbacks,
        steps=StepCounts(started=inherited, finished=inherited) if inherited else NO_STEPS,
    )  # fmt: skip
    event = RunCreated(
        agent=command.agent, input=command.input, source=command.source, thread_id=command.thread_id,
        metadata=command.metadata, priority=command.priority, max_attempts=command.max_attempts,
        timeout=command.timeout, not_before=command.not_before, expires_at=command.expires_at,
        concurrency_key=command.concurrency_key, retry_of=command.retry_of,
        continues=command.continues, steps=command.steps, answers=command.answers,
    )  # fmt: skip
    return Outcome(run, (event,))


def claim(run: Run, command: Claim, now: Instant) -> Outcome:
    if run.not_before is not None and run.not_before > now:
        raise IllegalTransition(run.id, run.status, "claim", "its time has not come (not_before)")
    if run.expires_at is not None and run.expires_at <= now:
        raise IllegalTransition(run.id, run.status, "claim", "it has expired (expires_at)")
    attempt = run.attempt + 1
    # What expires is the wait for the first start: a run that is queued again must not be ended by it.
    claimed = replace(
        run, status=RunStatus.RUNNING, attempt=attempt, worker=command.worker, claimed_at=now,
        started_at=run.started_at if run.started_at is not None else now, not_before=None,
        expires_at=None,
    )  # fmt: skip
    return Outcome(claimed, (AttemptStarted(attempt=attempt, worker=command.worker),))


def _released(run: Run, now: Instant) -> dict[str, Any]:
    """The fields that an ending attempt leaves behind: no worker, its time added up."""
    spent = now - run.claimed_at if run.claimed_at is not None else 0
    return {
        "worker": None,
        "claimed_at": None,
        "ran_for": run.ran_for + max(spent, 0),
        # A step that was still running will be started again, and counted then.
        "steps": replace(run.steps, current=None, started=run.steps.finished + run.steps.failed),
    }


def _requeued(run: Run, now: Instant, worked_until: Instant, **fields: Any) -> Run:
    return replace(run, status=RunStatus.QUEUED, queued_at=now, **_released(run, worked_until), **fields)


def _failed(run: Run, now: Instant, reason: str, error: RunError, **fields: Any) -> Outcome:
    """Failed, from wherever it was."""
    ended = replace(
        run, status=RunStatus.FAILED, finished_at=now, reason=reason, error=error, question=None,
        **_released(run, now), **fields,
    )  # fmt: skip
    return Outcome(ended, (RunFailed(reason=reason, error=error),))


def _cancelled(run: Run, now: Instant, by: str | None) -> Outcome:
    ended = replace(
        run, status=RunStatus.CANCELLED, finished_at=now, reason=Reason.REQUESTED, question=None,
        **_released(run, now),
    )  # fmt: skip
    return Outcome(ended, (RunCancelled(reason=Reason.REQUESTED, by=by),))


def pause(run: Run, command: Pause, now: Instant) -> Outcome:
    paused = replace(
        run, status=RunStatus.WAITING, question=command.question,
        expires_at=command.expires_at, **_released(run, now),
    )  # fmt: skip
    return Outcome(paused, (RunWaiting(question=command.question, expires_at=command.expires_at),))


def answer(run: Run, command: Answer, now: Instant) -> Outcome:
    if run.question is None:
        raise AssertionError("a waiting run always has a question")
    # What expired was the wait; a run that is working again must not be ended by it.
    resumed = _requeued(run, now, now, question=None, expires_at=None)
    return Outcome(resumed, (RunResumed(key=run.question.key, answer=command.answer),))


def succeed(run: Run, command: Succeed, now: Instant) -> Outcome:
    ended = replace(
        run, status=RunStatus.SUCCEEDED, finished_at=now, reason=command.reason, output=command.output,
        **_released(run, now),
    )  # fmt: skip
    return Outcome(ended, (RunSucceeded(output=command.output, reason=command.reason),))


def fail(run: Run, command: Fail | TryAgain, now: Instant) -> Outcome:
    """Also the last `try_again`."""
    if isinstance(command, TryAgain):
        return _failed(run, now, Reason.ERROR, command.error, tries=run.tries + 1)
    return _failed(run, now, command.reason, command.error)


def try_again(run: Run, command: TryAgain, now: Instant) -> Outcome:
    retry_at = after(now, command.delay)
    queued = _requeued(run, now, now, tries=run.tries + 1, not_before=retry_at)
    return Outcome(queued, (AttemptFailed(attempt=run.attempt, error=command.error, retry_at=retry_at),))


def lapse(run: Run, command: Lapse, now: Instant) -> Outcome:
    event = AttemptLost(attempt=run.attempt, worker=run.worker or "")
    return Outcome(_requeued(run, now, command.seen_at, tries=run.tries + 1), (event,))


def lapse_last(run: Run, command: Command, now: Instant) -> Outcome:
    error = RunError(
        Reason.LOST,
        f"The worker {run.worker} vanished during attempt {run.attempt}; "
        f"that was try {run.tries + 1} of {run.max_attempts}.",
    )
    return _failed(run, now, Reason.LOST, error, tries=run.tries + 1)


def hand_back(run: Run, command: Command, now: Instant) -> Outcome:
    event = AttemptHandedBack(attempt=run.attempt, worker=run.worker or "")
    return Outcome(_requeued(run, now, now), (event,))


def ask_cancel(run: Run, command: AskCancel, now: Instant) -> Outcome:
    if run.cancel_requested_at is not None:  # asking twice is asking once
        return Outcome(run, (), visible=False)
    return Outcome(replace(run, cancel_requested_at=now), (RunCancelRequested(by=command.by),))


def stop(run: Run, command: Command, now: Instant) -> Outcome:
    return _cancelled(run, now, None)


def cancel(run: Run, command: Cancel, now: Instant) -> Outcome:
    return _cancelled(run, now, command.by)


def expire(run: Run, command: Command, now: Instant) -> Outcome:
    if run.expires_at is None or run.expires_at > now:
        raise IllegalTransition(run.id, run.status, "expire", "it has not expired")
    error = RunError(Reason.EXPIRED, f"The run was still {run.status} at its expires_at.")
    return _failed(run, now, Reason.EXPIRED, error)


def time_out(run: Run, command: Command, now: Instant) -> Outcome:
    left = run.time_left(now)
    if left is None or left > 0:
        raise IllegalTransition(run.id, run.status, "time_out", "it has time left")
    error = RunError(
        Reason.TIMED_OUT, f"The run worked for longer than its timeout of {run.timeout:g} seconds."
    )
    return _failed(run, now, Reason.TIMED_OUT, error)


def go_on(run: Run, command: Command, now: Instant) -> Outcome:
    ended = replace(
        run, status=RunStatus.SUCCEEDED, finished_at=now, reason=Reason.CONTINUED, question=None,
        output=NULL, **_released(run, now),
    )  # fmt: skip
    return Outcome(ended, (RunSucceeded(output=NULL, reason=Reason.CONTINUED),))


_SPOKEN = (TextDelta, ReasoningDelta, MessageAdded, ToolCalled)
"""The first of these is the first output, for the time to first token."""


def record(run: Run, command: Record, now: Instant) -> Outcome:
    """Fold what the attempt did into the counters; text alone is not visible in a status read."""
    progress, usage, steps, first = run.progress, run.usage, run.steps, run.first_output_at
    for event in command.events:
        if isinstance(event, _SPOKEN):
            first = first if first is not None else now
        elif isinstance(event, ProgressNoted):
            progress = event.progress
        elif isinstance(event, UsageCounted):
            usage = usage + event.usage
        elif isinstance(event, StepStarted):
            steps = replace(steps, started=steps.started + 1, current=event.key)
        elif isinstance(event, StepFinished):
            steps = _step_ended(replace(steps, finished=steps.finished + 1), event.key)
        elif isinstance(event, StepFailed):
            steps = _step_ended(replace(steps, failed=steps.failed + 1), event.key)
        elif not isinstance(event, ToolReturned | OutputRestarted):
            raise IllegalTransition(run.id, run.status, "record", f"{event.type} is not an attempt's to say")
    visible = progress is not run.progress or usage is not run.usage or steps is not run.steps
    if not visible and first is run.first_output_at:
        return Outcome(run, command.events, visible=False)
    told = replace(run, progress=progress, usage=usage, steps=steps, first_output_at=first)
    return Outcome(told, command.events, visible=visible or first is not run.first_output_at)


def _step_ended(steps: StepCounts, key: str) -> StepCounts:
    return replace(steps, current=None) if steps.current == key else steps
