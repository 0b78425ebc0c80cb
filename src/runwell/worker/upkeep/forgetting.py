"""What need not be kept for ever."""

from runwell.domain.instant import after
from runwell.ports.clock import Clock
from runwell.ports.store import Store

BATCH = 500


async def forget_idempotency(store: Store, clock: Clock, keep: float) -> int:
    """Drop idempotency keys older than `keep` seconds, a small batch at a time; how many."""
    dropped = 0
    while (count := await store.runs.forget_idempotency(after(clock.now(), -keep), BATCH)) > 0:
        dropped += count
    return dropped


async def forget_sessions(store: Store, clock: Clock) -> int:
    """Drop sessions that have expired, a small batch at a time; how many."""
    dropped = 0
    while (count := await store.sessions.forget(clock.now(), BATCH)) > 0:
        dropped += count
    return dropped
