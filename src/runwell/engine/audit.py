"""Read every log and hold it against its run and its deliveries: the invariants behind every promise."""

from collections.abc import AsyncIterator
from typing import NamedTuple

from runwell.domain.audit import Audit
from runwell.domain.errors import LogPruned, RunNotFound
from runwell.domain.ids import spell
from runwell.domain.instant import Instant
from runwell.ports.store import Store

RUNS = 500
EVENTS = 5_000


class Finding(NamedTuple):
    """One thing that should not be. `level` is `error` or `warning`."""

    level: str
    code: str
    sentence: str


async def audit(store: Store, told_since: Instant = 0) -> AsyncIterator[tuple[str, list[Finding]]]:
    """For every run, its id and what is wrong with it. All owners' runs; for operators.

    Deliveries of events before `told_since` may have been forgotten.
    """
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
            faults = [("log_invariant", fault) for fault in judge.close(run)]
            outbox = await store.deliveries.of(run.id)
            faults += [("outbox_invariant", fault) for fault in judge.untold(run, outbox, told_since)]
            if faults and await _gone(store, run.id):
                faults = []  # removed while it was read
            yield run.id, [Finding("error", code, f"run_{run.id}: {fault}") for code, fault in faults]
        after = runs[-1].id


async def damage(store: Store) -> list[Finding]:
    """What stands beside the runs and cannot be read. It is passed over, and deleting it is its owner's; of
    a delivery it is only the newest post, and it goes on."""
    found = [
        *await store.schedules.damaged(),
        *await store.triggers.damaged(),
        *await store.callbacks.damaged(),
        *await store.deliveries.damaged(),
    ]
    return [
        Finding(
            "error", f"damaged_{each.what}",
            f"{spell(each.what, each.id)} of {each.owner} cannot be read: {each.why}",
        )
        for each in found
    ]  # fmt: skip


async def _gone(store: Store, run_id: str) -> bool:
    try:
        await store.runs.get(run_id)
    except RunNotFound:
        return True
    return False
