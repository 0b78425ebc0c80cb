"""How long a poller should wait before it asks again. Pure."""

from runwell.domain.instant import Instant, seconds_between
from runwell.domain.run import Run, RunStatus

SOONEST = 1
QUEUED_AT_MOST = 15
RUNNING_AT_MOST = 10
WAITING = 15
"""Seconds for a run that waits for a person."""


def retry_after(run: Run, position: int | None, now: Instant) -> int | None:
    """Whole seconds until the next look is worth it; None for a final run.

    A tenth of the age: a run of seconds is seen to end within a second, one of an hour is not asked
    a thousand times. A queued run also waits for those before it, a quarter of a second for each,
    and a delayed one is not asked long before its time.
    """
    if run.final:
        return None
    if run.status is RunStatus.WAITING:
        return WAITING
    if run.status is RunStatus.RUNNING:
        started = run.claimed_at if run.claimed_at is not None else run.queued_at
        return _between(seconds_between(started, now) / 10, RUNNING_AT_MOST)
    if run.not_before is not None and run.not_before > now:
        return _between(seconds_between(now, run.not_before), QUEUED_AT_MOST)
    age = seconds_between(run.queued_at, now) / 10
    return _between(max(age, (position or 0) / 4), QUEUED_AT_MOST)


def _between(seconds: float, most: int) -> int:
    return min(max(round(seconds), SOONEST), most)
