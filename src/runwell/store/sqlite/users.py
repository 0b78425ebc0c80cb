"""`ports.accounts` on SQLite: users and sessions."""

from runwell.domain.errors import EmailTaken, UserNotFound
from runwell.domain.instant import Instant
from runwell.domain.user import Session, SignedIn, User, email_key
from runwell.store.sqlite.reader import Reader
from runwell.store.sqlite.rows import Row
from runwell.store.sqlite.transaction import Job, Transaction
from runwell.store.sqlite.writer import Desk

_USER = """users.id, users.email, users.name, users.created_at, users.admin, users.generation,
    users.disabled_at"""
_SESSION = """sessions.id, sessions.user_id, sessions.created_at, sessions.expires_at,
    sessions.last_seen_at, sessions.user_agent, sessions.address"""
_SESSION_WIDTH = 7

_ADD_USER = """INSERT INTO users
    (id, email, email_key, name, created_at, admin, generation, disabled_at, password_hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_TAKEN = "SELECT 1 FROM users WHERE email_key = ?"
_GET = f"SELECT {_USER} FROM users WHERE id = ?"
_BY_EMAIL = f"SELECT {_USER} FROM users WHERE email_key = ?"
_ALL = f"SELECT {_USER} FROM users ORDER BY id DESC"
_HASH = "SELECT password_hash FROM users WHERE id = ?"
_SET_PASSWORD = f"""UPDATE users SET password_hash = ?2, generation = generation + 1
WHERE id = ?1 RETURNING {_USER}"""
_REHASH = "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?"
_DISABLE = f"""UPDATE users SET disabled_at = coalesce(disabled_at, ?2), generation = generation + 1
WHERE id = ?1 RETURNING {_USER}"""
_ENABLE = f"UPDATE users SET disabled_at = NULL WHERE id = ?1 RETURNING {_USER}"

_ADD_SESSION = """INSERT INTO sessions
    (id, digest, user_id, created_at, expires_at, last_seen_at, user_agent, address)
SELECT ?, ?, id, ?, ?, ?, ?, ? FROM users WHERE id = ? AND generation = ? AND disabled_at IS NULL"""
_BY_DIGEST = f"""SELECT {_SESSION}, {_USER} FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.digest = ? AND users.disabled_at IS NULL"""
_REFRESH = """UPDATE sessions SET last_seen_at = max(last_seen_at, ?2), expires_at = max(expires_at, ?3)
WHERE id = ?1"""
_OF = f"SELECT {_SESSION} FROM sessions WHERE user_id = ? ORDER BY id DESC"
_END = "DELETE FROM sessions WHERE digest = ?"
_END_ONE = "DELETE FROM sessions WHERE id = ? AND user_id = ?"
_END_ALL = "DELETE FROM sessions WHERE user_id = ?"
_FORGET = """DELETE FROM sessions WHERE id IN (
    SELECT id FROM sessions WHERE expires_at < ? ORDER BY expires_at LIMIT ?)"""


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


class SqliteUsers:
    def __init__(self, reader: Reader, desk: Desk) -> None:
        self._reader = reader
        self._desk = desk

    async def add(self, user: User, password_hash: str) -> None:
        await self._desk.write(AddUser(user, password_hash))

    async def get(self, user_id: str) -> User:
        row = self._reader.one(_GET, (bytes.fromhex(user_id),))
        if row is None:
            raise UserNotFound(f"user_{user_id}")
        return _user_of(row)

    async def by_email(self, key: str) -> User | None:
        row = self._reader.one(_BY_EMAIL, (key,))
        return None if row is None else _user_of(row)

    async def all(self) -> list[User]:
        return [_user_of(row) for row in self._reader.all(_ALL)]

    async def password_hash(self, user_id: str) -> str:
        row = self._reader.one(_HASH, (bytes.fromhex(user_id),))
        if row is None:
            raise UserNotFound(f"user_{user_id}")
        return str(row[0])

    async def set_password(self, user_id: str, password_hash: str) -> User:
        return await self._desk.write(ChangeUser(user_id, _SET_PASSWORD, (password_hash,), ends=True))

    async def rehash(self, user_id: str, old: str, new: str) -> bool:
        return await self._desk.write(Count(_REHASH, (new, bytes.fromhex(user_id), old))) > 0

    async def disable(self, user_id: str, now: Instant) -> User:
        return await self._desk.write(ChangeUser(user_id, _DISABLE, (now,), ends=True))

    async def enable(self, user_id: str) -> User:
        return await self._desk.write(ChangeUser(user_id, _ENABLE, (), ends=False))


class SqliteSessions:
    def __init__(self, reader: Reader, desk: Desk) -> None:
        self._reader = reader
        self._desk = desk

    async def add(self, session: Session, digest: bytes, generation: int) -> bool:
        values = (
            bytes.fromhex(session.id), digest, session.created_at, session.expires_at,
            session.last_seen_at, session.user_agent, session.address, bytes.fromhex(session.user_id),
            generation,
        )  # fmt: skip
        return await self._desk.write(Count(_ADD_SESSION, values)) > 0

    async def by_digest(self, digest: bytes) -> SignedIn | None:
        row = self._reader.one(_BY_DIGEST, (digest,))
        if row is None:
            return None
        return SignedIn(_session_of(row[:_SESSION_WIDTH]), _user_of(row[_SESSION_WIDTH:]))

    async def refresh(self, session_id: str, now: Instant, expires_at: Instant) -> bool:
        return await self._desk.write(Count(_REFRESH, (bytes.fromhex(session_id), now, expires_at))) > 0

    async def of(self, user_id: str) -> list[Session]:
        return [_session_of(row) for row in self._reader.all(_OF, (bytes.fromhex(user_id),))]

    async def end(self, digest: bytes) -> bool:
        return await self._desk.write(Count(_END, (digest,))) > 0

    async def end_one(self, session_id: str, user_id: str) -> bool:
        values = (bytes.fromhex(session_id), bytes.fromhex(user_id))
        return await self._desk.write(Count(_END_ONE, values)) > 0

    async def end_all(self, user_id: str) -> int:
        return await self._desk.write(Count(_END_ALL, (bytes.fromhex(user_id),)))

    async def forget(self, before: Instant, limit: int) -> int:
        return await self._desk.write(Count(_FORGET, (before, limit)))


class AddUser(Job[None]):
    def __init__(self, user: User, password_hash: str) -> None:
        self._key = email_key(user.email)
        self._email = user.email
        self._values = (
            bytes.fromhex(user.id), user.email, self._key, user.name, user.created_at,
            1 if user.admin else 0, user.generation, user.disabled_at, password_hash,
        )  # fmt: skip

    def run(self, transaction: Transaction) -> None:
        if transaction.one(_TAKEN, (self._key,)) is not None:
            raise EmailTaken(self._email)
        transaction.run(_ADD_USER, self._values)


class ChangeUser(Job[User]):
    """Change a user; `ends`: and end all its sessions, in the same transaction."""

    def __init__(self, user_id: str, sql: str, values: Row, *, ends: bool) -> None:
        self._user_id = user_id
        self._sql = sql
        self._values = (bytes.fromhex(user_id), *values)
        self._ends = ends

    def run(self, transaction: Transaction) -> User:
        row = transaction.one(self._sql, self._values)
        if row is None:
            raise UserNotFound(f"user_{self._user_id}")
        if self._ends:
            transaction.run(_END_ALL, self._values[:1])
        return _user_of(row)


class Count(Job[int]):
    """One statement; how many rows it changed."""

    def __init__(self, sql: str, values: Row) -> None:
        self._sql = sql
        self._values = values

    def run(self, transaction: Transaction) -> int:
        return transaction.run(self._sql, self._values)
