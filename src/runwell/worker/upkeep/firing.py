"""Starting the runs of schedules.

First the run is submitted, then the schedule is moved on. A process that dies in between leaves a schedule
that is still due; whoever fires next submits the same run, under the same idempotency key, and gets the one
there is. So do two processes that fire at once, of which one is told that the schedule has moved on.
"""

import asyncio
import logging

from msgspec.structs import replace

from runwell.domain.damaged import Damaged
from runwell.domain.errors import InvalidInput, RunwellError, Unavailable
from runwell.domain.ids import spell
from runwell.domain.instant import SECOND, Instant
from runwell.domain.schedule import Missed, Plan, Schedule
from runwell.engine import cron
from runwell.engine.core import Core
from runwell.engine.schedules import fired, firing_of
from runwell.engine.submit import submit

LOG = logging.getLogger(__name__)

BATCH = 100
"""Schedules that are fired together."""
ON_TIME = 60 * SECOND
"""A time is missed when it is over for longer than this: a restart takes a while too."""
MOST_MADE_UP = 100
"""Runs of one schedule that are started for times that were missed."""
LONGEST_ERROR = 500


async def fire_due(core: Core, complained: set[str] | None = None) -> int:
    """Start a run for each time that is due, as each schedule's policy for missed ones has it; how many
    schedules were moved on. One that cannot start its run says so in `last_error`, and goes on. One that
    cannot be read is logged once, if it can be kept in mind in `complained`.

    Raises `Unavailable`, for the store or a full queue; what is due stays so.
    """
    complained = set() if complained is None else complained
    moved, passed = 0, frozenset[str]()
    now = core.clock.now()
    while due := await core.store.schedules.due(now, BATCH, passed):
        schedules = [each for each in due if isinstance(each, Schedule)]
        _complain([each for each in due if isinstance(each, Damaged)], complained)
        outcomes = await asyncio.gather(
            *(_fire(core, each, now) for each in schedules), return_exceptions=True
        )
        moved += outcomes.count(True)
        _report(schedules, outcomes)
        if len(due) < BATCH:
            break
        # What is still due then must not stand before the others.
        done = {each.id for each, outcome in zip(schedules, outcomes, strict=True) if outcome is True}
        passed |= {each.id for each in due} - done
    return moved


def _complain(damaged: list[Damaged], complained: set[str]) -> None:
    for each in damaged:
        if each.id not in complained:
            complained.add(each.id)
            LOG.error(
                "%s of %s cannot be read, and starts no runs: %s",
                spell(each.what, each.id), each.owner, each.why,
            )  # fmt: skip


def _report(due: list[Schedule], outcomes: list[bool | BaseException]) -> None:
    """Log what nobody foresaw: it must not keep the others from their turn. Raise the first
    `Unavailable`."""
    failed = [(each, outcome) for each, outcome in zip(due, outcomes, strict=True) if outcome is not True]
    for schedule, outcome in failed:
        if isinstance(outcome, Exception) and not isinstance(outcome, Unavailable):
            LOG.error("%s cannot be fired", spell("schedule", schedule.id), exc_info=outcome)
    for _, outcome in failed:
        if isinstance(outcome, Unavailable):
            raise outcome


async def _fire(core: Core, schedule: Schedule, now: Instant) -> bool:
    """Whether it was this call that has moved the schedule on."""
    plan = schedule.plan
    try:
        dues = _to_start(schedule, now)
        later = cron.next_after(plan.cron, plan.timezone, now)
    except InvalidInput as error:
        # It was valid once; a zone may be gone from a newer database of them.
        return (
            await core.store.schedules.save(replace(schedule, next_at=None, last_error=_said(error)))
            is not None
        )
    if not dues:
        LOG.info("%s: what was missed is passed over", spell("schedule", schedule.id))
        return await core.store.schedules.save(replace(schedule, next_at=later)) is not None
    for due, following in zip(dues, [*dues[1:], later], strict=True):
        started = await _start(core, schedule, due, now)
        moved = await core.store.schedules.save(replace(started, next_at=following))
        if moved is None:
            return False
        schedule = moved
    return True


def _to_start(schedule: Schedule, now: Instant) -> list[Instant]:
    """The times that get a run, oldest first: those on time, and missed ones as the policy has it."""
    plan, first = schedule.plan, schedule.next_at
    if first is None:
        return []
    if plan.missed is Missed.SKIP:
        first = max(first, now - ON_TIME)
    return cron.between(plan.cron, plan.timezone, first, now, _most(plan))


def _most(plan: Plan) -> int:
    return MOST_MADE_UP if plan.missed is Missed.ALL else 1


async def _start(core: Core, schedule: Schedule, due: Instant, now: Instant) -> Schedule:
    """Submit the run of this time; the schedule with what came of it. Raises `Unavailable`."""
    try:
        run = await fired(core, schedule, due) if now - due > ON_TIME else None
        if run is None:
            run = (await submit(core, firing_of(schedule, due))).run
    except Unavailable:
        raise
    except RunwellError as error:
        LOG.warning("%s started no run: %s", spell("schedule", schedule.id), error.message)
        return replace(schedule, last_at=due, last_run_id=None, last_error=_said(error))
    return replace(schedule, last_at=due, last_run_id=run.id, last_error=None)


def _said(error: RunwellError) -> str:
    return error.message[:LONGEST_ERROR]
