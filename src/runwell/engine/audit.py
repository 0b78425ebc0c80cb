"""Read every log and hold it against its run: the invariants behind every promise."""

from collections.abc import AsyncIterator
from typing import NamedTuple

from runwell.domain.audit import Audit
from runwell.domain.errors import LogPruned
from runwell.ports.store import Store

RUNS = 500
EVENTS = 5_000


class Finding(NamedTuple):
    """One thing that should not be. `level` is `error` or `warning`."""

    level: str
    code: str
    sentence: str


async def audit(store: Store) -> AsyncIterator[tuple[str, list[Finding]]]:
    """For every run, its id and what is wrong with it. All owners' runs; for operators."""
    after: str | None = None
    while runs := await store.runs.every(after, RUNS):
        for run in runs:
            judge, seen = Audit(), 0
            try:
                while page := await store.events.read(run.id, seen, EVENTS):
                    for line in page:
                        # The row was read first; what a live run has said since is not its story yet.
                        if line.seq <= run.last_seq:
                            judge.see(line)
                    seen = page[-1].seq
            except LogPruned:
                yield run.id, []
                continue
            faults = judge.close(run)
            yield run.id, [Finding("error", "log_invariant", f"run_{run.id}: {fault}") for fault in faults]
        after = runs[-1].id
