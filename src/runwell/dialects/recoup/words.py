"""Values of the core in this API's words."""

from typing import Literal, assert_never

from runwell.domain.ids import derived_id, spell_crockford, spell_uuid
from runwell.domain.instant import Instant, to_iso
from runwell.domain.run import RunStatus

Status = Literal["queued", "running", "completed", "failed", "cancelled"]

LIVE = frozenset({RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING})
ENDED = frozenset(RunStatus) - LIVE


def status_word(status: RunStatus) -> Status:
    match status:
        case RunStatus.QUEUED:
            return "queued"
        case RunStatus.RUNNING | RunStatus.WAITING:
            return "running"  # who waits for a person has not ended, and this API cannot ask
        case RunStatus.SUCCEEDED:
            return "completed"
        case RunStatus.FAILED:
            return "failed"
        case RunStatus.CANCELLED:
            return "cancelled"
    assert_never(status)


def run_word(run_id: str) -> str:
    """`wrun_` + 26 Crockford characters."""
    return f"wrun_{spell_crockford(run_id)}"


def time_word(instant: Instant) -> str:
    """`2026-03-29T10:00:00.000Z`: whole milliseconds, as browsers write them."""
    return f"{to_iso(instant)[:-4]}Z"


def account_word(owner: str) -> str:
    """The account behind an owner's keys. Accounts are not kept: each is a function of its owner."""
    return spell_uuid(derived_id("recoup.account", owner))
