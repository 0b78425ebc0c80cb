"""`ports.store.Events` on SQLite."""

from msgspec import json

from runwell.domain.errors import LogPruned
from runwell.domain.events import LoggedEvent
from runwell.store.sqlite.kept import Kept
from runwell.store.sqlite.reader import Reader
from runwell.store.sqlite.rows import EVENT_KINDS, MAX_SEQ, SEQ_BITS, event_of

_FIND = "SELECT pk, created_at, log_pruned FROM runs WHERE id = ?"
_READ = """SELECT key, kind, at, data FROM events
WHERE key > ? AND key <= ? ORDER BY key LIMIT ?"""
_NEWEST = """SELECT key, kind, at, data FROM events
WHERE key > ? AND key <= ? AND kind IN (SELECT value FROM json_each(?)) ORDER BY key DESC LIMIT ?"""


class SqliteEvents:
    def __init__(self, reader: Reader, kept: Kept) -> None:
        self._reader = reader
        self._kept = kept

    async def read(self, run_id: str, after: int, limit: int) -> list[LoggedEvent]:
        if limit == 1 and after == 0 and (first_event := self._kept.first_event(run_id)) is not None:
            return [first_event]  # what every attempt reads first
        found = self._reader.one(_FIND, (bytes.fromhex(run_id),))
        if found is None:
            return []
        pk, created_at, pruned = found
        if pruned:
            raise LogPruned(run_id)
        first = pk << SEQ_BITS
        # Clamped, so that no cursor reaches into the logs of the neighbours.
        cursor = first + min(max(after, 0), MAX_SEQ)
        rows = self._reader.all(_READ, (cursor, first | MAX_SEQ, limit))
        return [event_of(row, created_at) for row in rows]

    async def newest(self, run_id: str, types: frozenset[str], limit: int) -> list[LoggedEvent]:
        found = self._reader.one(_FIND, (bytes.fromhex(run_id),))
        if found is None:
            return []
        pk, created_at, pruned = found
        if pruned:
            raise LogPruned(run_id)
        first = pk << SEQ_BITS
        kinds = json.encode([EVENT_KINDS[type] for type in types]).decode()
        rows = self._reader.all(_NEWEST, (first, first | MAX_SEQ, kinds, limit))
        return [event_of(row, created_at) for row in rows]
