"""Deliveries need not be kept for ever."""

from runwell.domain.instant import after
from runwell.ports.clock import Clock
from runwell.ports.store import Store

BATCH = 500


async def forget_deliveries(store: Store, clock: Clock, keep: float) -> int:
    """Drop ended deliveries older than `keep` seconds and their posts, a small batch at a time; how
    many. If the process dies in between the next turn does the rest."""
    dropped = 0
    while (count := await store.deliveries.forget(after(clock.now(), -keep), BATCH)) > 0:
        dropped += count
    return dropped
