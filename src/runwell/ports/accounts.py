"""People who sign in, in the store: users with what their passwords were made into, and sessions.

As everything in the store: each method is one transaction, durable before it returns, and may raise
`StoreUnavailable`.
"""

from typing import Protocol

from runwell.domain.instant import Instant
from runwell.domain.user import Session, SignedIn, User


class Users(Protocol):
    async def add(self, user: User, password_hash: str) -> None:
        """Raises `EmailTaken` when the address, in any case, is another user's."""
        ...

    async def get(self, user_id: str) -> User:
        """Raises `UserNotFound`."""
        ...

    async def by_email(self, key: str) -> User | None:
        """The user of an address, given as `email_key`; a disabled one too."""
        ...

    async def all(self) -> list[User]:
        """Newest first, disabled ones too."""
        ...

    async def password_hash(self, user_id: str) -> str:
        """What the password was made into. Raises `UserNotFound`."""
        ...

    async def set_password(self, user_id: str, password_hash: str) -> User:
        """A new password: all sessions of the user end with it. Raises `UserNotFound`."""
        ...

    async def rehash(self, user_id: str, old: str, new: str) -> bool:
        """The same password, made into something else: sessions stay. False, and nothing is written,
        when the hash is not `old` any more: another password may have been set meanwhile."""
        ...

    async def disable(self, user_id: str, now: Instant) -> User:
        """All sessions of the user end with it. Idempotent. Raises `UserNotFound`."""
        ...

    async def enable(self, user_id: str) -> User:
        """Sessions that have ended stay ended. Idempotent. Raises `UserNotFound`."""
        ...


class Sessions(Protocol):
    async def add(self, session: Session, digest: bytes, generation: int) -> bool:
        """`digest` is the SHA-256 of the token. False, and nothing is written, when the user is
        disabled, gone, or of another generation: a password that was checked a moment ago may have
        been changed since."""
        ...

    async def by_digest(self, digest: bytes) -> SignedIn | None:
        """Also one that has expired: the caller looks at `expires_at`."""
        ...

    async def refresh(self, session_id: str, now: Instant, expires_at: Instant) -> bool:
        """The session was seen now and ends later. False when it has ended meanwhile."""
        ...

    async def of(self, user_id: str) -> list[Session]:
        """Newest first, expired ones too until they are forgotten."""
        ...

    async def end(self, digest: bytes) -> bool:
        """False when there is none."""
        ...

    async def end_one(self, session_id: str, user_id: str) -> bool:
        """End this session of this user; False when there is none."""
        ...

    async def end_all(self, user_id: str) -> int:
        """How many sessions of the user were ended."""
        ...

    async def forget(self, before: Instant, limit: int) -> int:
        """Drop sessions that expired before this instant; how many were dropped."""
        ...
