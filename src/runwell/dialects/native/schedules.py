"""What /schedules reads and sends, field by field."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.json import Decoder

from runwell.dialects.native.bodies import Object, RunId, Seconds, ThreadId, Time, Value
from runwell.dialects.native.requests import AnyId, Name, Positive
from runwell.domain import json_gate
from runwell.domain.ids import parse_id, spell
from runwell.domain.instant import Instant, to_iso
from runwell.domain.schedule import Missed, Plan
from runwell.domain.schedule import Schedule as Kept
from runwell.domain.thread import IfBusy
from runwell.engine.cron import LONGEST_CRON, LONGEST_TIMEZONE
from runwell.engine.schedules import LONGEST_NAME

Cron = Annotated[
    str,
    Meta(
        max_length=LONGEST_CRON,
        description="Five fields: minute hour day-of-month month day-of-week",
        examples=["0 9 * * MON-FRI"],
    ),
]
Timezone = Annotated[
    str,
    Meta(
        max_length=LONGEST_TIMEZONE,
        description="A name of the IANA database that `cron` is read in",
        examples=["Europe/Berlin"],
    ),
]
Label = Annotated[str, Meta(max_length=LONGEST_NAME)]
Priority = Annotated[int, Meta(ge=-100, le=100)]
Attempts = Annotated[int, Meta(ge=1, le=100)]
Input = Annotated[Any, Meta(description="Any JSON value that fits the agent's input schema")]


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """Starts a run of `agent` at the times of `cron`. `next_at` is the next of them, null while it is
    paused. `last_at` is the newest that was dealt with: `last_run_id` is its run, or `last_error` says why
    there is none."""

    id: Annotated[str, Meta(pattern="^schedule_[0-9a-f]{32}$")]
    name: str
    agent: str
    cron: Cron
    timezone: Timezone
    missed: Missed
    paused: bool
    thread_id: ThreadId | None
    if_busy: IfBusy
    concurrency_key: str | None
    metadata: Object
    priority: int
    timeout: Seconds | None
    max_attempts: int | None
    expires_in: Seconds | None
    created_at: Time
    next_at: Time | None
    last_at: Time | None
    last_run_id: RunId | None
    last_error: str | None


class ScheduleDetail(Schedule, frozen=True, kw_only=True):
    """A schedule with what its runs get, and the `next` few times that it is due."""

    input: Value
    next: list[Time]


class SchedulePage(msgspec.Struct, frozen=True):
    schedules: list[Schedule]
    next_cursor: str | None


class CreateSchedule(msgspec.Struct, forbid_unknown_fields=True):
    """When to run what. `missed` says what becomes of times that came while no server was there. The last
    six fields are those of a submit; `metadata` is added to by `schedule` and `due_at`."""

    agent: Name
    cron: Cron
    input: Input = None
    name: Label = ""
    timezone: Timezone = "UTC"
    missed: Missed = Missed.SKIP
    paused: bool = False
    thread_id: AnyId | None = None
    if_busy: IfBusy = IfBusy.QUEUE
    concurrency_key: Name | None = None
    metadata: dict[str, Any] = {}
    priority: Priority = 0
    timeout: Positive | None = None
    max_attempts: Attempts | None = None
    expires_in: Positive | None = None

    def plan(self) -> Plan:
        """Raises `InvalidId`, `InvalidJson`."""
        return Plan(**_plain(self))


class UpdateSchedule(msgspec.Struct, forbid_unknown_fields=True):
    """What is left out stays as it is. Another `cron` or `timezone`, or a resume, counts from now."""

    agent: Name | UnsetType = UNSET
    cron: Cron | UnsetType = UNSET
    input: Input | UnsetType = UNSET
    name: Label | UnsetType = UNSET
    timezone: Timezone | UnsetType = UNSET
    missed: Missed | UnsetType = UNSET
    paused: bool | UnsetType = UNSET
    thread_id: AnyId | UnsetType | None = UNSET
    if_busy: IfBusy | UnsetType = UNSET
    concurrency_key: Name | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    timeout: Positive | UnsetType | None = UNSET
    max_attempts: Attempts | UnsetType | None = UNSET
    expires_in: Positive | UnsetType | None = UNSET

    def changes(self) -> dict[str, Any]:
        """The fields of a plan that were given. Raises `InvalidId`, `InvalidJson`."""
        return _plain(self)


BODIES = (Schedule, ScheduleDetail, SchedulePage)
REQUESTS = (CreateSchedule, UpdateSchedule)

CREATE_SCHEDULE = Decoder(CreateSchedule)
UPDATE_SCHEDULE = Decoder(UpdateSchedule)


def _plain(given: CreateSchedule | UpdateSchedule) -> dict[str, Any]:
    """The fields that were given, as a plan keeps them."""
    fields = {name: getattr(given, name) for name in given.__struct_fields__}
    fields = {name: value for name, value in fields.items() if value is not UNSET}
    for name in ("input", "metadata"):
        if name in fields:
            json_gate.check(fields[name], f"$.{name}")
            fields[name] = json_gate.encode(fields[name])
    if fields.get("thread_id") is not None:
        fields["thread_id"] = parse_id(fields["thread_id"])
    return fields


def shown(schedule: Kept) -> Schedule:
    return Schedule(**_fields(schedule))


def shown_in_detail(schedule: Kept, upcoming: Sequence[Instant]) -> ScheduleDetail:
    """`upcoming` are the times that it is due next."""
    return ScheduleDetail(
        **_fields(schedule), input=schedule.plan.input, next=[to_iso(each) for each in upcoming]
    )


def _fields(schedule: Kept) -> dict[str, Any]:
    plan = msgspec.structs.asdict(schedule.plan)
    del plan["input"]
    return plan | {
        "id": spell("schedule", schedule.id),
        "thread_id": None if schedule.plan.thread_id is None else spell("thread", schedule.plan.thread_id),
        "created_at": to_iso(schedule.created_at),
        "next_at": _time(schedule.next_at),
        "last_at": _time(schedule.last_at),
        "last_run_id": None if schedule.last_run_id is None else spell("run", schedule.last_run_id),
        "last_error": schedule.last_error,
    }


def _time(instant: Instant | None) -> str | None:
    return None if instant is None else to_iso(instant)
