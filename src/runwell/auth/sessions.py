"""Users and what they do: sign up, sign in, be known by a session's token, sign out, be disabled."""

import logging
import secrets
from typing import NamedTuple

from msgspec.structs import replace

from runwell.auth.attempts import Attempts
from runwell.auth.keys import digest
from runwell.auth.memory import Memory
from runwell.auth.passwords import Passwords
from runwell.domain.errors import EmailTaken, Forbidden, StoreUnavailable, Unauthenticated
from runwell.domain.ids import new_id
from runwell.domain.instant import Instant, after
from runwell.domain.principal import Principal
from runwell.domain.user import (
    LONGEST_ADDRESS,
    LONGEST_AGENT,
    Session,
    SignedIn,
    User,
    email_key,
    kept,
    read_email,
    read_name,
)
from runwell.ports.clock import Clock
from runwell.ports.store import Store

LOG = logging.getLogger(__name__)

LIFE = 7 * 24 * 3600
"""Seconds that a session lasts after it was last seen; also for the cookie's `Max-Age`."""
REFRESH = 24 * 3600
"""Seconds after which being seen is written down."""
LONGEST_TOKEN = 512
"""Characters; a longer one is refused unread."""


class SignIn:
    """A new session and the only copy there will ever be of its token."""

    __slots__ = ("session", "token", "user")

    def __init__(self, token: str, session: Session, user: User) -> None:
        self.token = token
        self.session = session
        self.user = user

    def __repr__(self) -> str:
        return f"SignIn({self.session!r}, {self.user!r})"


class Found(NamedTuple):
    """Who is behind a token. `refreshed`: the session ends later now, and so should the cookie: set
    it again."""

    principal: Principal
    session: Session
    user: User
    refreshed: bool = False


class Accounts:
    """The users of one store, and their sessions. Belongs to the store's event loop.

    The store knows tokens by their digest. What it said is remembered for a second, so a session that
    another process ended is refused a second later at most. Known and unknown tokens are remembered
    apart: a flood of wrong ones cannot push out the right ones.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        signup_open: bool,
        signup_here: bool = False,
        passwords: Passwords | None = None,
        attempts: Attempts | None = None,
        most_known: int = 4_096,
    ) -> None:
        self._store = store
        self._clock = clock
        self.signup_open = signup_open
        self._signup_here = signup_here
        self._passwords = passwords or Passwords()
        self._attempts = attempts or Attempts()
        self._known: Memory[bytes, SignedIn] = Memory(most_known)
        self._unknown: Memory[bytes, None] = Memory(most_known // 4)

    def takes(self, *, here: bool) -> bool:
        """Whether whoever asks may make an account. With `signup_here` it takes to be `here`: on this
        machine, as `origin.is_here` judges, which whoever comes through a proxy on it is not."""
        return self.signup_open or (self._signup_here and here)

    async def sign_up(
        self, email: str, name: str, password: str, *, address: str = "", here: bool = False
    ) -> User:
        """A new user, not signed in yet. Whoever may reach the server may do it, if it is open: see `takes`.

        Raises `Forbidden` when it is closed, `InvalidInput`, `EmailTaken`, `RateLimited`, `Unavailable`.
        """
        if not self.takes(here=here):
            raise Forbidden(
                "This server takes no sign-ups",
                "Ask whoever runs it for an account: `runwell users create EMAIL`.",
            )
        self._attempts.of_address(address, self._clock.now())
        return await self.create(email, name, password)

    async def create(self, email: str, name: str, password: str, *, admin: bool = False) -> User:
        """A new user, made by whoever runs the server. Raises `InvalidInput`, `EmailTaken`,
        `Unavailable`."""
        email, name, now = read_email(email), read_name(name), self._clock.now()
        if await self._store.users.by_email(email_key(email)) is not None:
            raise EmailTaken(email)  # spares the hash; the store decides when two come at once
        password_hash = await self._passwords.hash(password)
        user = User(id=new_id(now), email=email, name=name, created_at=now, admin=admin)
        await self._store.users.add(user, password_hash)
        return user

    async def sign_in(self, email: str, password: str, *, address: str = "", user_agent: str = "") -> SignIn:
        """A new session for whoever knows the password.

        Raises `Unauthenticated` for an unknown address, a wrong password and a disabled user, all
        alike and after the same time; `InvalidInput` for what is no address, `RateLimited`,
        `Unavailable`.
        """
        key, now = email_key(read_email(email)), self._clock.now()
        self._attempts.of_address(address, now)
        user = await self._store.users.by_email(key)
        self._attempts.of_account(key, now, known=user is not None)
        stored = None if user is None else await self._store.users.password_hash(user.id)
        right = await self._passwords.verify(stored, password)
        if user is None or stored is None or not right or user.disabled_at is not None:
            raise _wrong()
        if self._passwords.outdated(stored):
            await self._store.users.rehash(user.id, stored, await self._passwords.hash(password))
        return await self._begin(user, address, user_agent)

    async def _begin(self, user: User, address: str, user_agent: str) -> SignIn:
        now, token = self._clock.now(), secrets.token_urlsafe(32)
        session = Session(
            id=new_id(now),
            user_id=user.id,
            created_at=now,
            expires_at=after(now, LIFE),
            last_seen_at=now,
            user_agent=kept(user_agent, LONGEST_AGENT),
            address=kept(address, LONGEST_ADDRESS),
        )
        # While the password was being checked, the user may have been disabled or given another one.
        if not await self._store.sessions.add(session, digest(token), user.generation):
            raise _wrong()
        return SignIn(token, session, user)

    async def find(self, token: str | None) -> Found | None:
        """Who is signed in with this token; None for nobody. `StoreUnavailable` passes through."""
        if token is None or len(token) > LONGEST_TOKEN:
            return None
        now, key = self._clock.now(), digest(token)
        signed_in = await self._look_up(key, now)
        if signed_in is None or signed_in.session.expires_at <= now:
            return None
        session, user = signed_in
        if now < after(session.last_seen_at, REFRESH):
            return Found(user.principal, session, user)
        refreshed = await self._refresh(session, now)
        if refreshed is None:
            return None
        if refreshed is session:
            # Nothing was said by the store: what is remembered must not grow older than its second.
            return Found(user.principal, session, user)
        self._known.put(key, SignedIn(refreshed, user), now)
        return Found(user.principal, refreshed, user, refreshed=True)

    async def _look_up(self, key: bytes, now: Instant) -> SignedIn | None:
        if (known := self._known.get(key, now)) is not None:
            return known.answer
        if self._unknown.get(key, now) is not None:
            return None
        signed_in = await self._store.sessions.by_digest(key)
        if signed_in is None:
            self._unknown.put(key, None, now)
        else:
            self._known.put(key, signed_in, now)
        return signed_in

    async def _refresh(self, session: Session, now: Instant) -> Session | None:
        """The session, seen now; None when it has ended meanwhile; unchanged when nothing can be written:
        a full disk should keep nobody from reading."""
        expires_at = after(now, LIFE)
        try:
            alive = await self._store.sessions.refresh(session.id, now, expires_at)
        except StoreUnavailable as error:
            LOG.warning("a session could not be refreshed: %s", error)
            return session
        return replace(session, last_seen_at=now, expires_at=expires_at) if alive else None

    async def sign_out(self, token: str) -> bool:
        """End this session, at once. False when there was none."""
        key = digest(token)
        ended = await self._store.sessions.end(key)
        self._known.drop(key)
        return ended

    async def sessions(self, user_id: str) -> list[Session]:
        """The user's sessions that have not expired, newest first."""
        now = self._clock.now()
        return [session for session in await self._store.sessions.of(user_id) if session.expires_at > now]

    async def end_session(self, session_id: str, user_id: str) -> bool:
        """End one session of the user, at once. False when there is none."""
        ended = await self._store.sessions.end_one(session_id, user_id)
        self._known.clear()
        return ended

    async def sign_out_everywhere(self, user_id: str) -> int:
        """End all sessions of the user, at once; how many."""
        count = await self._store.sessions.end_all(user_id)
        self._known.clear()
        return count

    async def set_password(self, user_id: str, password: str) -> User:
        """A new password; all sessions end. Raises `InvalidInput`, `UserNotFound`, `Unavailable`."""
        password_hash = await self._passwords.hash(password)
        user = await self._store.users.set_password(user_id, password_hash)
        self._known.clear()
        return user

    async def disable(self, user_id: str) -> User:
        """No more sign-ins, and all sessions end. Runs and keys stay. Raises `UserNotFound`."""
        user = await self._store.users.disable(user_id, self._clock.now())
        self._known.clear()
        return user

    async def enable(self, user_id: str) -> User:
        """Sign-ins again. Raises `UserNotFound`."""
        return await self._store.users.enable(user_id)

    async def get(self, user_id: str) -> User:
        """Raises `UserNotFound`."""
        return await self._store.users.get(user_id)

    async def by_email(self, email: str) -> User | None:
        """The user of this address, in any case. Raises `InvalidInput` for what is none."""
        return await self._store.users.by_email(email_key(read_email(email)))

    async def all(self) -> list[User]:
        """Newest first, disabled ones too."""
        return await self._store.users.all()

    def close(self) -> None:
        """Passwords that wait to be hashed are dropped."""
        self._passwords.close()


def _wrong() -> Unauthenticated:
    return Unauthenticated(
        "The e-mail address or the password is wrong",
        "Whoever runs the server can set a new password: `runwell users password EMAIL`.",
    )
