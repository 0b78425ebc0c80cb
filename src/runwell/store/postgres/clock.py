"""The time that all processes on one database share: the database's."""

import time

from runwell.domain.instant import Instant
from runwell.store.postgres.pool import Pool

_NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


class DatabaseClock:
    """`ports.clock.Clock`: the machine's own clock, set by the database's again and again.

    Between two settings it goes on by the time since the process started, which nobody sets. `offset` is
    how far the machine's wall clock was off at the last setting, in µs.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._zero = time.time_ns() // 1_000 - _elapsed()
        self.offset = 0

    def now(self) -> Instant:
        return self._zero + _elapsed()

    async def measure(self) -> None:
        """Set it by the database, if what it says cannot be: it was read at some moment between question and
        answer, so one that took long says little, and moves nothing that may be right.

        Raises `StoreUnavailable`.
        """
        before = _elapsed()
        (there,) = await self._pool.one(_NOW) or (0,)
        after = _elapsed()
        if not before <= int(there) - self._zero <= after:
            self._zero = int(there) - (before + after) // 2
        self.offset = time.time_ns() // 1_000 - self.now()


def _elapsed() -> int:
    return time.monotonic_ns() // 1_000
