"""`ports.store.Runs` on SQLite: reads on the loop, writes through the desk."""

import logging
from collections.abc import Collection

import msgspec

from runwell.domain.errors import RunNotFinal, RunNotFound
from runwell.domain.instant import Instant
from runwell.domain.lifecycle import FINAL, Change
from runwell.domain.run import Run
from runwell.domain.thread import IfBusy
from runwell.ports.signals import SignalKind
from runwell.ports.store import Added, Idempotency, NewMessage, Pruned, QueueDepth, RunFilter
from runwell.store.sqlite import queue, searching
from runwell.store.sqlite.adding import AddRun, find_earlier
from runwell.store.sqlite.committing import CommitChange
from runwell.store.sqlite.paging import count_query
from runwell.store.sqlite.pruning import ForgetRuns, PruneLogs
from runwell.store.sqlite.reader import Reader
from runwell.store.sqlite.rows import BRIEF_FIELDS, MAX_SEQ, RUN_FIELDS, SEQ_BITS, Row, brief_of, run_of
from runwell.store.sqlite.transaction import Job, Transaction
from runwell.store.sqlite.writer import Desk

LOG = logging.getLogger(__name__)

_GET = f"SELECT {RUN_FIELDS} FROM runs WHERE id = ?"
_GET_OWNED = f"SELECT {RUN_FIELDS} FROM runs WHERE id = ? AND owner = ?"
_EXPIRED = f"""SELECT {RUN_FIELDS} FROM runs INDEXED BY runs_expiring
WHERE status IN ('queued', 'waiting') AND expires_at <= ? ORDER BY expires_at LIMIT ?"""
_HELD = f"SELECT {RUN_FIELDS} FROM runs INDEXED BY runs_held WHERE status = 'running' ORDER BY pk"
_EVERY = f"SELECT {RUN_FIELDS} FROM runs WHERE id > ? ORDER BY id LIMIT ?"
_OWNERS = "SELECT id, owner FROM runs WHERE id IN (SELECT unhex(value) FROM json_each(?))"
_FORGET = """DELETE FROM idempotency WHERE (owner, scope, key) IN (
    SELECT owner, scope, key FROM idempotency WHERE created_at < ?
    ORDER BY created_at, owner, scope, key LIMIT ?
)"""


class SqliteRuns:
    def __init__(self, reader: Reader, desk: Desk) -> None:
        self._reader = reader
        self._desk = desk
        self._illegible: set[str] = set()  # said once, not every half second

    async def add(
        self,
        change: Change,
        now: Instant,
        *,
        if_busy: IfBusy = IfBusy.QUEUE,
        message: NewMessage | None = None,
        idempotency: Idempotency | None = None,
        ending: Change | None = None,
    ) -> Added:
        end = CommitChange(ending, now, None) if ending is not None else None
        return await self._desk.write(AddRun(change, now, if_busy, message, idempotency, end))

    async def get(self, run_id: str, owner: str | None = None) -> Run:
        kept = self._desk.kept.get(run_id)
        if kept is not None and (owner is None or kept.owner == owner):
            return kept
        id = bytes.fromhex(run_id)
        row = self._reader.one(_GET, (id,)) if owner is None else self._reader.one(_GET_OWNED, (id, owner))
        if row is None:
            raise RunNotFound(run_id)
        run = run_of(row)
        self._desk.kept.put(run)
        return run

    async def page(
        self,
        owner: str | None,
        where: RunFilter,
        *,
        before: str | None,
        after: str | None,
        limit: int,
        offset: int = 0,
        brief: bool = False,
    ) -> list[Run]:
        fields, read = (BRIEF_FIELDS, brief_of) if brief else (RUN_FIELDS, run_of)
        rows = searching.page(self._reader, owner, where, before, after, limit, offset, fields)
        return [read(row) for row in rows]

    async def count(self, owner: str, where: RunFilter) -> int:
        sql, values = count_query(owner, where)
        return int((self._reader.one(sql, values) or (0,))[0])

    async def owners(self, run_ids: Collection[str]) -> dict[str, str]:
        ids = msgspec.json.encode(sorted(run_ids)).decode()
        return {id.hex(): owner for id, owner in self._reader.all(_OWNERS, (ids,))}

    async def commit(self, change: Change, now: Instant, *, message: NewMessage | None = None) -> Run:
        if not change.events and not change.visible:
            return await self.get(change.run.id)
        return await self._desk.write(CommitChange(change, now, message))

    async def delete(self, run_id: str, owner: str) -> None:
        await self._desk.write(DeleteRun(run_id, owner))

    async def claimable(
        self,
        now: Instant,
        *,
        agents: frozenset[str],
        limit: int,
        exclude: frozenset[str],
        full: frozenset[str] = frozenset(),
    ) -> list[str]:
        return queue.claimable(self._reader, now, agents, full, limit, exclude)

    async def next_due(self, now: Instant) -> Instant | None:
        return queue.next_due(self._reader, now)

    async def expired(self, now: Instant, limit: int) -> list[Run]:
        return self._legible(self._reader.all(_EXPIRED, (now, limit)))

    async def held(self, workers: frozenset[str] | None = None) -> list[Run]:
        # Few: no more than there are places on workers.
        runs = self._legible(self._reader.all(_HELD))
        return runs if workers is None else [run for run in runs if run.worker in workers]

    async def every(self, after: str | None, limit: int) -> list[Run]:
        cursor = bytes.fromhex(after) if after is not None else b""
        while rows := self._reader.all(_EVERY, (cursor, limit)):
            if runs := self._legible(rows):
                return runs
            cursor = rows[-1][0]  # an empty page would be the end
        return []

    async def position(self, run: Run) -> int | None:
        return queue.position(self._reader, run.id)

    async def queued(self, owner: str | None, at_most: int) -> int:
        return queue.queued(self._reader, owner, at_most)

    async def earlier(self, owner: str, idempotency: Idempotency) -> Run | None:
        run_id = find_earlier(self._reader, owner, idempotency)
        if run_id is None:
            return None
        try:
            return await self.get(run_id, owner)
        except RunNotFound:
            return None  # deleted between the two reads, which frees the key

    async def depths(self) -> list[QueueDepth]:
        return queue.depths(self._reader)

    async def forget_idempotency(self, before: Instant, limit: int) -> int:
        return await self._desk.write(ForgetKeys(before, limit))

    async def prune_logs(self, before: Instant, limit: int) -> Pruned:
        return await self._desk.write(PruneLogs(before, limit))

    async def forget(self, before: Instant, limit: int) -> Pruned:
        return await self._desk.write(ForgetRuns(before, limit))

    def _legible(self, rows: list[Row]) -> list[Run]:
        """The runs behind rows of all owners, but for rows that cannot be read.

        One damaged row must not keep a server from starting, nor from looking after all others.
        """
        runs = []
        for row in rows:
            try:
                runs.append(run_of(row))
            except (msgspec.MsgspecError, ValueError, KeyError) as error:
                run_id = row[0].hex()
                if run_id not in self._illegible:
                    self._illegible.add(run_id)
                    LOG.error("run_%s cannot be read and is passed over: %s", run_id, error)
        return runs


class DeleteRun(Job[None]):
    """`Runs.delete`. Its idempotency key stays until it is forgotten, and is free meanwhile."""

    def __init__(self, run_id: str, owner: str) -> None:
        self._run_id = run_id
        self._owner = owner
        self.signals = ((SignalKind.CHANGED, run_id),)

    def run(self, transaction: Transaction) -> None:
        row = transaction.one(
            "SELECT pk, status FROM runs WHERE id = ? AND owner = ?",
            (bytes.fromhex(self._run_id), self._owner),
        )
        if row is None:
            raise RunNotFound(self._run_id)
        pk, status = row
        if status not in FINAL:
            raise RunNotFinal(self._run_id, status, "deleted")
        transaction.flush()  # its last events may still be on their way, and must go too
        first = pk << SEQ_BITS
        transaction.run("DELETE FROM events WHERE key BETWEEN ? AND ?", (first, first | MAX_SEQ))
        transaction.run("DELETE FROM steps WHERE run_pk = ?", (pk,))
        transaction.run("DELETE FROM runs WHERE pk = ?", (pk,))
        transaction.heads.pop(self._run_id, None)


class ForgetKeys(Job[int]):
    def __init__(self, before: Instant, limit: int) -> None:
        self._values = (before, limit)

    def run(self, transaction: Transaction) -> int:
        return transaction.run(_FORGET, self._values)
