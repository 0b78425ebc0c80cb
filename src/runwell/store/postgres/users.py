"""`ports.accounts` on PostgreSQL: users and sessions."""

from typing import Any

from runwell.domain.errors import EmailTaken, UserNotFound
from runwell.domain.instant import Instant
from runwell.domain.user import Session, SignedIn, User, email_key
from runwell.store.postgres.desk import Desk
from runwell.store.postgres.pool import Pool, Transaction
from runwell.store.postgres.rows import Row

_USER = """users.id, users.email, users.name, users.created_at, users.admin, users.generation,
    users.disabled_at"""
_SESSION = """sessions.id, sessions.user_id, sessions.created_at, sessions.expires_at,
    sessions.last_seen_at, sessions.user_agent, sessions.address"""
_SESSION_WIDTH = 7

# Waits for whoever is adding the same address.
_ADD_USER = """INSERT INTO users
    (id, email, email_key, name, created_at, admin, generation, disabled_at, password_hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (email_key) DO NOTHING"""
_GET = f"SELECT {_USER} FROM users WHERE id = $1"
_BY_EMAIL = f"SELECT {_USER} FROM users WHERE email_key = $1"
_ALL = f"SELECT {_USER} FROM users ORDER BY id DESC"
_HASH = "SELECT password_hash FROM users WHERE id = $1"
_SET_PASSWORD = f"""UPDATE users SET password_hash = $2, generation = generation + 1
WHERE id = $1 RETURNING {_USER}"""
_REHASH = "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2"
_DISABLE = f"""UPDATE users SET disabled_at = coalesce(disabled_at, $2), generation = generation + 1
WHERE id = $1 RETURNING {_USER}"""
_ENABLE = f"UPDATE users SET disabled_at = NULL WHERE id = $1 RETURNING {_USER}"

# The user's row is held to the commit: a password that is changed meanwhile ends this session too, or
# has ended the generation it belongs to.
_ADD_SESSION = """INSERT INTO sessions
    (id, digest, user_id, created_at, expires_at, last_seen_at, user_agent, address)
SELECT $1, $2, held.id, $4, $5, $6, $7, $8
FROM (SELECT id FROM users WHERE id = $3 AND generation = $9 AND disabled_at IS NULL FOR SHARE) AS held"""
_BY_DIGEST = f"""SELECT {_SESSION}, {_USER} FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.digest = $1 AND users.disabled_at IS NULL"""
_REFRESH = """UPDATE sessions
SET last_seen_at = greatest(last_seen_at, $2), expires_at = greatest(expires_at, $3) WHERE id = $1"""
_OF = f"SELECT {_SESSION} FROM sessions WHERE user_id = $1 ORDER BY id DESC"
_END = "DELETE FROM sessions WHERE digest = $1"
_END_ONE = "DELETE FROM sessions WHERE id = $1 AND user_id = $2"
_END_ALL = "DELETE FROM sessions WHERE user_id = $1"
_FORGET = """DELETE FROM sessions WHERE id IN (
    SELECT id FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)"""


def _user_of(row: Row) -> User:
    id, email, name, created_at, admin, generation, disabled_at = row
    return User(
        id=id.hex(), email=email, name=name, created_at=created_at, admin=admin == 1,
        generation=generation, disabled_at=disabled_at,
    )  # fmt: skip


def _session_of(row: Row) -> Session:
    id, user_id, created_at, expires_at, last_seen_at, user_agent, address = row
    return Session(
        id=id.hex(), user_id=user_id.hex(), created_at=created_at, expires_at=expires_at,
        last_seen_at=last_seen_at, user_agent=user_agent, address=address,
    )  # fmt: skip


class PostgresUsers:
    def __init__(self, pool: Pool, desk: Desk) -> None:
        self._pool = pool
        self._desk = desk

    async def add(self, user: User, password_hash: str) -> None:
        values = (
            bytes.fromhex(user.id), user.email, email_key(user.email), user.name, user.created_at,
            1 if user.admin else 0, user.generation, user.disabled_at, password_hash,
        )  # fmt: skip
        if not await self._desk.write(lambda transaction: transaction.run(_ADD_USER, *values)):
            raise EmailTaken(user.email)

    async def get(self, user_id: str) -> User:
        row = await self._pool.one(_GET, bytes.fromhex(user_id))
        if row is None:
            raise UserNotFound(f"user_{user_id}")
        return _user_of(row)

    async def by_email(self, key: str) -> User | None:
        row = await self._pool.one(_BY_EMAIL, key)
        return None if row is None else _user_of(row)

    async def all(self) -> list[User]:
        return [_user_of(row) for row in await self._pool.all(_ALL)]

    async def password_hash(self, user_id: str) -> str:
        row = await self._pool.one(_HASH, bytes.fromhex(user_id))
        if row is None:
            raise UserNotFound(f"user_{user_id}")
        return str(row[0])

    async def set_password(self, user_id: str, password_hash: str) -> User:
        return await self._change(user_id, _SET_PASSWORD, password_hash, ends=True)

    async def rehash(self, user_id: str, old: str, new: str) -> bool:
        id = bytes.fromhex(user_id)
        return await self._desk.write(lambda transaction: transaction.run(_REHASH, id, old, new)) > 0

    async def disable(self, user_id: str, now: Instant) -> User:
        return await self._change(user_id, _DISABLE, now, ends=True)

    async def enable(self, user_id: str) -> User:
        return await self._change(user_id, _ENABLE, ends=False)

    async def _change(self, user_id: str, sql: str, *values: Any, ends: bool) -> User:
        """Change a user; `ends`: and end all its sessions, in the same transaction."""

        async def work(transaction: Transaction) -> User:
            id = bytes.fromhex(user_id)
            row = await transaction.one(sql, id, *values)
            if row is None:
                raise UserNotFound(f"user_{user_id}")
            if ends:
                await transaction.run(_END_ALL, id)
            return _user_of(row)

        return await self._desk.write(work)


class PostgresSessions:
    def __init__(self, pool: Pool, desk: Desk) -> None:
        self._pool = pool
        self._desk = desk

    async def add(self, session: Session, digest: bytes, generation: int) -> bool:
        values = (
            bytes.fromhex(session.id), digest, bytes.fromhex(session.user_id), session.created_at,
            session.expires_at, session.last_seen_at, session.user_agent, session.address, generation,
        )  # fmt: skip
        return await self._count(_ADD_SESSION, *values) > 0

    async def by_digest(self, digest: bytes) -> SignedIn | None:
        row = await self._pool.one(_BY_DIGEST, digest)
        if row is None:
            return None
        return SignedIn(_session_of(row[:_SESSION_WIDTH]), _user_of(row[_SESSION_WIDTH:]))

    async def refresh(self, session_id: str, now: Instant, expires_at: Instant) -> bool:
        return await self._count(_REFRESH, bytes.fromhex(session_id), now, expires_at) > 0

    async def of(self, user_id: str) -> list[Session]:
        return [_session_of(row) for row in await self._pool.all(_OF, bytes.fromhex(user_id))]

    async def end(self, digest: bytes) -> bool:
        return await self._count(_END, digest) > 0

    async def end_one(self, session_id: str, user_id: str) -> bool:
        return await self._count(_END_ONE, bytes.fromhex(session_id), bytes.fromhex(user_id)) > 0

    async def end_all(self, user_id: str) -> int:
        return await self._count(_END_ALL, bytes.fromhex(user_id))

    async def forget(self, before: Instant, limit: int) -> int:
        return await self._count(_FORGET, before, limit)

    async def _count(self, sql: str, *values: Any) -> int:
        """One statement; how many rows it changed."""
        return await self._desk.write(lambda transaction: transaction.run(sql, *values))
