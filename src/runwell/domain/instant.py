"""Points in time: whole microseconds since 1970-01-01T00:00:00Z.

An integer compares, stores and subtracts exactly on every backend, which neither a float nor a
`datetime` with a forgotten time zone does. Text is made only at the edge.
"""

from datetime import UTC, datetime, timedelta

Instant = int

SECOND: int = 1_000_000
MILLISECOND: int = 1_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_iso(instant: Instant) -> str:
    """RFC 3339 in UTC with microseconds: `2026-11-22T22:28:00.000123Z`."""
    return (_EPOCH + timedelta(microseconds=instant)).isoformat(timespec="microseconds")[:-6] + "Z"


def from_iso(text: str) -> Instant:
    """Read RFC 3339. Raises `ValueError` when the text is no time or names no offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone: add Z or an offset such as +02:00")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def after(instant: Instant, seconds: float) -> Instant:
    """The instant `seconds` later (earlier when negative)."""
    return instant + round(seconds * SECOND)


def seconds_between(start: Instant, end: Instant) -> float:
    """Seconds from `start` to `end`."""
    return (end - start) / SECOND
