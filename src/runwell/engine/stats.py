"""How many runs were made and ended when, and how many are under way."""

from typing import NamedTuple

from runwell.domain.errors import InvalidInput
from runwell.domain.instant import SECOND, Instant
from runwell.engine.core import Core
from runwell.ports.stats import Standing, Tally

WINDOW = 3_600
"""Seconds up to now, when nothing else is asked for."""
LONGEST_WINDOW = 7 * 86_400
MOST_BUCKETS = 1_000
LONGEST_BUCKET = 86_400


class Stats(NamedTuple):
    """`since` and `until` are where the first bucket begins and the last one ends."""

    since: Instant
    until: Instant
    tallies: list[Tally]
    standings: list[Standing]


async def stats(
    core: Core, owner: str | None, since: Instant | None, until: Instant | None, bucket: int
) -> Stats:
    """Counts for each `bucket` seconds of [since, until), and what is under way now; all owners' for None.

    Buckets begin at multiples of their width, so the same bucket is the same whenever it is asked for, and
    the first and the last may reach beyond the window. Without `until` the window ends now, without `since`
    it is an hour. Raises `InvalidInput` for one that is empty, too long or cut too small.
    """
    until = core.clock.now() if until is None else until
    since = until - WINDOW * SECOND if since is None else since
    if since >= until:
        raise InvalidInput("since", "is not before `until`")
    if until - since > LONGEST_WINDOW * SECOND:
        raise InvalidInput("since", f"is more than {LONGEST_WINDOW // 86_400} days before `until`")
    if not 1 <= bucket <= LONGEST_BUCKET:
        raise InvalidInput("bucket", f"must be 1 to {LONGEST_BUCKET} seconds")
    width = bucket * SECOND
    first = since - since % width
    count = -((first - until) // width)
    if count > MOST_BUCKETS:
        raise InvalidInput(
            "bucket",
            f"cuts the window into {count:,} pieces, at most {MOST_BUCKETS:,}",
            f"Ask for at least {-((since - until) // (MOST_BUCKETS - 1) // SECOND)} seconds, or less time.",
        )
    tallies = core.counted.beginning(owner, first, width, count)
    if len(tallies) < count:
        at = first + len(tallies) * width
        fresh = await core.store.stats.tallies(owner, at, width, count - len(tallies))
        core.counted.keep(owner, width, fresh, core.clock.now())
        tallies += fresh
    return Stats(first, first + count * width, tallies, await core.store.stats.standings(owner))
