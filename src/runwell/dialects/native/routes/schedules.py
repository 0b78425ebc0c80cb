"""/schedules: runs at the times that a cron expression names."""

from typing import Annotated

from fastapi import Path, Request
from starlette.responses import Response

from runwell.dialects.exchange import Reply, as_response
from runwell.dialects.native import bodies, requests
from runwell.dialects.native.native import Native, ReadsRuns, WritesRuns, mount_of, native_of
from runwell.dialects.native.openapi import Answer, Operation
from runwell.dialects.native.responses import PRIVATE
from runwell.dialects.native.routes.runs import Cursor, Limit
from runwell.dialects.native.schedules import (
    CREATE_SCHEDULE,
    UPDATE_SCHEDULE,
    CreateSchedule,
    ScheduleDetail,
    SchedulePage,
    UpdateSchedule,
    shown,
    shown_in_detail,
)
from runwell.dialects.native.submit import accepted
from runwell.domain.ids import parse_id
from runwell.domain.schedule import Schedule
from runwell.engine import schedules

PREVIEWED = 5
"""How many times to come are shown."""

ScheduleId = Annotated[
    str, Path(description="The schedule's id", json_schema_extra={"pattern": bodies.ANY_SPELLING})
]


async def create_schedule(request: Request, caller: WritesRuns) -> Response:
    """Make a schedule. The answer shows the next times that it is due.

    At each of them a run is started, once, whatever happens to the server meanwhile; its `source` is
    `schedule`, and its metadata names the schedule and the time.
    """
    native = native_of(request)
    wanted = requests.parse(await request.body(), CREATE_SCHEDULE)
    return _reply(native, 201, await schedules.create(native.core, caller.owner, wanted.plan()))


async def list_schedules(
    request: Request, caller: ReadsRuns, limit: Limit = 20, cursor: Cursor = None
) -> Response:
    """List your schedules, newest first."""
    native = native_of(request)
    before = requests.read_cursor(cursor)
    found = await native.core.store.schedules.page(caller.owner, before=before, limit=limit + 1)
    page = found[:limit]
    body = SchedulePage(
        schedules=[shown(each) for each in page if isinstance(each, Schedule)],
        next_cursor=requests.cursor_of(page[-1].id) if len(found) > limit else None,
    )
    return as_response(native.render.json(200, body, [PRIVATE]))


async def get_schedule(request: Request, schedule_id: ScheduleId, caller: ReadsRuns) -> Response:
    """Read a schedule, with the next times that it is due."""
    native = native_of(request)
    schedule = await native.core.store.schedules.get(parse_id(schedule_id), caller.owner)
    return _reply(native, 200, schedule)


async def update_schedule(request: Request, schedule_id: ScheduleId, caller: WritesRuns) -> Response:
    """Change a schedule, pause it, or resume it."""
    native = native_of(request)
    wanted = requests.parse(await request.body(), UPDATE_SCHEDULE)
    schedule = await schedules.update(native.core, caller.owner, parse_id(schedule_id), wanted.changes())
    return _reply(native, 200, schedule)


async def delete_schedule(request: Request, schedule_id: ScheduleId, caller: WritesRuns) -> Response:
    """Delete a schedule. Its runs stay, those that are under way too."""
    native = native_of(request)
    await native.core.store.schedules.delete(parse_id(schedule_id), caller.owner)
    return as_response(Reply(204, []))


async def fire_schedule(request: Request, schedule_id: ScheduleId, caller: WritesRuns) -> Response:
    """Start a run of a schedule now.

    It comes besides those that are due, also while the schedule is paused.
    """
    native = native_of(request)
    run = await schedules.fire(native.core, caller.owner, parse_id(schedule_id))
    return as_response(accepted(native, run, mount_of(request)))


def _reply(native: Native, status: int, schedule: Schedule) -> Response:
    body = shown_in_detail(schedule, schedules.upcoming(schedule, PREVIEWED))
    return as_response(native.render.json(status, body, [PRIVATE]))


ONE = "/schedules/{schedule_id}"
EXAMPLE = {"agent": "summarize", "cron": "0 9 * * MON-FRI", "timezone": "Europe/Berlin", "input": "A text."}

OPERATIONS = (
    Operation(
        "POST", "/schedules", create_schedule, (Answer(201, "The schedule.", ScheduleDetail),),
        "schedules", CreateSchedule, (404,), EXAMPLE,
    ),
    Operation("GET", "/schedules", list_schedules, (Answer(200, "A page.", SchedulePage),), "schedules"),
    Operation(
        "GET", ONE, get_schedule, (Answer(200, "The schedule.", ScheduleDetail),), "schedules", None, (404,)
    ),
    Operation(
        "PATCH", ONE, update_schedule, (Answer(200, "The schedule.", ScheduleDetail),),
        "schedules", UpdateSchedule, (404, 409), {"cron": "0 8 * * MON-FRI"},
    ),
    Operation("DELETE", ONE, delete_schedule, (Answer(204, "Deleted."),), "schedules", None, (404,)),
    Operation(
        "POST", f"{ONE}/fire", fire_schedule,
        (Answer(202, "The run is queued.", bodies.Submitted, ("Location",)),), "schedules", None, (404, 409),
    ),
)  # fmt: skip
