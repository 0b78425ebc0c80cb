"""Who is calling: keys, scopes and the owner behind them."""

from enum import StrEnum

import msgspec

from runwell.domain.instant import Instant

LOCAL_OWNER = "local"
"""The owner of everything made without a credential, in local mode."""


class Scope(StrEnum):
    RUNS_READ = "runs:read"
    RUNS_WRITE = "runs:write"
    AGENTS_WRITE = "agents:write"
    ADMIN = "admin"
    """Every other scope, keys, users, workers, and lists and counts of everybody's runs. It reads no other
    owner's log and changes no other owner's run."""


ALL_SCOPES = frozenset(Scope)


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """An API key as stored: `digest` is the SHA-256 of the secret, which is shown once and not kept.

    `prefix` is the secret's first characters, for people to recognise it by.
    """

    id: str
    owner: str
    name: str
    prefix: str
    digest: bytes
    scopes: frozenset[Scope]
    created_at: Instant
    revoked_at: Instant | None = None


class Principal(msgspec.Struct, frozen=True):
    """The caller of one request. `via` says how it was known: `local`, `key`, `session`."""

    owner: str
    scopes: frozenset[Scope]
    via: str
    key_id: str | None = None

    @property
    def who(self) -> str:
        """Whom limits are counted for: the key, or an owner who came without one."""
        return self.key_id or self.owner

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes
