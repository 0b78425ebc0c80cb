"""`ports.store.Threads` on PostgreSQL."""

from runwell.domain.errors import ThreadBusy, ThreadNotFound
from runwell.domain.instant import Instant
from runwell.domain.json_gate import EMPTY
from runwell.domain.run import Run
from runwell.domain.thread import Message, Thread, seen_by
from runwell.ports.signals import SignalKind
from runwell.ports.store import NewMessage
from runwell.store.postgres.desk import Desk
from runwell.store.postgres.messages import NewThread, append_message, lock_thread, make_or_lock
from runwell.store.postgres.pool import Pool, Transaction
from runwell.store.postgres.rows import MAX_SEQ, MESSAGE_FIELDS, THREAD_FIELDS, message_of, thread_of

_GET = f"SELECT {THREAD_FIELDS} FROM threads WHERE id = $1 AND owner = $2"
_GET_BY_PK = f"SELECT {THREAD_FIELDS} FROM threads WHERE pk = $1"
_OWNER = "SELECT owner FROM threads WHERE id = $1"
_PAGE = f"""SELECT {THREAD_FIELDS} FROM threads
WHERE owner = $1 AND ($2::bytea IS NULL OR id < $2) ORDER BY id DESC LIMIT $3"""
_UPDATE = f"""UPDATE threads SET title = $3, metadata = $4, updated_at = $5 WHERE id = $1 AND owner = $2
RETURNING {THREAD_FIELDS}"""
_FIND = "SELECT pk FROM threads WHERE id = $1 AND owner = $2"
_FIND_LIVE = """SELECT id FROM runs
WHERE thread_id = $1 AND status IN ('queued', 'running', 'waiting') ORDER BY pk LIMIT 1"""
_LET_RUNS_GO = """UPDATE runs SET thread_id = NULL, version = version + 1
WHERE thread_id = $1 RETURNING id, pk"""
_MESSAGES = f"""SELECT {MESSAGE_FIELDS} FROM messages
WHERE thread_pk = (SELECT pk FROM threads WHERE id = $1) AND position > $2 ORDER BY position LIMIT $3"""

_OWN = f"""SELECT {MESSAGE_FIELDS} FROM messages
WHERE thread_pk = $1 AND run_id = $2 AND role = 'user' ORDER BY position DESC LIMIT 1"""
_NEWEST = f"""SELECT {MESSAGE_FIELDS} FROM messages
WHERE thread_pk = $1 AND position < $2 ORDER BY position DESC LIMIT $3"""
_REPLIES = f"""SELECT {MESSAGE_FIELDS} FROM messages
WHERE thread_pk = $1 AND position > $2 AND role != 'user' ORDER BY position LIMIT $3"""
_EARLIER = "SELECT coalesce(retry_of, continues), started_at FROM runs WHERE id = $1"


class PostgresThreads:
    def __init__(self, pool: Pool, desk: Desk) -> None:
        self._pool = pool
        self._desk = desk

    async def add(self, thread: Thread) -> Thread:
        new = NewThread(
            bytes.fromhex(thread.id), thread.owner, thread.created_at, thread.title, thread.metadata
        )

        async def work(transaction: Transaction) -> Thread:
            held = await make_or_lock(transaction, new)
            if held.owner != thread.owner:
                raise ThreadNotFound(thread.id)
            (row,) = await transaction.all(_GET_BY_PK, held.pk)
            return thread_of(row)

        return await self._desk.write(work, thread.id)

    async def get(self, thread_id: str, owner: str) -> Thread:
        row = await self._pool.one(_GET, bytes.fromhex(thread_id), owner)
        if row is None:
            raise ThreadNotFound(thread_id)
        return thread_of(row)

    async def owner(self, thread_id: str) -> str | None:
        row = await self._pool.one(_OWNER, bytes.fromhex(thread_id))
        return None if row is None else str(row[0])

    async def page(self, owner: str, *, before: str | None, limit: int) -> list[Thread]:
        cursor = None if before is None else bytes.fromhex(before)
        return [thread_of(row) for row in await self._pool.all(_PAGE, owner, cursor, limit)]

    async def update(self, thread: Thread, now: Instant) -> Thread:
        metadata = None if thread.metadata == EMPTY else bytes(thread.metadata)

        async def work(transaction: Transaction) -> Thread:
            id = bytes.fromhex(thread.id)
            row = await transaction.one(_UPDATE, id, thread.owner, thread.title, metadata, now)
            if row is None:
                raise ThreadNotFound(thread.id)
            return thread_of(row)

        return await self._desk.write(work, thread.id)

    async def delete(self, thread_id: str, owner: str) -> None:
        async def work(transaction: Transaction) -> None:
            id = bytes.fromhex(thread_id)
            held = await lock_thread(transaction, id)
            if held is None or held.owner != owner:
                raise ThreadNotFound(thread_id)
            live = await transaction.one(_FIND_LIVE, id)
            if live is not None:
                raise ThreadBusy(thread_id, live[0].hex())
            let_go = await transaction.all(_LET_RUNS_GO, id)
            for run_id, _ in sorted(let_go, key=lambda row: row[1]):
                transaction.tell((SignalKind.CHANGED, run_id.hex()))
            await transaction.run("DELETE FROM messages WHERE thread_pk = $1", held.pk)
            await transaction.run("DELETE FROM threads WHERE pk = $1", held.pk)

        await self._desk.write(work, thread_id)

    async def append(self, thread_id: str, owner: str, message: NewMessage, now: Instant) -> Message:
        async def work(transaction: Transaction) -> Message:
            found = await transaction.one(_FIND, bytes.fromhex(thread_id), owner)
            if found is None:
                raise ThreadNotFound(thread_id)
            position = await append_message(transaction, found[0], message, now, None)
            return Message(position=position, role=message.role, content=message.content, at=now)

        return await self._desk.write(work, thread_id)

    async def messages(self, thread_id: str, *, after: int = 0, limit: int) -> list[Message]:
        cursor = min(max(after, 0), MAX_SEQ)
        rows = await self._pool.all(_MESSAGES, bytes.fromhex(thread_id), cursor, limit)
        return [message_of(row) for row in rows]

    async def seen_by(self, run: Run, limit: int) -> list[Message]:
        thread_id = run.thread_id or ""
        found = await self._pool.one(_FIND, bytes.fromhex(thread_id), run.owner)
        if found is None:
            raise ThreadNotFound(thread_id)
        pk = found[0]
        root, started_at = await self._original(run)
        # Backwards: but for a retry, it is one of the newest.
        row = await self._pool.one(_OWN, pk, bytes.fromhex(root))
        end = MAX_SEQ + 1 if row is None else row[0]
        before = await self._pool.all(_NEWEST, pk, end, limit)
        messages = [message_of(each) for each in reversed(before)]
        if row is None:
            return messages
        if run.in_order:
            messages += [message_of(each) for each in await self._pool.all(_REPLIES, pk, row[0], limit)]
        return seen_by(messages, message_of(row), in_order=run.in_order, started_at=started_at)

    async def _original(self, run: Run) -> tuple[str, Instant | None]:
        """The run that brought the message this run answers, and when that one started, if it is another:
        a run that retries or continues it."""
        id, earlier, started_at = run.id, run.retry_of or run.continues, None
        while earlier is not None:
            id = earlier
            row = await self._pool.one(_EARLIER, bytes.fromhex(id))
            if row is None:
                break  # it was deleted; its message is still there
            earlier = None if row[0] is None else row[0].hex()
            # One that was cancelled in the queue has seen nothing, its first retry has.
            started_at = row[1] if row[1] is not None else started_at
        return id, started_at
