"""Look at runs. The owner is part of every question; the answer to a foreign id is `RunNotFound`."""

from runwell.domain.events import LoggedEvent
from runwell.domain.run import Run, RunStatus
from runwell.domain.step import Step
from runwell.engine.core import Core
from runwell.ports.store import RunFilter


async def get(core: Core, owner: str, run_id: str) -> Run:
    """Raises `RunNotFound`."""
    return await core.store.runs.get(run_id, owner)


async def position(core: Core, run: Run) -> int | None:
    """How many queued runs go before this one, from 0; None when it is not queued."""
    if run.status is not RunStatus.QUEUED:
        return None
    return await core.store.runs.position(run)


async def page(
    core: Core,
    owner: str | None,
    where: RunFilter,
    *,
    before: str | None = None,
    after: str | None = None,
    limit: int,
    brief: bool = False,
) -> list[Run]:
    """Newest first; see `ports.store.Runs.page` for the cursors, for all owners', and for `brief`."""
    return await core.store.runs.page(owner, where, before=before, after=after, limit=limit, brief=brief)


async def events(
    core: Core, owner: str, run_id: str, after: int, limit: int
) -> tuple[Run, list[LoggedEvent]]:
    """The run and the part of its log after `after`. Raises `RunNotFound`, `LogPruned`."""
    run = await core.store.runs.get(run_id, owner)
    return run, await core.store.events.read(run.id, after, limit)


async def steps(core: Core, owner: str, run_id: str) -> list[Step]:
    """Raises `RunNotFound`."""
    run = await core.store.runs.get(run_id, owner)
    return await core.store.steps.of(run.id)
