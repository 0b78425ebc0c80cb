"""The store of one event loop."""

from collections.abc import Callable

from runwell.domain.errors import StoreUnavailable
from runwell.store.sqlite.agents import SqliteAgents
from runwell.store.sqlite.callbacks import SqliteCallbacks
from runwell.store.sqlite.documents import SqliteDocuments
from runwell.store.sqlite.events import SqliteEvents
from runwell.store.sqlite.keys import SqliteKeys
from runwell.store.sqlite.outbox import SqliteDeliveries
from runwell.store.sqlite.reader import Reader
from runwell.store.sqlite.runs import SqliteRuns
from runwell.store.sqlite.schedules import SqliteSchedules
from runwell.store.sqlite.stats import SqliteStats
from runwell.store.sqlite.steps import SqliteSteps
from runwell.store.sqlite.threads import SqliteThreads
from runwell.store.sqlite.transaction import Job, Transaction
from runwell.store.sqlite.triggers import SqliteTriggers
from runwell.store.sqlite.users import SqliteSessions, SqliteUsers
from runwell.store.sqlite.workers import SqliteLeases, SqliteWorkers
from runwell.store.sqlite.writer import Desk


class SqliteStore:
    """`ports.store.Store`. Made by `Database.store`, on the loop it is for."""

    def __init__(self, reader: Reader, desk: Desk, leave: Callable[[Desk], None]) -> None:
        self._reader = reader
        self._desk = desk
        self._leave = leave
        self.runs = SqliteRuns(reader, desk)
        self.stats = SqliteStats(reader)
        self.events = SqliteEvents(reader, desk.kept)
        self.steps = SqliteSteps(reader)
        self.threads = SqliteThreads(reader, desk)
        self.keys = SqliteKeys(reader, desk)
        self.agents = SqliteAgents(reader, desk)
        self.callbacks = SqliteCallbacks(reader, desk)
        self.deliveries = SqliteDeliveries(reader, desk)
        self.triggers = SqliteTriggers(reader, desk)
        self.schedules = SqliteSchedules(reader, desk)
        self.documents = SqliteDocuments(reader, desk)
        self.users = SqliteUsers(reader, desk)
        self.sessions = SqliteSessions(reader, desk)
        self.workers = SqliteWorkers(reader, desk)
        self.leases = SqliteLeases(desk)

    async def check(self) -> None:
        beats = await self._desk.write(Beat())
        (seen,) = self._reader.one("SELECT beats FROM pulse") or (0,)
        if seen < beats:
            raise StoreUnavailable("A write cannot be read back", "Check the disk and the system's log.")

    async def close(self) -> None:
        """Stop hearing signals and close the reader; what was handed in is still written."""
        self._leave(self._desk)
        self._reader.close()


class Beat(Job[int]):
    def run(self, transaction: Transaction) -> int:
        (beats,) = transaction.one("UPDATE pulse SET beats = beats + 1 RETURNING beats") or (0,)
        return int(beats)
