"""How many runs may be queued: a server that is handed more than it can do says so at once."""

from runwell.domain.errors import QueueFull
from runwell.domain.instant import SECOND, Instant
from runwell.ports.store import Runs

COUNT_EVERY: Instant = SECOND // 2
"""Counting 100,000 queued runs takes 4 ms of the loop, so it is not done for every submit."""
ASK_AGAIN = 5.0
"""Seconds; a place is free as soon as one run starts, but all who wait want it."""


class QueueLimit:
    """At most `most` runs are queued, of all owners together; 0 is no limit. One per process.

    The store is asked how many there are, and what is added here is counted from then on; half a
    second later it is asked again. So submits of this process never exceed the limit, however many
    there are at once. What it may be exceeded by: runs that were let in before and are queued again
    (answered, tried again, handed back), and what other processes on the same database added within
    half a second. A place that became free is given away half a second later at the latest.
    """

    def __init__(self, most: int = 0) -> None:
        self.most = most
        self._room = most
        self._counted_at: Instant | None = None
        self._entering = 0
        """Let in, and not known to be written yet."""
        self._entered = 0
        """Written, ever."""

    async def enter(self, runs: Runs, now: Instant) -> None:
        """Take a place for a run that is about to be added; `leave` must follow.

        Raises `QueueFull`, and `StoreUnavailable`; no place is taken then.
        """
        if self.most == 0:
            return
        at = self._counted_at
        if at is None or not 0 <= now - at < COUNT_EVERY:
            # Said first: of many submits at once one counts, the others go by what was known.
            self._counted_at = now
            await self._count(runs)
        if self._room <= 0:
            raise QueueFull(
                f"{self.most} runs are queued already",
                "Submit again later. The server's max_queue is the limit, more workers shorten the queue.",
                ASK_AGAIN,
            )
        self._room -= 1
        self._entering += 1

    def leave(self, written: bool) -> None:
        """What became of the place. Doubtful is written: the next count tells."""
        if self.most == 0:
            return
        self._entering -= 1
        if written:
            self._entered += 1
        else:
            self._room += 1

    async def _count(self, runs: Runs) -> None:
        before = self._entered
        queued = await runs.queued(None, self.most)
        # What is being written may be in the count or not, and what was written while it was taken
        # too. Counting them twice errs to the safe side, for half a second.
        self._room = self.most - queued - self._entering - (self._entered - before)
