"""Cancelling: asked for, and waited for, so that what is answered is true."""

import asyncio
from collections.abc import Sequence
from typing import Any

from runwell.dialects.letta import ids
from runwell.dialects.letta.endings import ended
from runwell.dialects.letta.errors import LettaRefusal
from runwell.dialects.letta.listing import LIVE
from runwell.dialects.letta.paging import MOST
from runwell.domain.errors import IllegalTransition, RunNotFound
from runwell.engine import control
from runwell.engine.core import Core
from runwell.ports.store import RunFilter
from runwell.stream.poll import wait_until

GRACE = 6.0
"""Seconds until a cancelled run is cancelled: a worker lets go of an agent after 5."""
CANCELLED, FAILED = "cancelled", "failed"


async def cancel(core: Core, owner: str, names: Sequence[str]) -> dict[str, Any]:
    """What became of each run: `failed` where there is no such run, `cancelled` otherwise, also for one
    that had ended before and is not touched."""
    unique = list(dict.fromkeys(names))
    outcomes = await asyncio.gather(*(_cancel(core, owner, name) for name in unique))
    return dict(zip(unique, outcomes, strict=True))


async def cancel_active(core: Core, owner: str, where: RunFilter, what: str) -> dict[str, Any]:
    """The same for all runs there that work or wait for their turn. Raises a refusal (409) when there
    is none."""
    runs = await core.store.runs.page(owner, where, before=None, after=None, limit=MOST)
    if not runs:
        detail = f"CONFLICT: No active runs to cancel for {what}"
        raise LettaRefusal(409, {"detail": detail}, retry=False)
    return await cancel(core, owner, [ids.run_id(run.id) for run in runs])


def active(agent: str | None, thread_id: str | None) -> RunFilter:
    return RunFilter(statuses=LIVE, agent=agent, thread_id=thread_id)


async def _cancel(core: Core, owner: str, name: str) -> str:
    id = ids.read(name)
    if id is None:
        return FAILED
    try:
        run = await core.store.runs.get(id, owner)
        if ended(run):
            return CANCELLED
        run = await control.cancel(core, owner, id, by=owner)
        if not run.final:
            run = await wait_until(core.store, core.signals, id, owner, ended, GRACE)
    except RunNotFound:
        return FAILED
    except IllegalTransition:
        return CANCELLED  # it ended by itself meanwhile
    return CANCELLED if ended(run) else FAILED
