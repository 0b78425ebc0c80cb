"""Logs and runs that are not kept any longer, a small transaction at a time: all other writes wait for it.
See migration 0006 for the words of `log_pruned`."""

from runwell.domain.instant import Instant
from runwell.ports.signals import SignalKind
from runwell.ports.store import Pruned
from runwell.store.sqlite.rows import MAX_SEQ, SEQ_BITS, Row
from runwell.store.sqlite.transaction import Job, Transaction

MOST_BYTES = 4 * 1024 * 1024
"""Of what is removed at once: each page of a long value is walked to be freed."""

_FIELDS = "SELECT pk, id, coalesce(length(output), 0) FROM runs INDEXED BY runs_ended"
_BEGUN = f"{_FIELDS} WHERE finished_at IS NOT NULL AND log_pruned = ? ORDER BY finished_at LIMIT ?"
_OLD = f"{_FIELDS} WHERE finished_at < ? AND log_pruned = ? ORDER BY finished_at LIMIT ?"
_MARK = "UPDATE runs SET log_pruned = ? WHERE pk = ?"
_LINES = "SELECT key, length(data) FROM events WHERE key BETWEEN ? AND ? ORDER BY key LIMIT ?"
_CUT = "DELETE FROM events WHERE key BETWEEN ? AND ?"
_STEPS = """DELETE FROM steps WHERE run_pk = ?1
    AND key IN (SELECT key FROM steps WHERE run_pk = ?1 ORDER BY key LIMIT ?2)"""
_MORE_STEPS = "SELECT 1 FROM steps WHERE run_pk = ? LIMIT 1"


class _Pruning(Job[Pruned]):
    """What both have in common: which runs, and telling those who remember them."""

    begun: int
    """The word for runs that an earlier call has left half done; they come first."""
    ready: int
    """The word for those that may be begun with when they are old enough."""

    def __init__(self, before: Instant, limit: int) -> None:
        self._before = before
        self._limit = limit

    def run(self, transaction: Transaction) -> Pruned:
        transaction.flush()  # the last events of a run may still be on their way, and must go too
        limit = self._limit
        found: list[Row] = transaction.db.execute(_BEGUN, (self.begun, limit)).fetchall()
        found += transaction.db.execute(_OLD, (self._before, self.ready, limit)).fetchall()
        self.signals = ()
        return self._prune(transaction, found[:limit])

    def _prune(self, transaction: Transaction, found: list[Row]) -> Pruned:
        raise AssertionError("a kind of pruning says what it does")

    def _touched(self, id: bytes) -> None:
        self.signals = (*self.signals, (SignalKind.CHANGED, id.hex()))


class PruneLogs(_Pruning):
    """`Runs.prune_logs`."""

    begun, ready = 2, 0

    def _prune(self, transaction: Transaction, found: list[Row]) -> Pruned:
        runs = rows = size = 0
        for pk, id, _ in found:
            first = pk << SEQ_BITS
            values = (first, first | MAX_SEQ, self._limit - rows + 1)
            lines: list[Row] = transaction.db.execute(_LINES, values).fetchall()
            fitting, size = self._fitting(lines, rows, size)
            whole = fitting == len(lines)
            if not whole and runs:
                break  # it has a transaction of its own
            transaction.run(_MARK, (1 if whole else 2, pk))
            self._touched(id)
            # The first goes in any case: a log of one huge event would stay for ever.
            last = lines[max(fitting, 1) - 1][0] if lines else first
            rows += transaction.run(_CUT, (first, last))
            if not whole:
                break
            runs += 1
        return Pruned(runs, rows)

    def _fitting(self, lines: list[Row], rows: int, size: int) -> tuple[int, int]:
        """How many of the lines may go with `rows` others of `size` bytes, and the bytes of them all."""
        fitting = 0
        for _, length in lines:
            if rows + fitting >= self._limit or size + length > MOST_BYTES:
                break
            fitting, size = fitting + 1, size + length
        return fitting, size


class ForgetRuns(_Pruning):
    """`Runs.forget`."""

    begun, ready = 3, 1

    def _prune(self, transaction: Transaction, found: list[Row]) -> Pruned:
        runs = rows = size = 0
        for pk, id, length in found:
            if rows >= self._limit or (runs and size + length > MOST_BYTES):
                break
            self._touched(id)
            rows += transaction.run(_STEPS, (pk, self._limit - rows))
            if transaction.one(_MORE_STEPS, (pk,)) is not None:
                transaction.run(_MARK, (3, pk))
                break
            transaction.run("DELETE FROM runs WHERE pk = ?", (pk,))
            transaction.heads.pop(id.hex(), None)
            runs, size = runs + 1, size + length
        return Pruned(runs, rows)
