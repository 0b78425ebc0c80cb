"""Rows on their way from one database into another: in batches that fit into memory, and counted."""

import hashlib
from typing import Any, NamedTuple

import msgspec

Row = tuple[Any, ...]
"""int, float, str, bytes or None, in the order of the columns."""

MOST_ROWS = 5_000
MOST_BYTES = 8 * 2**20
"""A batch ends with the row that reaches either."""


class Batch:
    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._bytes = 0

    def add(self, row: Row) -> list[Row] | None:
        """The batch, when it is full with this row."""
        self._rows.append(row)
        self._bytes += sum(len(value) for value in row if isinstance(value, (bytes, str)))
        if len(self._rows) < MOST_ROWS and self._bytes < MOST_BYTES:
            return None
        return self.rest()

    def rest(self) -> list[Row]:
        """What has been added since the last one."""
        rows, self._rows, self._bytes = self._rows, [], 0
        return rows


class Sum(NamedTuple):
    """How many rows, and the sum of their digests: the same in whatever order they come."""

    rows: int
    digests: int


class Summing:
    def __init__(self) -> None:
        self._rows = 0
        self._digests = 0
        self._encode = msgspec.msgpack.Encoder().encode

    def see(self, row: Row) -> None:
        digest = hashlib.blake2b(self._encode(row), digest_size=16).digest()
        self._digests += int.from_bytes(digest, "little")
        self._rows += 1

    @property
    def sum(self) -> Sum:
        return Sum(self._rows, self._digests % 2**128)
