"""Where the time comes from. Nothing else in the core reads a clock, and no SQL does."""

from typing import Protocol

from runwell.domain.instant import Instant


class Clock(Protocol):
    def now(self) -> Instant:
        """µs since the epoch, UTC. In a fleet this is the database's time."""
        ...
