"""What a machine stands on: a database, its signals and its clock, and who gives out the runs.

On a SQLite file a process is alone. On PostgreSQL it is one of many, which meet only in the database.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from runwell.config import BadSetting, Settings
from runwell.dispatch.local import LocalDispatcher
from runwell.domain.agent import AgentSpec
from runwell.domain.errors import StoreUnavailable
from runwell.domain.instant import Instant
from runwell.ports.clock import Clock
from runwell.ports.dispatcher import Dispatcher
from runwell.ports.signals import Signals
from runwell.ports.store import Store
from runwell.store.signals import LocalSignals
from runwell.worker.upkeep.rescue import rescue, rescue_all

if TYPE_CHECKING:
    from runwell.store.postgres import Database as Postgres
    from runwell.worker.upkeep.repair import Repairs

LONGEST_IDLE = 5.0
"""Seconds that a transaction may stand still."""

Specs = Callable[[], Sequence[AgentSpec]]
"""The code agents that are served, as they are known now."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> Instant:
        return time.time_ns() // 1_000


class Ground(Protocol):
    """One database, opened for this process. Belongs to the loop it was opened on."""

    @property
    def store(self) -> Store: ...
    @property
    def signals(self) -> Signals: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def alone(self) -> bool:
        """Nobody else works on this database."""
        ...

    @property
    def repairs(self) -> "Repairs | None":
        """What must be mended from time to time, by one of all processes."""
        ...

    def dispatcher(self, store: Store, specs: Sequence[AgentSpec], worker: str) -> Dispatcher:
        """Who gives out runs of these agents to this worker, once it is started. `store` may be a wrapper of
        ours."""
        ...

    async def take_over(self) -> None:
        """Take up what an earlier process has left running."""
        ...

    async def measure(self) -> None:
        """Set the clock."""
        ...


class LocalGround:
    """A SQLite file. This process has its lock."""

    alone = True
    repairs = None

    def __init__(self, store: Store, signals: LocalSignals, clock: Clock, places: int) -> None:
        self.store = store
        self.signals = signals
        self.clock = clock
        self._places = places

    def dispatcher(self, store: Store, specs: Sequence[AgentSpec], worker: str) -> Dispatcher:
        return LocalDispatcher(store, self.clock, self._places)

    async def take_over(self) -> None:
        await rescue_all(self.store, self.clock)

    async def measure(self) -> None:
        """The machine's clock is nobody's to set here."""


@asynccontextmanager
async def local_ground(settings: Settings, clock: Clock | None = None) -> AsyncIterator[LocalGround]:
    from runwell.store.sqlite import Database

    database = Database.open(settings.path, durability=settings.durability)
    try:
        signals = LocalSignals()
        store = database.store(signals.publish)
        try:
            yield LocalGround(store, signals, clock or SystemClock(), settings.concurrency)
        finally:
            await store.close()
    finally:
        await asyncio.to_thread(database.close)


class FleetGround:
    """A PostgreSQL database, with PgQueuer's tables beside ours."""

    alone = False

    def __init__(self, database: "Postgres", settings: Settings, specs: Specs) -> None:
        from runwell.dispatch.pgqueuer import Enlisting
        from runwell.dispatch.pgqueuer.repair import JobTable
        from runwell.worker.upkeep.repair import Repairs

        self._database = database
        self._settings = settings
        self.clock = database.clock()
        self.signals = database.signals()
        self._shared = database.shared(self.signals)
        self.store = database.store(self.signals.publish, Enlisting(specs).enlist)
        self.repairs = Repairs(
            self.store, self.clock, JobTable(self._shared), self.store.reoffer, settings.lapse
        )

    def dispatcher(self, store: Store, specs: Sequence[AgentSpec], worker: str) -> Dispatcher:
        from runwell.dispatch.pgqueuer import PgQueuerDispatcher

        return PgQueuerDispatcher(
            store,
            self._shared,
            lambda run: rescue(store, self.clock, run, by=worker),
            places=self._settings.concurrency,
            lapse=self._settings.lapse,
            limits={spec.name: spec.concurrency for spec in specs},
        )

    async def take_over(self) -> None:
        """What others have left is found by its jobs."""

    async def measure(self) -> None:
        await self.clock.measure()


@asynccontextmanager
async def fleet_ground(url: str, settings: Settings, specs: Specs) -> AsyncIterator[FleetGround]:
    """Raises `StoreUnavailable`, and `BadSetting` where the extra is not installed."""
    async with AsyncExitStack() as stack:
        database = await open_postgres(url, settings)
        stack.push_async_callback(database.close)
        ground = FleetGround(database, settings, specs)
        await ground.measure()
        await ground.signals.start()
        stack.push_async_callback(ground.signals.close)
        yield ground


async def open_postgres(url: str, settings: Settings, *, migrates: bool | None = None) -> "Postgres":
    """The database, brought up to date if that is wanted, PgQueuer's tables too.

    Raises `StoreUnavailable`, and `BadSetting` where the extra is not installed.
    """
    try:
        from runwell.dispatch.pgqueuer.schema import pending, prepare
        from runwell.store.postgres import Database
    except ImportError as error:
        raise BadSetting(
            f"PostgreSQL needs packages that are not installed ({error.name})",
            "Install them: pip install 'runwell[postgres]'.",
        ) from error
    wanted = settings.migrate if migrates is None else migrates
    # Whoever takes a run over waits for its row, which a process that was cut off may hold in the middle of
    # a transaction: the server must have undone that when the lapse is over.
    idle_limit = min(LONGEST_IDLE, settings.lapse / 2)
    database = await Database.open(
        url, connections=settings.db_connections, idle_limit=idle_limit, migrates=wanted
    )
    try:
        if wanted:
            await database.apart(prepare)
        elif await database.apart(pending):
            raise StoreUnavailable(
                "The tables of the queue are not there, or not up to date", "Run `runwell migrate`."
            )
    except BaseException:
        await database.close()
        raise
    return database
