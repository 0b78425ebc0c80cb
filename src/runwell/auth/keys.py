"""API keys: 256 random bits, stored as a digest, shown once.

The secret is random, so one round of SHA-256 is enough: there is nothing to guess that a slow hash
would protect.
"""

import hashlib
import secrets
from typing import NamedTuple

from runwell.domain.errors import InvalidInput
from runwell.domain.ids import new_id
from runwell.domain.principal import ALL_SCOPES, Key, Scope
from runwell.ports.clock import Clock
from runwell.ports.store import Store

PREFIX = "rw_"
SHOWN = 10
"""How many characters of a secret are kept, for people to recognise it by: 42 of 256 bits."""


class Minted(NamedTuple):
    """A new key, and the only copy there will ever be of its secret."""

    key: Key
    secret: str


def mint() -> str:
    """A new secret: `rw_` and 43 URL-safe characters."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """What is stored and looked up instead of the secret. 32 bytes."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


async def issue(
    store: Store, clock: Clock, *, owner: str, name: str, scopes: frozenset[Scope] = ALL_SCOPES
) -> Minted:
    """Make and store a key. Raises `InvalidInput` for a name, an owner or scopes that cannot be."""
    if not 1 <= len(name) <= 200:
        raise InvalidInput("$.name", "must have 1 to 200 characters")
    if not 1 <= len(owner) <= 200:
        raise InvalidInput("$.owner", "must have 1 to 200 characters")
    if not scopes:
        raise InvalidInput("$.scopes", "must name at least one scope")
    secret, now = mint(), clock.now()
    key = Key(
        id=new_id(now),
        owner=owner,
        name=name,
        prefix=secret[:SHOWN],
        digest=digest(secret),
        scopes=scopes,
        created_at=now,
    )
    await store.keys.add(key)
    return Minted(key, secret)
