"""Counts of times that are over: whoever looks at the last hour again and again has most of it counted."""

from runwell.domain.instant import SECOND, Instant
from runwell.ports.stats import Tally

SETTLED = 60 * SECOND
"""How long after its end a bucket may still change: another machine's clock, and a commit on its way."""
MOST = 10_000

_Bucket = tuple[str | None, int, Instant]


class Counted:
    """Buckets that were counted after they had settled, by owner and width. What is deleted since stays in
    them."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._tallies: dict[_Bucket, Tally] = {}

    def beginning(self, owner: str | None, since: Instant, width: int, count: int) -> list[Tally]:
        """As many of the first buckets as are known without a gap."""
        found = []
        for number in range(count):
            tally = self._tallies.get((owner, width, since + number * width))
            if tally is None:
                break
            found.append(tally)
        return found

    def keep(self, owner: str | None, width: int, tallies: list[Tally], now: Instant) -> None:
        """Remember those that have settled."""
        for tally in tallies:
            if tally.at + width > now - SETTLED:
                break
            if len(self._tallies) >= self._most:
                del self._tallies[next(iter(self._tallies))]
            self._tallies[owner, width, tally.at] = tally
