"""Telling somebody outside: callbacks, the deliveries they lead to, and the posts made for each.

A *callback* says which events are told where. When one of them is committed, a *delivery* is written
in the same transaction; it is posted until somebody takes it or it is given up. Each *post* is kept.
"""

from enum import StrEnum

import msgspec

from runwell.domain.instant import Instant

ENDINGS = ("run.succeeded", "run.failed", "run.cancelled")
"""What a callback is told when it does not choose: the run's end, whichever it is."""

TELLABLE = frozenset(
    {"run.created", "run.waiting", "run.resumed", *ENDINGS, "attempt.failed", "attempt.lost"}
)
"""Events that a callback can choose. What a run says is read from its stream, not posted. A run's shape
needs these words before the events exist; a test holds them against each other."""

NATIVE_FORMAT = "native"


class Callback(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the events of one run are told. `format` names the body: an opaque word of a dialect."""

    url: str
    events: tuple[str, ...] = ENDINGS
    format: str = NATIVE_FORMAT


class StandingCallback(msgspec.Struct, frozen=True, kw_only=True):
    """A callback for every run of its owner, or for those of the named agents.

    While it is `paused` nothing is written for it: what happens meanwhile is not told later.
    """

    id: str
    owner: str
    url: str
    created_at: Instant
    events: tuple[str, ...] = ENDINGS
    agents: tuple[str, ...] = ()
    """Names of agents; empty for all."""
    description: str = ""
    format: str = NATIVE_FORMAT
    paused: bool = False

    def wants(self, event: str, agent: str) -> bool:
        return not self.paused and event in self.events and (not self.agents or agent in self.agents)


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    """It will be posted at `next_at`."""
    DELIVERED = "delivered"
    """Somebody answered with a 2xx."""
    GIVEN_UP = "given_up"
    """Nobody took it in all the time it was tried, or it can never be taken (410, no such address)."""


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """One try. `number` counts from 1 in its delivery; exactly one of `status_code` and `error` is set."""

    number: int
    at: Instant
    duration: float
    """Seconds until the answer, or until the fault."""
    status_code: int | None = None
    error: str | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event to be told to one address. `id` is what the receiver sees as `webhook-id`, the same
    in every post; `tries` counts the posts since it was last asked for, `posts` all of them.

    `body` is rendered once, before the first post, and is the same in every one of them.
    """

    id: str
    owner: str
    run_id: str
    seq: int
    event: str
    url: str
    format: str
    status: DeliveryStatus
    created_at: Instant
    callback_id: str | None = None
    next_at: Instant | None = None
    posts: int = 0
    tries: int = 0
    body: bytes | None = None
    last: Post | None = None


class SigningSecret(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver verifies with. `callback_id` None: the owner's own, for callbacks of single runs.

    After a rotation the old one is valid until `expires_at`, beside the new one.
    """

    id: str
    owner: str
    secret: bytes
    created_at: Instant
    callback_id: str | None = None
    expires_at: Instant | None = None
