"""What one loop remembers of the runs it has read and written, so that crowds of readers cost little.

Only a loop that hears every batch may remember anything. What is remembered and what is forgotten
happen on that loop, in the order of the commits, and before anybody on it hears of a commit.
"""

from collections.abc import Sequence
from typing import Any

from runwell.domain.events import LoggedEvent
from runwell.domain.run import Run
from runwell.ports.signals import SignalKind
from runwell.ports.store import Added
from runwell.store.sqlite.transaction import Job

RUNS_KEPT = 4_096
LARGEST_KEPT = 16 * 1024
"""Bytes of an output, or of a first event; what is larger is read again each time."""


class Kept:
    """Runs as they were committed last, and the first events of those that were made here."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._runs: dict[str, Run] = {}
        self._firsts: dict[str, LoggedEvent] = {}
        self.get = self._runs.get

    def put(self, run: Run) -> None:
        if self._most and (run.output is None or len(memoryview(run.output)) <= LARGEST_KEPT):
            _bound(self._runs, self._most)
            self._runs[run.id] = run

    def first_event(self, run_id: str) -> LoggedEvent | None:
        """`run.created` of a run that is known to be there."""
        return self._firsts.get(run_id) if run_id in self._runs else None

    def hear(
        self, jobs: Sequence[Job[Any]], signals: Sequence[tuple[SignalKind, str]], *, alone: bool
    ) -> None:
        """A batch was committed. With other loops about, their news of a run may be newer than ours."""
        if not self._most:
            return
        written: dict[str, Run] = {}
        if alone:
            for job in jobs:
                if job.error is None and (run := _run_of(job.result)) is not None:
                    written[run.id] = run
                    if job.first_event is not None:
                        _bound(self._firsts, self._most)
                        self._firsts[run.id] = job.first_event
        for _, run_id in signals:
            if run_id not in written:
                self._runs.pop(run_id, None)
                self._firsts.pop(run_id, None)
        for run in written.values():
            known = self._runs.get(run.id)
            # A read may have been ahead of this news: what it saw must not be taken back.
            if known is None or (known.version, known.last_seq) < (run.version, run.last_seq):
                self._runs.pop(run.id, None)
                self.put(run)


def _run_of(result: object) -> Run | None:
    if isinstance(result, Run):
        return result
    return result.run if isinstance(result, Added) else None


def _bound(table: dict[str, Any], most: int) -> None:
    if len(table) >= most:
        del table[next(iter(table))]
