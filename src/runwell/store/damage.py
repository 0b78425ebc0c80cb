"""Rows whose JSON cannot be read, for both stores: whoever goes through the rows of many goes on with the
others."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec

from runwell.domain.callback import Post
from runwell.domain.damaged import Damaged

LOG = logging.getLogger(__name__)
T = TypeVar("T")
Decode = Callable[[bytes], T]

UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What a decoder raises for bytes that are not what it was made for."""

_POST = msgspec.json.Decoder(Post).decode


def read(what: str, decode: Decode[T], id: bytes, owner: str, value: bytes) -> T | Damaged:
    try:
        return decode(value)
    except UNREADABLE as error:
        return Damaged(what=what, id=id.hex(), owner=owner, why=str(error))


def readable(decode: Decode[T], values: Iterable[bytes], said: str) -> Iterator[T]:
    """Those that can be read; of the others it is `said` in the log."""
    for value in values:
        try:
            yield decode(value)
        except UNREADABLE as error:
            LOG.error("%s; `runwell doctor` names it: %s", said, error)


def damaged(what: str, decode: Decode[object], rows: Iterable[tuple[bytes, str, bytes]]) -> list[Damaged]:
    """Those of the rows (id, owner, value) that cannot be read."""
    found = (read(what, decode, *row) for row in rows)
    return [each for each in found if isinstance(each, Damaged)]


def last_post(value: bytes | None) -> Post | None:
    """The newest post, as it stands beside its delivery; where it cannot be read, as if there were none: it
    is only shown, and must keep nothing from being posted."""
    if value is None:
        return None
    return next(readable(_POST, [value], "the newest post of a delivery cannot be read"), None)


def damaged_posts(rows: Iterable[tuple[bytes, str, bytes]]) -> list[Damaged]:
    """Those of the deliveries (id, owner, newest post) whose newest post cannot be read."""
    return damaged("delivery", _POST, rows)
