"""The part of the store that counts runs instead of showing them.

The rules of `ports.store` hold here. Every count is bounded by its window or by what is under way, and walks
indexes alone.
"""

from typing import NamedTuple, Protocol

from runwell.domain.instant import Instant


class Tally(NamedTuple):
    """What happened from `at` on, for one bucket: runs that were made, and runs that ended."""

    at: Instant
    created: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0


class Standing(NamedTuple):
    """What an agent's runs do now. `oldest_at` is since when the longest of the queued ones waits; of many
    only the first hundred made are looked at for it."""

    agent: str
    queued: int
    running: int
    waiting: int
    oldest_at: Instant | None


class Stats(Protocol):
    async def tallies(self, owner: str | None, since: Instant, width: int, count: int) -> list[Tally]:
        """`count` buckets of `width` µs from `since` on, empty ones too; all owners' for None.

        A run counts as created in the millisecond that its id names.
        """
        ...

    async def standings(self, owner: str | None) -> list[Standing]:
        """By agent; those with nothing under way are left out. All owners' for None."""
        ...

    async def oldest_queued(self, agent: str) -> Instant | None:
        """Since when the longest of an agent's queued runs waits, of all owners'; None when there is none.
        One step into an index, however many there are."""
        ...
