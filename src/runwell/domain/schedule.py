"""A schedule: runs of one agent at the times that a cron expression names."""

from enum import StrEnum

import msgspec

from runwell.domain.instant import Instant
from runwell.domain.json_gate import EMPTY, NULL, Json
from runwell.domain.thread import IfBusy


class Missed(StrEnum):
    """What becomes of times that came while nobody was there to start their runs."""

    SKIP = "skip"
    """They are passed over."""
    ONCE = "once"
    """One run stands for all of them; its time is the latest."""
    ALL = "all"
    """Each has its run, the oldest first; of very many the newest."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What its owner says: when, and what is to run then.

    `cron` has five fields, read in `timezone` (a name of the IANA database). `timeout` and `expires_in`
    are seconds; they and the other options are those of a submit.
    """

    agent: str
    cron: str
    input: Json = NULL
    name: str = ""
    timezone: str = "UTC"
    missed: Missed = Missed.SKIP
    paused: bool = False
    thread_id: str | None = None
    if_busy: IfBusy = IfBusy.QUEUE
    concurrency_key: str | None = None
    metadata: Json = EMPTY
    priority: int = 0
    timeout: float | None = None
    max_attempts: int | None = None
    expires_in: float | None = None


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A plan and how far it has come.

    `next_at` is the time whose run is to be started next; None while it is paused, or when no such time
    will come. `last_at` is the newest time that was dealt with: its run is `last_run_id`, or `last_error`
    says why there is none. `version` grows with every change.
    """

    id: str
    owner: str
    plan: Plan
    created_at: Instant
    next_at: Instant | None = None
    last_at: Instant | None = None
    last_run_id: str | None = None
    last_error: str | None = None
    version: int = 1
