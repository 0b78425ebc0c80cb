"""Identifiers: 128 bits in the shape of a version-4 UUID, kept as 32 lower-case hex digits.

The first 48 bits are the creation time in milliseconds, so ids sort by age and an index on them
grows at its end. The version nibble is always 4 and the variant is RFC 4122: strict clients
accept nothing else. Each dialect spells the same id its own way; `parse_id` reads all of them.
"""

import hashlib
import random
import re
from typing import Final
from uuid import UUID

from runwell.domain.errors import InvalidId
from runwell.domain.instant import Instant

_DICE: Final = random.Random()  # noqa: S311
"""Seeded by the system, and our own: an agent may seed the shared one. An id is a name, not a secret;
the system's generator would cost a system call, and with it the interpreter's lock, for every run."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CROCKFORD_VALUE = {letter: value for value, letter in enumerate(_CROCKFORD)}
_HEX_FORM = re.compile(r"(?:[a-z]{1,16}_)?([0-9a-f]{32})\Z")
_UUID_FORM = re.compile(r"(?:[a-z]{1,16}-)?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\Z")
_CROCKFORD_FORM = re.compile(r"(?:[a-z]{1,16}_)?([0-7][0-9A-HJKMNP-TV-Z]{25})\Z")


def _shape(value: int) -> str:
    value = value & ~(0xF << 76) | (0x4 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return f"{value:032x}"


def new_id(now: Instant) -> str:
    """A fresh id: 48 bits of `now` in milliseconds, 74 random bits, 6 bits of UUID shape."""
    return _shape((now // 1000) << 80 | _DICE.getrandbits(80))


def id_of_name(name: str) -> str:
    """The id of something that has only a name (an agent in code): the same on every machine."""
    return _shape(int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big"))


def derived_id(*parts: str | int) -> str:
    """The id of something that is a function of what is there already, such as a message of a run:
    the same whenever and wherever it is asked for."""
    return id_of_name("\x1f".join(map(str, parts)))


def parse_id(text: str) -> str:
    """The id behind any dialect's spelling: `run_<hex>`, `wrun_<Crockford>`, `run-<uuid>`, bare.

    Raises `InvalidId` for anything else.
    """
    if found := _HEX_FORM.match(text):
        return found[1]
    if found := _UUID_FORM.match(text):
        return found[1].replace("-", "")
    if found := _CROCKFORD_FORM.match(text):
        value = 0
        for letter in found[1]:
            value = value << 5 | _CROCKFORD_VALUE[letter]
        return f"{value:032x}"
    raise InvalidId(text)


def spell(prefix: str, id: str) -> str:
    """The native spelling: `run_` + 32 hex digits."""
    return f"{prefix}_{id}"


def spell_uuid(id: str) -> str:
    """The id as a dashed UUID."""
    return str(UUID(hex=id))


def spell_crockford(id: str) -> str:
    """The id as 26 Crockford base-32 characters."""
    value = int(id, 16)
    return "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))
