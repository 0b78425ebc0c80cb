"""How often one caller may ask. Pure: time is an argument, nothing is stored, nothing waits."""

import math

from runwell.domain.errors import RateLimited
from runwell.domain.instant import SECOND, Instant

MOST_CALLERS = 10_000


class RateLimit:
    """`count` requests at once, and one more for every `seconds / count` that pass; 0 is no limit.

    Over time a caller gets `count` per `seconds`, in one such span never as many as twice that: what
    it saved up, and what comes back meanwhile. One number is kept for each caller: the time at which
    all it took is paid back (the generic cell rate algorithm). Counted in `count`-ths of a
    microsecond, which makes every step whole.

    `most_callers` are remembered, those that asked last. A forgotten one begins anew, so take only
    for callers that are known to exist: nobody can invent ten thousand of them.
    """

    def __init__(self, count: int, seconds: float, *, most_callers: int = MOST_CALLERS) -> None:
        """`seconds` > 0, `count` >= 0, `most_callers` >= 1; raises `ValueError` for anything else."""
        if count < 0 or most_callers < 1 or not (math.isfinite(seconds) and round(seconds * SECOND) > 0):
            raise ValueError(f"{count} per {seconds} seconds for {most_callers} callers is no rate limit")
        self.count = count
        self.seconds = seconds
        self._window = round(seconds * SECOND)
        self._most_callers = most_callers
        self._paid_at: dict[str, int] = {}

    def take(self, who: str, now: Instant) -> None:
        """Count one request. Raises `RateLimited`, which says when the next would be let in, and
        counts nothing then: asking too early makes nobody wait longer."""
        if self.count == 0:
            return
        current = now * self.count
        # Taken out and put back, so that who asked last stands last.
        ahead = max(self._paid_at.pop(who, current) - current, 0)
        # Nobody takes more than this ahead. Who seems to have, saw the clock being set back, and waits
        # for one place; a fresh start would be a gift with every small step back that clocks make.
        ahead = min(ahead, self.count * self._window)
        self._make_room(current)
        early = ahead - (self.count - 1) * self._window
        if early > 0:
            self._paid_at[who] = current + ahead
            raise self._refusal(-(-early // self.count))
        self._paid_at[who] = current + ahead + self._window

    def _make_room(self, current: int) -> None:
        """Forget two callers at most who have paid back, which changes nothing for them, or the one
        who has not asked for longest when there are too many."""
        for _ in range(2):
            first = next(iter(self._paid_at), None)
            if first is None:
                return
            if self._paid_at[first] > current and len(self._paid_at) < self._most_callers:
                return
            del self._paid_at[first]

    def _refusal(self, wait: int) -> RateLimited:
        seconds = wait / SECOND
        return RateLimited(
            f"More than {self.count} requests in {self.seconds:g} seconds",
            f"Ask again in {math.ceil(seconds)} s; after that, one every {self.seconds / self.count:.3g} s.",
            seconds,
        )

    def __len__(self) -> int:
        """How many callers are remembered."""
        return len(self._paid_at)
