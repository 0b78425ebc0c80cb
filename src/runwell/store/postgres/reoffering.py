"""Offering queued runs to the queue once more: what was offered may have been lost there."""

from collections.abc import Sequence

from runwell.domain.instant import Instant
from runwell.domain.run import RunStatus
from runwell.store.postgres.desk import Desk
from runwell.store.postgres.offers import offer_new
from runwell.store.postgres.pool import Transaction
from runwell.store.postgres.rows import RUN_FIELDS, run_of

_LOCK = f"SELECT {RUN_FIELDS} FROM runs WHERE id = $1 FOR UPDATE"


async def reoffer(desk: Desk, run_ids: Sequence[str], now: Instant) -> int:
    """Each in a transaction of its own, under its row's lock: it is still queued when its job is written.
    How many still were. Raises `StoreUnavailable`."""
    offered = 0
    for run_id in run_ids:

        async def work(transaction: Transaction, run_id: str = run_id) -> bool:
            row = await transaction.one(_LOCK, bytes.fromhex(run_id))
            run = None if row is None else run_of(row)
            if run is None or run.status is not RunStatus.QUEUED:
                return False
            await offer_new(transaction, desk.enlist, run, now)
            return True

        offered += await desk.write(work, run_id)
    return offered
