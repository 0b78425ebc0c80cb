"""`ports.store.Threads` on SQLite."""

from runwell.domain.errors import ThreadBusy, ThreadNotFound
from runwell.domain.instant import Instant
from runwell.domain.json_gate import EMPTY
from runwell.domain.run import Run
from runwell.domain.thread import Message, Thread, seen_by
from runwell.ports.signals import SignalKind
from runwell.ports.store import NewMessage
from runwell.store.sqlite.messages import NewThread, append_message, insert_thread
from runwell.store.sqlite.reader import Reader
from runwell.store.sqlite.rows import (
    MAX_SEQ,
    MESSAGE_FIELDS,
    SEQ_BITS,
    THREAD_FIELDS,
    Row,
    message_of,
    thread_of,
)
from runwell.store.sqlite.transaction import Job, Transaction
from runwell.store.sqlite.writer import Desk

_GET = f"SELECT {THREAD_FIELDS} FROM threads WHERE id = ? AND owner = ?"
_GET_ANY = f"SELECT {THREAD_FIELDS} FROM threads WHERE id = ?"
_OWNER = "SELECT owner FROM threads WHERE id = ?"
_PAGE = f"SELECT {THREAD_FIELDS} FROM threads WHERE owner = ? ORDER BY id DESC LIMIT ?"
_PAGE_BEFORE = f"SELECT {THREAD_FIELDS} FROM threads WHERE owner = ? AND id < ? ORDER BY id DESC LIMIT ?"
_UPDATE = f"""UPDATE threads SET title = ?, metadata = ?, updated_at = ? WHERE id = ? AND owner = ?
RETURNING {THREAD_FIELDS}"""
_FIND = "SELECT pk FROM threads WHERE id = ? AND owner = ?"
_FIND_LIVE = """SELECT id FROM runs
WHERE thread_id = ? AND status IN ('queued', 'running', 'waiting') ORDER BY pk LIMIT 1"""
_LET_RUNS_GO = """UPDATE runs SET thread_id = NULL, version = version + 1
WHERE thread_id = ? RETURNING id"""
_MESSAGES = f"SELECT {MESSAGE_FIELDS} FROM messages WHERE key > ? AND key <= ? ORDER BY key LIMIT ?"

_OWN = f"""SELECT {MESSAGE_FIELDS} FROM messages
WHERE key BETWEEN ? AND ? AND run_id = ? AND role = 'user' ORDER BY key DESC LIMIT 1"""
_NEWEST = f"SELECT {MESSAGE_FIELDS} FROM messages WHERE key BETWEEN ? AND ? ORDER BY key DESC LIMIT ?"
_REPLIES = f"""SELECT {MESSAGE_FIELDS} FROM messages
WHERE key > ? AND key <= ? AND role != 'user' ORDER BY key LIMIT ?"""
_EARLIER = "SELECT coalesce(retry_of, continues), started_at FROM runs WHERE id = ?"


class SqliteThreads:
    def __init__(self, reader: Reader, desk: Desk) -> None:
        self._reader = reader
        self._desk = desk

    async def add(self, thread: Thread) -> Thread:
        return await self._desk.write(AddThread(thread))

    async def get(self, thread_id: str, owner: str) -> Thread:
        row = self._reader.one(_GET, (bytes.fromhex(thread_id), owner))
        if row is None:
            raise ThreadNotFound(thread_id)
        return thread_of(row)

    async def owner(self, thread_id: str) -> str | None:
        row = self._reader.one(_OWNER, (bytes.fromhex(thread_id),))
        return None if row is None else str(row[0])

    async def page(self, owner: str, *, before: str | None, limit: int) -> list[Thread]:
        if before is None:
            rows = self._reader.all(_PAGE, (owner, limit))
        else:
            rows = self._reader.all(_PAGE_BEFORE, (owner, bytes.fromhex(before), limit))
        return [thread_of(row) for row in rows]

    async def update(self, thread: Thread, now: Instant) -> Thread:
        return await self._desk.write(UpdateThread(thread, now))

    async def delete(self, thread_id: str, owner: str) -> None:
        await self._desk.write(DeleteThread(thread_id, owner))

    async def append(self, thread_id: str, owner: str, message: NewMessage, now: Instant) -> Message:
        return await self._desk.write(AppendMessage(thread_id, owner, message, now))

    async def messages(self, thread_id: str, *, after: int = 0, limit: int) -> list[Message]:
        found = self._reader.one("SELECT pk FROM threads WHERE id = ?", (bytes.fromhex(thread_id),))
        if found is None:
            return []
        first = found[0] << SEQ_BITS
        # Clamped, so that no position reaches into the thread next to it.
        cursor = first + min(max(after, 0), MAX_SEQ)
        rows = self._reader.all(_MESSAGES, (cursor, first | MAX_SEQ, limit))
        return [message_of(row) for row in rows]

    async def seen_by(self, run: Run, limit: int) -> list[Message]:
        thread_id = run.thread_id or ""
        found = self._reader.one(_FIND, (bytes.fromhex(thread_id), run.owner))
        if found is None:
            raise ThreadNotFound(thread_id)
        first = found[0] << SEQ_BITS
        last = first | MAX_SEQ
        root, started_at = self._original(run)
        # Backwards: but for a retry, it is one of the newest.
        row = self._reader.one(_OWN, (first, last, bytes.fromhex(root)))
        before = self._reader.all(_NEWEST, (first, last if row is None else row[0] - 1, limit))
        messages = [message_of(each) for each in reversed(before)]
        if row is None:
            return messages
        if run.in_order:
            messages += [message_of(each) for each in self._reader.all(_REPLIES, (row[0], last, limit))]
        return seen_by(messages, message_of(row), in_order=run.in_order, started_at=started_at)

    def _original(self, run: Run) -> tuple[str, Instant | None]:
        """The run that brought the message this run answers, and when that one started, if it is another:
        a run that retries or continues it."""
        id, earlier, started_at = run.id, run.retry_of or run.continues, None
        while earlier is not None:
            id = earlier
            row = self._reader.one(_EARLIER, (bytes.fromhex(id),))
            if row is None:
                break  # it was deleted; its message is still there
            earlier = None if row[0] is None else row[0].hex()
            # One that was cancelled in the queue has seen nothing, its first retry has.
            started_at = row[1] if row[1] is not None else started_at
        return id, started_at


class AddThread(Job[Thread]):
    def __init__(self, thread: Thread) -> None:
        self._thread = thread

    def run(self, transaction: Transaction) -> Thread:
        wanted = self._thread
        id = bytes.fromhex(wanted.id)
        row = transaction.one(_GET_ANY, (id,))
        if row is None:
            new = NewThread(id, wanted.owner, wanted.created_at, wanted.title, wanted.metadata)
            insert_thread(transaction, new)
            row = transaction.one(_GET_ANY, (id,))
        if row is None or row[1] != wanted.owner:
            raise ThreadNotFound(wanted.id)
        return thread_of(row)


class UpdateThread(Job[Thread]):
    def __init__(self, thread: Thread, now: Instant) -> None:
        self._thread = thread
        self._now = now

    def run(self, transaction: Transaction) -> Thread:
        thread = self._thread
        metadata = None if thread.metadata == EMPTY else bytes(thread.metadata)
        values = (thread.title, metadata, self._now, bytes.fromhex(thread.id), thread.owner)
        row = transaction.one(_UPDATE, values)
        if row is None:
            raise ThreadNotFound(thread.id)
        return thread_of(row)


class DeleteThread(Job[None]):
    def __init__(self, thread_id: str, owner: str) -> None:
        self._thread_id = thread_id
        self._owner = owner

    def run(self, transaction: Transaction) -> None:
        id = bytes.fromhex(self._thread_id)
        found = transaction.one(_FIND, (id, self._owner))
        if found is None:
            raise ThreadNotFound(self._thread_id)
        live = transaction.one(_FIND_LIVE, (id,))
        if live is not None:
            raise ThreadBusy(self._thread_id, live[0].hex())
        let_go: list[Row] = transaction.db.execute(_LET_RUNS_GO, (id,)).fetchall()
        for (run_id,) in let_go:
            transaction.heads.pop(run_id.hex(), None)  # its version is no longer the row's
        self.signals = tuple((SignalKind.CHANGED, run_id.hex()) for (run_id,) in let_go)
        first = found[0] << SEQ_BITS
        transaction.run("DELETE FROM messages WHERE key BETWEEN ? AND ?", (first, first | MAX_SEQ))
        transaction.run("DELETE FROM threads WHERE pk = ?", (found[0],))


class AppendMessage(Job[Message]):
    def __init__(self, thread_id: str, owner: str, message: NewMessage, now: Instant) -> None:
        self._thread_id = thread_id
        self._owner = owner
        self._message = message
        self._now = now
        self.size = 256 + len(bytes(message.content))

    def run(self, transaction: Transaction) -> Message:
        found = transaction.one(_FIND, (bytes.fromhex(self._thread_id), self._owner))
        if found is None:
            raise ThreadNotFound(self._thread_id)
        message, now = self._message, self._now
        position = append_message(transaction, found[0], message, now, None)
        return Message(position=position, role=message.role, content=message.content, at=now)
