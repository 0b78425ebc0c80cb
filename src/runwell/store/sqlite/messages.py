"""Writing threads and their messages; shared by runs and by the thread's own methods."""

from typing import NamedTuple

from runwell.domain.errors import TooLarge
from runwell.domain.instant import Instant
from runwell.domain.json_gate import EMPTY, Json
from runwell.ports.store import NewMessage
from runwell.store.sqlite.rows import MAX_SEQ, SEQ_BITS
from runwell.store.sqlite.transaction import Transaction

_INSERT_THREAD = """INSERT INTO threads (id, owner, created_at, updated_at, title, metadata)
VALUES (?, ?, ?, ?, ?, ?)"""
_NEXT_POSITION = "UPDATE threads SET messages = messages + 1, updated_at = ? WHERE pk = ? RETURNING messages"
_INSERT_MESSAGE = "INSERT INTO messages (key, role, at, run_id, content) VALUES (?, ?, ?, ?, ?)"


class NewThread(NamedTuple):
    id: bytes
    owner: str
    created_at: Instant
    title: str | None = None
    metadata: Json = EMPTY


def insert_thread(transaction: Transaction, thread: NewThread) -> int:
    """The new thread's pk."""
    metadata = None if thread.metadata == EMPTY else bytes(thread.metadata)
    at = thread.created_at
    transaction.run(_INSERT_THREAD, (thread.id, thread.owner, at, at, thread.title, metadata))
    return transaction.db.last_insert_rowid()


def append_message(
    transaction: Transaction, thread_pk: int, message: NewMessage, now: Instant, run_id: str | None
) -> int:
    """Append to an existing thread; the message's position."""
    (position,) = transaction.one(_NEXT_POSITION, (now, thread_pk)) or (0,)
    if not 0 < position <= MAX_SEQ:
        # Raised after a write: the writer undoes the batch and does the others again.
        raise TooLarge("The thread is full", "Start a new thread.")
    values = (
        thread_pk << SEQ_BITS | position,
        message.role.value,
        now,
        None if run_id is None else bytes.fromhex(run_id),
        bytes(message.content),
    )
    transaction.run(_INSERT_MESSAGE, values)
    return int(position)
