"""Writing threads and their messages; shared by runs and by the thread's own methods."""

from collections.abc import Iterable
from typing import NamedTuple

from runwell.domain.errors import TooLarge
from runwell.domain.instant import Instant
from runwell.domain.json_gate import EMPTY, Json
from runwell.ports.store import NewMessage
from runwell.store.postgres.pool import Transaction
from runwell.store.postgres.rows import MAX_SEQ

_INSERT = """INSERT INTO threads (id, owner, created_at, updated_at, title, metadata)
VALUES ($1, $2, $3, $3, $4, $5) ON CONFLICT (id) DO NOTHING RETURNING pk"""
_LOCK = "SELECT pk, owner FROM threads WHERE id = $1 FOR UPDATE"
_APPEND = """WITH place AS (
    UPDATE threads SET messages = messages + 1, updated_at = $2 WHERE pk = $1 RETURNING messages
)
INSERT INTO messages (thread_pk, position, role, at, run_id, content)
SELECT $1, place.messages, $3, $2, $4, $5 FROM place RETURNING position"""


class NewThread(NamedTuple):
    id: bytes
    owner: str
    created_at: Instant
    title: str | None = None
    metadata: Json = EMPTY


class Held(NamedTuple):
    """A thread whose row is locked, so that the runs in it stay as they are; `made`: by this transaction."""

    pk: int
    owner: str
    made: bool


async def make_or_lock(transaction: Transaction, thread: NewThread) -> Held:
    metadata = None if thread.metadata == EMPTY else bytes(thread.metadata)
    while True:
        made = await transaction.one(
            _INSERT, thread.id, thread.owner, thread.created_at, thread.title, metadata
        )
        if made is not None:
            return Held(made[0], thread.owner, True)
        found = await lock_thread(transaction, thread.id)
        if found is not None:  # else it was deleted between the two
            return found


async def lock_thread(transaction: Transaction, id: bytes) -> Held | None:
    found = await transaction.one(_LOCK, id)
    return None if found is None else Held(found[0], found[1], False)


async def lock_threads(transaction: Transaction, ids: Iterable[str | None]) -> None:
    """In the order of ids; what is not there is passed over."""
    for id in sorted({id for id in ids if id is not None}):
        await lock_thread(transaction, bytes.fromhex(id))


async def append_message(
    transaction: Transaction, thread_pk: int, message: NewMessage, now: Instant, run_id: str | None
) -> int:
    """Append to an existing thread; the message's position. Raises `TooLarge`."""
    row = await transaction.one(
        _APPEND, thread_pk, now, message.role.value, None if run_id is None else bytes.fromhex(run_id),
        bytes(message.content),
    )  # fmt: skip
    position = int(row[0]) if row is not None else 0
    if not 0 < position <= MAX_SEQ:  # undoes what was written above
        raise TooLarge("The thread is full", "Start a new thread.")
    return position
