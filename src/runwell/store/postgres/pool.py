"""Reading and transactions on a bounded pool of connections that come back by themselves."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

import asyncpg

from runwell.domain.errors import StoreUnavailable
from runwell.ports.signals import SignalKind
from runwell.store.postgres.connections import BORN, Location, make_pool
from runwell.store.postgres.failures import COLLIDED, in_doubt, is_failure, is_lost, unavailable

T = TypeVar("T")
Row = Any
"""A record: unpacked and indexed like a tuple."""

ACQUIRE_TIMEOUT = 10.0
"""Seconds that a call waits for a connection that others use."""
TRIES = 4
"""How often a transaction that collided, or met a dead connection at its start, is begun."""
DOUBT = 15.0
"""Seconds in which the fate of a commit without an answer must be found out."""
_LOOK_AGAIN = 0.2
ROLL_BACK = 2.0
"""Seconds that undoing may take; what a caller gave up may be waiting for a server that nobody reaches."""

UNSPEAKABLE = asyncpg.CharacterNotInRepertoireError
"""A text with a NUL in it. Nothing of ours is called so, for the JSON gate lets none in: who looks for it
finds nothing."""

_XID = "SELECT pg_current_xact_id_if_assigned()::text"
# A number that was given out in a crash, and of which nothing was on disk yet, is given out again: then it
# says what became of somebody else. In another life of the server nothing can be said.
_FATE = f"""SELECT CASE WHEN born = $2 THEN pg_xact_status($1::text::xid8) ELSE 'unknown' END
FROM ({BORN}) AS life (born)"""


class Transaction:
    """What a write is written through. Raises what asyncpg raises; the pool makes facts of it."""

    __slots__ = ("born", "connection", "signals", "xid")

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.signals: dict[tuple[SignalKind, str], None] = {}
        """What to tell the world once it is durable, in order, each once."""
        self.xid: str | None = None
        """Its number on the server, when a statement has told it already."""
        self.born = connection.born
        """In which life of the server that is."""

    def tell(self, *signals: tuple[SignalKind, str]) -> None:
        self.signals.update(dict.fromkeys(signals))

    async def one(self, sql: str, *values: Any) -> Row | None:
        """The first row, or None."""
        return await self.connection.fetchrow(sql, *values)

    async def all(self, sql: str, *values: Any) -> list[Row]:
        rows: list[Row] = await self.connection.fetch(sql, *values)
        return rows

    async def run(self, sql: str, *values: Any) -> int:
        """Execute a statement without rows; how many rows it changed."""
        status: str = await self.connection.execute(sql, *values)
        return int(status.rpartition(" ")[2])

    async def many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """The same statement for every row, sent together."""
        if rows:
            await self.connection.executemany(sql, rows)

    async def each(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> list[Row]:
        """The answers to the same statement for every row, sent together: all rows of all answers."""
        if not rows:
            return []
        answers: list[Row] = await self.connection.fetchmany(sql, rows)
        return answers


class _Unanswered(Exception):
    """A COMMIT was sent, and the connection died before the answer came."""

    def __init__(self, transaction: Transaction, result: Any, error: Exception) -> None:
        super().__init__("a commit without an answer")
        self.transaction = transaction
        self.result = result
        self.error = error


Work = Callable[[Transaction], Awaitable[T]]


class Pool:
    """Belongs to the event loop it was opened on. Raises `StoreUnavailable`, never a fault of the way."""

    def __init__(self, location: Location) -> None:
        self._pool = make_pool(location)

    async def open(self) -> None:
        await self._pool

    async def close(self) -> None:
        """Waits for what is being written."""
        try:
            async with asyncio.timeout(ACQUIRE_TIMEOUT):
                await self._pool.close()
        except (TimeoutError, asyncpg.InterfaceError, OSError):
            self._pool.terminate()

    async def one(self, sql: str, *values: Any) -> Row | None:
        """The first row, or None."""
        try:
            return await self._read(lambda connection: connection.fetchrow(sql, *values))
        except UNSPEAKABLE:
            return None

    async def all(self, sql: str, *values: Any) -> list[Row]:
        try:
            rows: list[Row] = await self._read(lambda connection: connection.fetch(sql, *values))
        except UNSPEAKABLE:
            return []
        return rows

    async def _read(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        """A read whose connection was dead is asked once more: it has changed nothing."""
        for again in (True, False):
            try:
                async with self._connection() as connection:
                    return await ask(connection)
            except Exception as error:
                if again and is_lost(error) and not isinstance(error, TimeoutError):
                    continue
                if is_failure(error):
                    raise unavailable(error) from error
                raise
        raise AssertionError("a read is answered or refused")

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        connection = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT)
        try:
            yield connection
        finally:
            # A connection that died in use is dropped here; that says nothing about what it was used for.
            try:
                await self._pool.release(connection)
            except Exception as error:
                if not is_failure(error):
                    raise

    async def apart(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        """What `ask` answers on a connection of its own, outside of all transactions of ours; asked once."""
        try:
            async with self._connection() as connection:
                return await ask(connection)
        except Exception as error:
            if is_failure(error):
                raise unavailable(error) from error
            raise

    async def write(self, work: Work[T], told: Callable[[Transaction], None]) -> T:
        """Do `work` in one transaction. It may be called again, with another transaction, when that one
        was undone: it must leave no trace but in the database.

        `told` is called once the transaction is durable, or may be: when the caller is cancelled while
        the commit is on its way, nobody can tell, and a signal too many does no harm.
        """
        for left in reversed(range(TRIES)):
            try:
                async with self._connection() as connection:
                    if not await self._began(connection, left):
                        continue
                    return await self._transact(Transaction(connection), work, told)
            except _Unanswered as unanswered:
                # Only here, when its dead connection has been given back and leaves room for another.
                await self._settle(unanswered)
                told(unanswered.transaction)
                result: T = unanswered.result
                return result
            except COLLIDED as error:
                if not left:
                    raise unavailable(error) from error
            except Exception as error:
                if is_failure(error):
                    raise unavailable(error) from error
                raise
        raise AssertionError("the last try returns or raises")

    async def _began(self, connection: Any, left: int) -> bool:
        """Begin; False when the connection turned out to be dead and another is worth a try."""
        try:
            await connection.execute("BEGIN")
        except Exception as error:
            if left and is_lost(error) and not isinstance(error, TimeoutError):
                return False
            raise
        return True

    async def _transact(
        self, transaction: Transaction, work: Work[T], told: Callable[[Transaction], None]
    ) -> T:
        connection = transaction.connection
        try:
            result = await work(transaction)
            if transaction.xid is None:
                transaction.xid = await connection.fetchval(_XID)
        except BaseException:
            await _roll_back(connection)
            raise
        try:
            status = await connection.execute("COMMIT")
        except Exception as error:
            if is_lost(error) and transaction.xid is not None:
                raise _Unanswered(transaction, result, error) from error
            raise
        except BaseException:  # the caller was cancelled
            told(transaction)
            raise
        if status != "COMMIT":  # a statement failed and somebody went on as if it had not
            raise StoreUnavailable("The database undid a transaction", "Try again.")
        told(transaction)
        return result

    async def _settle(self, unanswered: "_Unanswered") -> None:
        """Ask the server, as soon as it is there, what became of a transaction. Returns when it was
        committed. Raises `StoreUnavailable`."""
        transaction, error = unanswered.transaction, unanswered.error
        try:
            async with asyncio.timeout(DOUBT):
                fate = await self._fate(transaction)
                while fate in (None, "in progress"):
                    await asyncio.sleep(_LOOK_AGAIN)
                    fate = await self._fate(transaction)
        except TimeoutError:
            raise in_doubt(error) from error
        if fate == "unknown":
            raise in_doubt(error) from error
        if fate != "committed":
            raise unavailable(error) from error

    async def _fate(self, transaction: Transaction) -> str | None:
        """None: the server cannot be asked now."""
        try:
            async with self._connection() as connection:
                fate: str | None = await connection.fetchval(_FATE, transaction.xid, transaction.born)
        except Exception as error:
            if not is_failure(error):
                raise
            return None
        return fate


async def _roll_back(connection: Any) -> None:
    """Undo it. If the connection is gone, the server does that by itself."""
    if connection.is_closed():
        return
    try:
        async with asyncio.timeout(ROLL_BACK):
            await connection.execute("ROLLBACK")
    except Exception as error:
        if not is_failure(error):
            raise
        connection.terminate()
