"""The store of one event loop."""

from collections.abc import Sequence

from runwell.domain.errors import StoreUnavailable
from runwell.domain.instant import Instant
from runwell.store.postgres.agents import PostgresAgents
from runwell.store.postgres.callbacks import PostgresCallbacks
from runwell.store.postgres.desk import Desk
from runwell.store.postgres.documents import PostgresDocuments
from runwell.store.postgres.events import PostgresEvents
from runwell.store.postgres.keys import PostgresKeys
from runwell.store.postgres.outbox import PostgresDeliveries
from runwell.store.postgres.pool import Pool, Transaction
from runwell.store.postgres.reoffering import reoffer
from runwell.store.postgres.runs import PostgresRuns
from runwell.store.postgres.schedules import PostgresSchedules
from runwell.store.postgres.stats import PostgresStats
from runwell.store.postgres.steps import PostgresSteps
from runwell.store.postgres.threads import PostgresThreads
from runwell.store.postgres.triggers import PostgresTriggers
from runwell.store.postgres.users import PostgresSessions, PostgresUsers
from runwell.store.postgres.workers import PostgresLeases, PostgresWorkers

_BEAT = "UPDATE pulse SET beats = beats + 1 RETURNING beats"


class PostgresStore:
    """`ports.store.Store`. Made by `Database.store`, on the loop it is for."""

    def __init__(self, pool: Pool, desk: Desk) -> None:
        self._pool = pool
        self._desk = desk
        self.runs = PostgresRuns(pool, desk)
        self.stats = PostgresStats(pool)
        self.events = PostgresEvents(pool)
        self.steps = PostgresSteps(pool)
        self.threads = PostgresThreads(pool, desk)
        self.keys = PostgresKeys(pool, desk)
        self.agents = PostgresAgents(pool, desk)
        self.callbacks = PostgresCallbacks(pool, desk)
        self.deliveries = PostgresDeliveries(pool, desk)
        self.triggers = PostgresTriggers(pool, desk)
        self.schedules = PostgresSchedules(pool, desk)
        self.documents = PostgresDocuments(pool, desk)
        self.users = PostgresUsers(pool, desk)
        self.sessions = PostgresSessions(pool, desk)
        self.workers = PostgresWorkers(pool, desk)
        self.leases = PostgresLeases(desk)

    async def check(self) -> None:
        beats = await self._desk.write(_beat)
        (seen,) = await self._pool.one("SELECT beats FROM pulse") or (0,)
        if seen < beats:
            raise StoreUnavailable("A write cannot be read back", "See the log of PostgreSQL.")

    async def reoffer(self, run_ids: Sequence[str], now: Instant) -> int:
        """Offer queued runs to the queue once more, see `reoffering`. Not a part of the port."""
        return await reoffer(self._desk, run_ids, now)

    async def close(self) -> None:
        """Nothing is held here; the database has the connections."""


async def _beat(transaction: Transaction) -> int:
    (beats,) = await transaction.one(_BEAT) or (0,)
    return int(beats)
