"""Values of the core in this API's words."""

from typing import assert_never

from runwell.dialects.flowyble.bodies import Status
from runwell.domain.instant import MILLISECOND, Instant, to_iso
from runwell.domain.json_gate import Json, decode
from runwell.domain.run import Run, RunStatus

STATUS_INTS: dict[Status, int] = {"Pending": 0, "Running": 1, "Completed": 2, "Failed": 3, "Cancelled": 4}
"""The last is not in the original's table, which has no cancelled tool runs."""


def status_word(status: RunStatus) -> Status:
    match status:
        case RunStatus.QUEUED:
            return "Pending"
        case RunStatus.RUNNING | RunStatus.WAITING:
            return "Running"  # who waits for a person has not ended, and this API cannot ask
        case RunStatus.SUCCEEDED:
            return "Completed"
        case RunStatus.FAILED:
            return "Failed"
        case RunStatus.CANCELLED:
            return "Cancelled"
    assert_never(status)


def seconds_word(instant: Instant) -> str:
    """`2026-03-29T10:00:00Z`: the second it happened in."""
    return to_iso(instant)[:19] + "Z"


def time_word(instant: Instant | None) -> str | None:
    return None if instant is None else seconds_word(instant)


def text_word(document: Json | None) -> str:
    """A string as it is, any other JSON as its text."""
    value = bytes(document) if document is not None else b'""'
    if value.startswith(b'"'):
        text: str = decode(value)
        return text
    return value.decode()


def json_word(document: Json | None) -> str:
    """The document as text, always JSON; empty for None."""
    return "" if document is None else bytes(document).decode()


def milliseconds(start: Instant | None, end: Instant | None) -> int:
    """0 when either is not known, or when the clock was set back meanwhile."""
    return 0 if start is None or end is None else max((end - start) // MILLISECOND, 0)


def error_word(run: Run) -> str | None:
    return None if run.error is None else run.error.message
