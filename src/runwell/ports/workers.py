"""The part of the store in which processes know of each other.

The rules of `ports.store` hold here: one transaction each, durable before it returns, time an argument.
"""

from typing import Protocol

from runwell.domain.instant import Instant
from runwell.domain.worker import Heartbeat


class Workers(Protocol):
    """Every process that serves or works, by its name."""

    async def beat(self, heartbeat: Heartbeat) -> None:
        """Write or replace the process's row."""
        ...

    async def all(self) -> list[Heartbeat]:
        """Longest at work first; those that are gone too, until they are forgotten."""
        ...

    async def remove(self, name: str) -> None:
        """It has ended, and says so. Harmless when there is no such row."""
        ...

    async def forget(self, before: Instant) -> int:
        """Remove those last seen before this instant; how many."""
        ...


class Leases(Protocol):
    """Duties that one process at a time does, for as long as it says so often enough."""

    async def take(self, duty: str, holder: str, now: Instant, until: Instant) -> bool:
        """Whether the duty is the holder's until `until`: it was nobody's at `now`, or its own already."""
        ...

    async def release(self, duty: str, holder: str) -> None:
        """Give it back, so that the next one need not wait. Harmless when it is another's."""
        ...
