"""A trigger: an address of ours that starts a run of one agent when somebody posts to it."""

import msgspec

from runwell.domain.instant import Instant


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """`digest` is the SHA-256 of the token in its address, which is shown once and not kept; `prefix`
    is the token's beginning. With a `secret`, a request must carry the HMAC of its body."""

    id: str
    owner: str
    agent: str
    digest: bytes
    prefix: str
    created_at: Instant
    name: str = ""
    secret: bytes | None = None
    paused: bool = False
