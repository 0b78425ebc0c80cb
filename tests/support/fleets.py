"""Machines that share a PostgreSQL database, in the test's process; and what their queue looks like."""

import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple

from runwell import wiring
from runwell.auth.authenticator import Authenticator
from runwell.auth.sessions import Accounts
from runwell.config import Settings
from runwell.dialects.dialect import Options, Services
from runwell.dispatch.pgqueuer.names import LOG_TABLE, TABLE
from runwell.domain.events import AttemptStarted
from runwell.domain.instant import Instant
from runwell.server.app import build_app
from runwell.server.front import Front
from runwell.stream.presence import Closing
from runwell.wiring import Machine
from runwell.wiring.grounds import FleetGround, fleet_ground
from tests.support.machines import whole_log
from tests.support.postgres import a_session
from tests.support.postgres import until as until_sql

HOUR = 3_600_000_000
"""In microseconds."""
GONE = "00000000-0000-0000-0000-000000000000"
"""The queue manager of a process that is no more."""

_JOBS = f"""SELECT dedupe_key, status::text, entrypoint, priority, attempts,
    (extract(epoch FROM execute_after) * 1000000)::bigint FROM {TABLE} ORDER BY id"""
_ABANDON = f"""UPDATE {TABLE} SET status = 'picked', queue_manager_id = $2,
    heartbeat = now() - interval '1 hour' WHERE dedupe_key = $1"""


def settings_of(url: str, **settings: Any) -> Settings:
    return Settings(db=url, **{"migrate": False, "db_connections": 4, "grace": 1.0, **settings})


@asynccontextmanager
async def a_fleet_machine(
    url: str, *agents: Any, serves: bool = False, **settings: Any
) -> AsyncIterator[Machine]:
    """One machine of those on the database, stopped at the end. `worker=False`: one that only serves."""
    async with wiring.machine(settings_of(url, **settings), list(agents), serves=serves) as machine:
        yield machine


@asynccontextmanager
async def a_ground(url: str, *agents: Any, lapse: float = 9.0) -> AsyncIterator[FleetGround]:
    """A database and its queue, with nobody at work on it."""
    specs = [agent.spec for agent in agents]
    async with fleet_ground(url, settings_of(url, lapse=lapse), lambda: specs) as ground:
        yield ground


class JobRow(NamedTuple):
    key: str
    status: str
    entrypoint: str
    priority: int
    attempts: int
    execute_after: Instant


async def jobs(url: str) -> Sequence[JobRow]:
    """The queue, in the order in which the jobs came."""
    async with a_session(url) as session:
        return [JobRow(*row) for row in await session.fetch(_JOBS)]


async def history(url: str) -> list[str]:
    """What has become of the jobs, as PgQueuer has noted it: statuses, in order."""
    async with a_session(url) as session:
        return [row[0] for row in await session.fetch(f"SELECT status::text FROM {LOG_TABLE} ORDER BY id")]


async def execute(url: str, sql: str, *values: Any) -> str:
    """A statement by somebody else; what became of it."""
    async with a_session(url) as session:
        return str(await session.execute(sql, *values))


async def abandon(url: str, key: str) -> None:
    """The job was picked by a process that has not been heard since."""
    assert await execute(url, _ABANDON, key, GONE) == "UPDATE 1"


class Crowd:
    """How many are inside at once, by kind; `most` is how many have been. For agents of many machines."""

    def __init__(self) -> None:
        self.order: list[Any] = []
        self.most: Counter[str] = Counter()
        self._inside: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def inside(self, kind: str, who: Any = None) -> Iterator[None]:
        with self._lock:
            self.order.append(who)
            self._inside[kind] += 1
            self.most[kind] = max(self.most[kind], self._inside[kind])
        try:
            yield
        finally:
            with self._lock:
                self._inside[kind] -= 1


async def workers_of(machine: Machine, run_id: str) -> list[str]:
    """Who has taken the run, in order."""
    log = await whole_log(machine, run_id)
    return [line.event.worker for line in log if isinstance(line.event, AttemptStarted)]


async def without_upkeep(url: str) -> None:
    """Nobody mends anything for an hour: it is the duty of a process that does nothing."""
    sql = "INSERT INTO leases (duty, holder, until) VALUES ('upkeep', $1, $2)"
    await execute(url, sql, GONE, time.time_ns() // 1_000 + HOUR)


async def none_left(url: str) -> None:
    """Until no job is left."""
    await until_sql(url, f"SELECT count(*) = 0 FROM {TABLE}")


def app_of(machine: Machine) -> Front:
    """What the machine serves over HTTP, in local mode."""
    authenticator = Authenticator(machine.store, machine.clock, local_mode=True)
    accounts = Accounts(machine.store, machine.clock, signup_open=False)
    services = Services(
        machine.core, authenticator, Closing(), machine.guard.resolve, Options(), accounts=accounts
    )
    return build_app(services)
