"""Schedules: runs at the times that a cron expression names.

The verbs of their owners are here; `worker.upkeep.firing` starts the runs. A run of a schedule says so in
its `source`, and which schedule and which time in its metadata.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from msgspec.structs import replace

from runwell.domain import json_gate
from runwell.domain.errors import Conflict, InvalidInput
from runwell.domain.ids import new_id, spell
from runwell.domain.instant import Instant, to_iso
from runwell.domain.run import Run
from runwell.domain.schedule import Plan, Schedule
from runwell.engine import cron
from runwell.engine.core import Core
from runwell.engine.submit import Submission, check, submit
from runwell.ports.store import Idempotency, RunFilter

SOURCE = "schedule"
"""What its runs say they come from, and where the idempotency keys of its firings are unique."""
MOST_SCHEDULES = 1_000
"""Of one owner."""
LONGEST_NAME = 200
TRIES = 5
"""How often a change is made again when the schedule has moved on meanwhile."""


async def create(core: Core, owner: str, plan: Plan) -> Schedule:
    """A schedule, whose first time is the next one from now. Raises `AgentNotFound`, `InvalidInput`,
    `InvalidJson`."""
    now = core.clock.now()
    _check_plan(plan)
    schedule = Schedule(id=new_id(now), owner=owner, plan=plan, created_at=now)
    spec = await check(core, submission_of(schedule, now))
    schedule = replace(schedule, plan=replace(plan, agent=spec.name), next_at=_first(plan, now))
    if await core.store.schedules.count(owner) >= MOST_SCHEDULES:
        raise InvalidInput("$", f"an owner may have at most {MOST_SCHEDULES} schedules", "Delete one first.")
    await core.store.schedules.add(schedule)
    return schedule


async def update(core: Core, owner: str, schedule_id: str, changes: Mapping[str, Any]) -> Schedule:
    """Change what is given of the plan. Another expression, another zone and a resume count from now:
    times that came before are not made up for.

    Raises `ScheduleNotFound`, `AgentNotFound`, `InvalidInput`, `InvalidJson`; `Conflict` when others
    change it all the time.
    """
    for _ in range(TRIES):
        seen = await core.store.schedules.get(schedule_id, owner)
        changed = await _changed(core, seen, replace(seen.plan, **changes))
        if changed == seen:
            return seen
        if saved := await core.store.schedules.save(changed):
            return saved
    raise Conflict(f"schedule_{schedule_id} is being changed by others", "Try again.")


async def _changed(core: Core, seen: Schedule, plan: Plan) -> Schedule:
    now = core.clock.now()
    changed = replace(seen, plan=plan)
    _check_plan(plan)
    # Only what concerns its runs is looked at again: one whose agent is gone can still be paused.
    if submission_of(changed, now) != submission_of(seen, now):
        await check(core, submission_of(changed, now))
    if _rhythm(plan) != _rhythm(seen.plan):
        changed = replace(changed, next_at=_first(plan, now))
    return changed


async def fire(core: Core, owner: str, schedule_id: str) -> Run:
    """Start a run now, besides those that are due, also of a paused one; the run.

    Raises `ScheduleNotFound` and what `submit` raises.
    """
    schedule = await core.store.schedules.get(schedule_id, owner)
    return (await submit(core, submission_of(schedule, core.clock.now()))).run


def upcoming(schedule: Schedule, count: int) -> list[Instant]:
    """The next times that it is due, of a paused one none."""
    if schedule.next_at is None:
        return []
    plan = schedule.plan
    return list(islice(cron.times(plan.cron, plan.timezone, schedule.next_at - 1), count))


def submission_of(schedule: Schedule, due: Instant) -> Submission:
    """The run that is to be started for the time `due`. Its metadata says which schedule and which time,
    whatever the plan's says there."""
    plan = schedule.plan
    metadata = json_gate.decode(plan.metadata)
    return Submission(
        owner=schedule.owner,
        input=json_gate.decode(plan.input),
        agent=plan.agent,
        source=SOURCE,
        thread_id=plan.thread_id,
        if_busy=plan.if_busy,
        concurrency_key=plan.concurrency_key,
        metadata=metadata | {"schedule": spell("schedule", schedule.id), "due_at": to_iso(due)},
        priority=plan.priority,
        timeout=plan.timeout,
        max_attempts=plan.max_attempts,
        expires_in=plan.expires_in,
    )


def firing_of(schedule: Schedule, due: Instant) -> Submission:
    """The same, and the same run however often it is submitted: whoever fires may die before it has
    written down that it did, and another may fire at the same moment."""
    key = _key(schedule, due)
    return replace(
        submission_of(schedule, due), idempotency=Idempotency(SOURCE, key, key.encode()), label=key
    )


async def fired(core: Core, schedule: Schedule, due: Instant) -> Run | None:
    """The run that was started for this time, if one was: for times so long ago that the idempotency key
    may have been forgotten."""
    where = RunFilter(label=_key(schedule, due))
    found = await core.store.runs.page(schedule.owner, where, before=None, after=None, limit=100)
    # Retries have its label too.
    return min(found, key=lambda run: run.retry_of is not None, default=None)


def _key(schedule: Schedule, due: Instant) -> str:
    return f"{schedule.id}:{due}"


def _rhythm(plan: Plan) -> tuple[str, str, bool]:
    return plan.cron, plan.timezone, plan.paused


def _first(plan: Plan, now: Instant) -> Instant | None:
    """The first time after now; None while it is paused."""
    found = cron.next_after(plan.cron, plan.timezone, now)
    if found is None:
        raise InvalidInput("$.cron", f"{plan.cron[:80]!r} is never due", cron.CRON_HINT)
    return None if plan.paused else found


def _check_plan(plan: Plan) -> None:
    cron.check(plan.cron, plan.timezone)
    if len(plan.name) > LONGEST_NAME:
        raise InvalidInput("$.name", f"must have at most {LONGEST_NAME} characters")
    for name in ("name", "cron", "concurrency_key"):
        json_gate.check(getattr(plan, name), f"$.{name}")
