"""Instants as this API writes them."""

from runwell.domain.instant import SECOND, Instant, to_iso

NANOSECONDS = 1_000
"""In a microsecond."""


def whole_seconds(instant: Instant) -> str:
    """Of messages: `2026-11-22T05:54:19+00:00`."""
    return f"{to_iso(instant - instant % SECOND)[:19]}+00:00"


def iso(instant: Instant | None) -> str | None:
    """Of everything else: microseconds and a Z."""
    return None if instant is None else to_iso(instant)


def nanoseconds(start: Instant, end: Instant | None) -> int | None:
    """How long, None while it is not over."""
    return None if end is None else max(end - start, 0) * NANOSECONDS
