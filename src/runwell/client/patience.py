"""How long a client keeps trying, and how long it waits in between. No I/O."""

import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import msgspec

REFUSED_FOR_NOW = frozenset({429, 502, 503, 504})
"""Answers that may be another one a moment later."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """`total` is the seconds after a failure until the client gives up; any answer starts it anew.

    `first` replaces it until the server has answered once: someone at a prompt wants to hear at
    once that nothing listens, but not that a stream of an hour died in a restart. Waits double from
    `shortest` to `longest` seconds and are shortened by up to half at random, so that clients that
    lost one server do not come back in step. `clock` and `chance` are there to be replaced.
    """

    total: float = 60.0
    first: float | None = None
    shortest: float = 0.1
    longest: float = 5.0
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random

    def begin(self, *, reached: bool) -> "Waits":
        """The waits of one call. `reached`: the server has answered this client before."""
        total = self.total if reached or self.first is None else self.first
        return Waits(self, total)


class Waits:
    """The waits of one call, until its patience is used up."""

    def __init__(self, patience: Patience, total: float) -> None:
        self._patience = patience
        self._ends_at = patience.clock() + total
        self._wait = patience.shortest

    def next(self, at_least: float | None = None) -> float | None:
        """Seconds to wait before the next try; None when that would be too late.

        `at_least` is what the server asked for. A server that asks for more than what is left is
        told nothing more: waiting would not help.
        """
        left = self._ends_at - self._patience.clock()
        chance = self._patience.chance()
        wait = self._wait * (1.0 - 0.5 * chance)
        self._wait = min(self._wait * 2.0, self._patience.longest)
        if at_least:
            return max(wait, at_least * (1.0 + 0.1 * chance)) if at_least <= left else None
        return min(wait, left) if left > 0 else None


def retry_after_of(header: str | None, now: float) -> float | None:
    """Seconds that a `Retry-After` header asks for: a number, or a date seen from `now` (seconds
    since the epoch). None without the header and for nonsense."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - now, 0.0)
    except (ValueError, OverflowError):
        return None
