"""What an agent hands over, checked where it stands: the error is raised into the agent's own line.

A wrong value that got through would be found when the log is written, or not before the next attempt
reads it, when nobody can say any more which line it came from.
"""

import math
import operator
from typing import Any

import msgspec

from runwell.domain.instant import SECOND, Instant
from runwell.domain.json_gate import clean_text
from runwell.domain.run import Usage

MOST = 2**53
"""Of any count or sum in one call: exact in every JSON reader, and no addition of them overflows."""
LAST = 253_402_300_799 * SECOND
"""The end of the year 9999, the last instant that can be written as text."""

_COUNTS = frozenset(field.name for field in msgspec.structs.fields(Usage) if field.type is int)
_FIELDS = Usage.__struct_fields__


def word(what: str, value: object) -> str:
    """A name, a key, a piece of text: cleaned, a plain `str`. Raises `TypeError`."""
    if not isinstance(value, str):
        raise TypeError(f"{what} is a string, not {type(value).__name__}")
    return clean_text(value)


def counted(usage: Usage | None, counts: dict[str, Any]) -> Usage:
    """What one call of `usage()` adds. Raises `TypeError`, or `ValueError` for what cannot be added."""
    if usage is not None and not isinstance(usage, Usage):
        raise TypeError(f"usage() takes a Usage or its fields, not {type(usage).__name__}")
    for name in counts:
        if name not in _FIELDS:
            raise TypeError(f"usage() counts {', '.join(_FIELDS)}; not {name!r}")
    total = Usage(**{name: _amount(name, value) for name, value in counts.items()})
    if usage is not None:
        total += Usage(**{name: _amount(name, getattr(usage, name)) for name in _FIELDS})
    return total


def _amount(name: str, value: Any) -> Any:
    """`value` as the field's own type; 12.0 is the count 12."""
    try:
        exact = operator.index(value)
    except TypeError:
        if isinstance(value, str | bytes):
            raise TypeError(f"{name} is a number, not {type(value).__name__}") from None
        number = float(value)
        if not math.isfinite(number):
            raise ValueError(f"{name} is {number}, which cannot be added up") from None
        if name not in _COUNTS:
            return _bounded(name, number)
        if not number.is_integer():
            raise ValueError(f"{name} is a count, and {number} is not whole") from None
        exact = int(number)
    return _bounded(name, exact if name in _COUNTS else float(exact))


def _bounded(name: str, amount: float) -> float:
    if not 0 <= amount <= MOST:
        raise ValueError(f"{name} must be from 0 to 2**53, not {amount}")
    return amount


def deadline(now: Instant, expires_in: float) -> Instant:
    """`expires_in` seconds after `now`. Raises `TypeError` and `ValueError`."""
    if not isinstance(expires_in, int | float):
        raise TypeError(f"expires_in is a number of seconds, not {type(expires_in).__name__}")
    if not 0 <= expires_in <= (LAST - now) / SECOND:  # also false for NaN
        raise ValueError(f"expires_in must be a number of seconds from 0 on, not {expires_in}")
    return now + round(expires_in * SECOND)
