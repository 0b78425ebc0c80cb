"""The part of the store that reaches outside: callbacks, their deliveries, and triggers.

The rules of `ports.store` hold here: one transaction each, durable before it returns, time an argument.
"""

from collections.abc import Callable
from typing import Protocol

from runwell.domain.callback import Delivery, DeliveryStatus, Post, SigningSecret, StandingCallback
from runwell.domain.damaged import Damaged
from runwell.domain.instant import Instant
from runwell.domain.trigger import Trigger


class Callbacks(Protocol):
    """Standing callbacks and the secrets that deliveries are signed with."""

    async def add(self, callback: StandingCallback, secret: SigningSecret) -> None:
        """Both, or neither."""
        ...

    async def get(self, callback_id: str, owner: str) -> StandingCallback:
        """Raises `CallbackNotFound`."""
        ...

    async def all(self, owner: str) -> list[StandingCallback]:
        """Newest first. What cannot be read is passed over, here and where deliveries are written."""
        ...

    async def damaged(self) -> list[Damaged]:
        """All owners' that cannot be read. Reads every row."""
        ...

    async def update(
        self, callback_id: str, owner: str, change: Callable[[StandingCallback], StandingCallback]
    ) -> StandingCallback:
        """Make of it what `change` does, with nobody else changing it meanwhile; what it is now. `change` is
        called on any thread, perhaps twice, and keeps id and owner; what it raises is raised. Raises
        `CallbackNotFound`."""
        ...

    async def delete(self, callback_id: str, owner: str) -> None:
        """Remove it and its secrets; its deliveries stay, and pending ones are given up when their
        turn comes. Raises `CallbackNotFound`."""
        ...

    async def secrets(self, owner: str, callback_id: str | None, now: Instant) -> list[SigningSecret]:
        """Those valid at `now`, newest first. `callback_id` None: the owner's own."""
        ...

    async def rotate(self, secret: SigningSecret, old_until: Instant) -> None:
        """Add a secret; those of the same owner and callback that were valid for longer expire at
        `old_until`. Two are valid at most: older ones expire at once. Raises `CallbackNotFound`."""
        ...

    async def first_secret(self, secret: SigningSecret) -> SigningSecret:
        """Add it if the owner (and callback) has none that never expires; the one there is now."""
        ...


class Deliveries(Protocol):
    """The outbox. Rows are written by `runs.add` and `runs.commit`, in their transactions."""

    async def get(self, delivery_id: str, owner: str | None = None) -> Delivery:
        """`owner` None is the core itself. Raises `DeliveryNotFound`."""
        ...

    async def due(
        self,
        now: Instant,
        limit: int,
        exclude: frozenset[str] = frozenset(),
        busy: frozenset[str] = frozenset(),
    ) -> list[Delivery]:
        """Pending ones whose `next_at` has come, those due longest first, but for the ids in `exclude`
        and for those whose URL has one of the origins in `busy` (`https://host:port`, as it is written
        there, in lower case): receivers that have enough to do. What is due behind very many of those
        may be found only later."""
        ...

    async def damaged(self) -> list[Damaged]:
        """Those whose newest post cannot be read, as if there were none. Reads every row."""
        ...

    async def next_due(self, now: Instant) -> Instant | None:
        """The earliest `next_at` after `now`, or None."""
        ...

    async def render(self, delivery_id: str, body: bytes) -> bytes:
        """Keep the body, if there is none yet; the one that is kept. Raises `DeliveryNotFound`."""
        ...

    async def record(
        self, delivery_id: str, post: Post | None, status: DeliveryStatus, next_at: Instant | None
    ) -> Delivery:
        """Write a post and what follows from it; `post.number` is counted by the store. `post` None:
        it was given up without one. Raises `DeliveryNotFound`."""
        ...

    async def posts(self, delivery_id: str) -> list[Post]:
        """Oldest first."""
        ...

    async def of(self, run_id: str) -> list[Delivery]:
        """A run's, oldest first."""
        ...

    async def page(
        self,
        owner: str,
        *,
        statuses: frozenset[DeliveryStatus] = frozenset(),
        callback_id: str | None = None,
        since: Instant | None = None,
        until: Instant | None = None,
        before: str | None = None,
        limit: int,
    ) -> list[Delivery]:
        """Newest first by id; `before` is exclusive; `since` and `until` bound `created_at`
        [since, until)."""
        ...

    async def redeliver(self, ids: list[str], owner: str, now: Instant) -> int:
        """Make them pending and due now, with all tries before them; how many there were. A pending
        one is only made due."""
        ...

    async def forget(self, before: Instant, limit: int) -> int:
        """Remove ended ones made before this instant, with their posts; how many."""
        ...


class Triggers(Protocol):
    async def add(self, trigger: Trigger) -> None: ...

    async def by_digest(self, digest: bytes) -> Trigger | None:
        """Also a paused one."""
        ...

    async def get(self, trigger_id: str, owner: str) -> Trigger:
        """Raises `TriggerNotFound`."""
        ...

    async def all(self, owner: str) -> list[Trigger]:
        """Newest first. What cannot be read is passed over."""
        ...

    async def damaged(self) -> list[Damaged]:
        """All owners' that cannot be read. Reads every row."""
        ...

    async def update(self, trigger_id: str, owner: str, change: Callable[[Trigger], Trigger]) -> Trigger:
        """As that of `Callbacks`. Raises `TriggerNotFound`."""
        ...

    async def delete(self, trigger_id: str, owner: str) -> None:
        """Raises `TriggerNotFound`."""
        ...
