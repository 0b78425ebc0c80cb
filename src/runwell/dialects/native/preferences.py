"""The request headers that make polling cheap: `Prefer: wait=N` (RFC 7240) and `If-None-Match`."""

import re

LONGEST_WAIT = 60
"""Seconds; a longer wait is shortened to this, as a preference may be."""

_WAIT = re.compile(rb"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,9})\"?\s*(?=[,;]|$)", re.IGNORECASE)


def wait_of(headers: dict[bytes, bytes]) -> int | None:
    """Seconds the caller would wait; None without the preference, or with one that says nothing."""
    prefer = headers.get(b"prefer")
    if prefer is None:
        return None
    found = _WAIT.search(prefer)
    return min(int(found[1]), LONGEST_WAIT) if found else None


def matches(if_none_match: bytes, etag: str) -> bool:
    """Whether the caller has this representation already. Weak and strong validators compare alike."""
    value = if_none_match.strip()
    if value == b"*":
        return True
    return etag in (each.strip().removeprefix("W/") for each in value.decode("latin-1").split(","))
