"""The part of the store that knows what is to be started when.

The rules of `ports.store` hold here: one transaction each, durable before it returns, time an argument.
"""

from typing import Protocol

from runwell.domain.damaged import Damaged
from runwell.domain.instant import Instant
from runwell.domain.schedule import Schedule


class Schedules(Protocol):
    async def add(self, schedule: Schedule) -> None: ...

    async def get(self, schedule_id: str, owner: str) -> Schedule:
        """Raises `ScheduleNotFound`."""
        ...

    async def page(self, owner: str, *, before: str | None, limit: int) -> list[Schedule | Damaged]:
        """Newest first by id; `before` is exclusive. One that cannot be read is `Damaged`."""
        ...

    async def count(self, owner: str) -> int: ...

    async def save(self, schedule: Schedule) -> Schedule | None:
        """Replace the one with its id, owner and version; what is there now, with the next version.

        None, and nothing is written, when there is none: somebody else has changed it since it was read,
        or deleted it. Of two who save what they have read at once, one is told so.
        """
        ...

    async def delete(self, schedule_id: str, owner: str) -> None:
        """Remove it; its runs stay. Raises `ScheduleNotFound`."""
        ...

    async def due(
        self, now: Instant, limit: int, exclude: frozenset[str] = frozenset()
    ) -> list[Schedule | Damaged]:
        """All owners' whose `next_at` has come, those due longest first, but for the ids in `exclude`. One
        that cannot be read is `Damaged`, and in nobody's way once it is excluded."""
        ...

    async def damaged(self) -> list[Damaged]:
        """All owners' that cannot be read. Reads every row."""
        ...
