"""From a credential to a principal, with a cache short enough that a revoked key is soon refused."""

from runwell.auth.keys import digest
from runwell.auth.memory import Memory
from runwell.auth.rate_limit import RateLimit
from runwell.domain.errors import Forbidden, Unauthenticated
from runwell.domain.principal import ALL_SCOPES, LOCAL_OWNER, Principal, Scope
from runwell.ports.clock import Clock
from runwell.ports.store import Store

LONGEST_CREDENTIAL = 512
"""Characters; a longer one is refused unread."""

LOCAL = Principal(LOCAL_OWNER, ALL_SCOPES, "local")


class Authenticator:
    """Knows callers by their keys. In local mode, a request without a credential is the local owner's.

    The store knows credentials by their digest and never compares secrets. The cache holds what was
    just presented, for a second, in a table whose hashes are keyed by chance at every start.
    Known and unknown ones are remembered apart: a flood of wrong keys cannot push out the right ones.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        local_mode: bool = False,
        rate_limit: RateLimit | None = None,
        most_known: int = 4_096,
    ) -> None:
        self._store = store
        self._clock = clock
        self.local_mode = local_mode
        # In local mode whoever is limited as a key could come without it.
        limited = rate_limit is not None and rate_limit.count > 0 and not local_mode
        self._rate_limit = rate_limit if limited else None
        self._known: Memory[str, Principal] = Memory(most_known)
        self._unknown: Memory[str, None] = Memory(most_known // 4)

    def known(self, credential: str | None) -> Principal | None:
        """The caller, if the answer is at hand; None says nothing, ask `authenticate`."""
        if credential is None:
            return LOCAL if self.local_mode else None
        if len(credential) > LONGEST_CREDENTIAL:
            return None
        seen = self._known.get(credential, self._clock.now())
        return seen.answer if seen is not None else None

    async def admit(self, credential: str | None, scope: Scope) -> Principal:
        """The caller, who has `scope` and has not asked too often.

        What a key asks for counts whether or not it may have it. What nobody is known by counts for
        nobody. Raises `Unauthenticated`, `RateLimited`, `Forbidden`; `StoreUnavailable` passes through.
        """
        principal = self.known(credential) or await self.authenticate(credential)
        if self._rate_limit is not None and principal.key_id is not None:
            self._rate_limit.take(principal.key_id, self._clock.now())
        if scope not in principal.scopes:  # spares the status read two calls
            require(principal, scope)
        return principal

    def admit_change(self, principal: Principal) -> None:
        """Count a request that would change something, of somebody who is known by a session. What a page
        reads is not counted: one that is left open reads all the time. Raises `RateLimited`."""
        if self._rate_limit is not None:
            self._rate_limit.take(principal.who, self._clock.now())

    async def authenticate(self, credential: str | None) -> Principal:
        """The caller. Raises `Unauthenticated`; the store's `StoreUnavailable` passes through."""
        if credential is None:
            if self.local_mode:
                return LOCAL
            raise Unauthenticated(
                "This server wants an API key",
                "Send it as `Authorization: Bearer rw_…` or `X-API-Key: rw_…`.",
            )
        principal = await self._look_up(credential) if len(credential) <= LONGEST_CREDENTIAL else None
        if principal is None:
            raise Unauthenticated(
                "This API key is unknown or revoked",
                "`runwell keys list` shows the keys, `keys create` makes one.",
            )
        return principal

    async def _look_up(self, credential: str) -> Principal | None:
        now = self._clock.now()
        seen = self._known.get(credential, now) or self._unknown.get(credential, now)
        if seen is not None:
            return seen.answer
        key = await self._store.keys.by_digest(digest(credential))
        if key is None or key.revoked_at is not None:
            self._unknown.put(credential, None, now)
            return None
        principal = Principal(key.owner, key.scopes, "key", key.id)
        self._known.put(credential, principal, now)
        return principal

    def forget(self) -> None:
        """A key was made or revoked through this server: the next look-up asks the store."""
        self._known.clear()
        self._unknown.clear()


def require(principal: Principal, scope: Scope) -> None:
    """Raise `Forbidden` unless the principal has the scope."""
    if not principal.may(scope):
        has = ", ".join(sorted(principal.scopes)) or "nothing"
        raise Forbidden(
            f"This needs the scope {scope}; the key has {has}",
            f"Make a key with the scope {scope}, or use another.",
        )
