"""When a delivery is posted again, and when nobody tries any more. Pure.

Twelve-hour outages are survived and a typo is not posted to for ever: eleven posts in about 24
hours, quick at first, for receivers that only restart.
"""

from enum import StrEnum
from http import HTTPStatus
from typing import assert_never

import msgspec

from runwell.callbacks.post import LONGEST_RETRY_AFTER, Posted
from runwell.domain.instant import Instant, after

MINUTE = 60.0
HOUR = 3600.0

DELAYS = (
    5.0, 30.0, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE,
    HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 8 * HOUR,
)  # fmt: skip
"""Seconds from the end of a post to the next one, before they are shaken."""

MOST_POSTS = len(DELAYS) + 1
JITTER = 0.2
"""A delay is shortened or prolonged by up to this part of it, so that the deliveries which one outage
held up do not come back together."""


class Why(StrEnum):
    """Why a delivery is given up."""

    GONE = "gone"
    """The receiver answered 410: it wants no more."""
    EXHAUSTED = "exhausted"
    """It was posted as often as anything is, and nobody took it."""


class Delivered(msgspec.Struct, frozen=True):
    """Somebody took it."""


class Again(msgspec.Struct, frozen=True):
    """It is posted once more, at `at`."""

    at: Instant


class GivenUp(msgspec.Struct, frozen=True):
    """It is not posted again unless somebody asks for it."""

    why: Why


Verdict = Delivered | Again | GivenUp


def verdict(posts: int, posted: Posted, now: Instant, chance: float) -> Verdict:
    """What becomes of a delivery after a post.

    `posts` counts those made since it was last asked for, this one included, so at least 1; `chance`
    is a random number in [0, 1). A 2xx delivers and a 410 gives up; anything else, a redirect too,
    is a failure that may pass. A receiver that says when to come back (`Retry-After`) is not posted
    to earlier.
    """
    if posted.delivered:
        return Delivered()
    if posted.status_code == HTTPStatus.GONE:
        return GivenUp(Why.GONE)
    if posts >= MOST_POSTS:
        return GivenUp(Why.EXHAUSTED)
    delay = DELAYS[max(posts, 1) - 1] * (1.0 + JITTER * (2.0 * chance - 1.0))
    asked = min(posted.retry_after or 0.0, LONGEST_RETRY_AFTER)
    return Again(after(now, max(delay, asked)))


def next_post(posts: int, posted: Posted, now: Instant, chance: float) -> Instant | None:
    """The time of the next post, None when there is none: see `verdict`, which says why."""
    found = verdict(posts, posted, now, chance)
    match found:
        case Again(at=at):
            return at
        case Delivered() | GivenUp():
            return None
        case _:
            assert_never(found)
