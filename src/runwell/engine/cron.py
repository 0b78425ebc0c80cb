"""When a cron expression is due, in a time zone.

The expression has five fields, `minute hour day-of-month month day-of-week`, as Debian's cron reads them,
with `L` (last), `LW` and `MON#2` besides. When clocks are put forward, a time of day that does not exist
that day is due at the first minute that does; when they are put back, a time of day that comes twice is
due at its first coming. An expression whose minutes or hours begin with a star goes by what has passed:
`*/15 * * * *` is due every quarter of an hour, also in the hour that comes twice.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from runwell.domain.errors import InvalidInput
from runwell.domain.instant import SECOND, Instant

FIELDS = 5
LONGEST_CRON = 200
LONGEST_TIMEZONE = 64

CRON_HINT = (
    'Five fields, minute hour day-of-month month day-of-week: "0 9 * * MON-FRI" is 9:00 on every weekday.'
)
TIMEZONE_HINT = 'Give a name of the IANA time zone database, such as "Europe/Berlin" or "UTC".'

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZONE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*\Z")
# What the machine's own files have besides: its local zone, and zones that count leap seconds.
_NOT_ZONES = re.compile(r"(localtime|posixrules|Factory|leapseconds)\Z|(posix|right)(/|\Z)")


def check(cron: str, timezone: str) -> None:
    """Raise `InvalidInput` for what is no cron expression, or no time zone."""
    _zone(timezone)
    _simulated(cron, _EPOCH)


def times(cron: str, timezone: str, after: Instant) -> Iterator[Instant]:
    """The times that are due after this one, in order, none twice; endless, as a rule.

    Raises `InvalidInput`, when the first one is asked for.
    """
    last = after
    for moment in _simulated(cron, _local(after, _zone(timezone))):
        at = _instant(moment)
        # The simulation puts two times of day that clocks jump over onto the same minute, and does not
        # know whether it was started in the first or the second coming of an hour.
        if at > last:
            last = at
            yield at


def next_after(cron: str, timezone: str, after: Instant) -> Instant | None:
    """The first time that is due after this one; None when there is none in fifty years. Raises
    `InvalidInput`."""
    return next(times(cron, timezone, after), None)


def between(cron: str, timezone: str, first: Instant, last: Instant, most: int) -> list[Instant]:
    """The times that are due from `first` to `last`, both included, oldest first; of more than `most` the
    newest. Raises `InvalidInput`."""
    # Backwards from the end, for years may have passed; then forwards, so that each time is the same one
    # whoever asks, and when.
    back = _simulated(cron, _local(last + SECOND, _zone(timezone)), reverse=True)
    begin = first
    for moment in islice(back, most + 1):
        if (begin := _instant(moment)) < first:
            break
    found: list[Instant] = []
    for at in times(cron, timezone, max(begin, first) - 1):
        if at > last:
            break
        found.append(at)
    return found[-most:]


def _simulated(cron: str, start: datetime, *, reverse: bool = False) -> CronSim:
    fields = len(cron.split())
    if fields != FIELDS:
        raise InvalidInput("$.cron", f"{cron[:80]!r} has {fields} fields, not {FIELDS}", CRON_HINT)
    if len(cron) > LONGEST_CRON:
        raise InvalidInput("$.cron", f"must have at most {LONGEST_CRON} characters")
    try:
        return CronSim(cron, start, reverse)
    except CronSimError as error:
        fault = str(error).removeprefix("Bad ")
        raise InvalidInput("$.cron", f"{cron[:80]!r} has a bad {fault}", CRON_HINT) from error


def _zone(name: str) -> ZoneInfo:
    if len(name) <= LONGEST_TIMEZONE and _ZONE_NAME.match(name) and not _NOT_ZONES.match(name):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise _no_zone(name) from error
    raise _no_zone(name)


def _no_zone(name: str) -> InvalidInput:
    return InvalidInput("$.timezone", f"{name[:80]!r} is no time zone", TIMEZONE_HINT)


def _local(instant: Instant, zone: ZoneInfo) -> datetime:
    return (_EPOCH + timedelta(microseconds=instant)).astimezone(zone)


def _instant(moment: datetime) -> Instant:
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
