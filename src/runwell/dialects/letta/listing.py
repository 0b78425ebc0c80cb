"""GET /v1/runs/: which runs, told by what this API shows of them."""

import asyncio
from dataclasses import dataclass

from runwell.dialects.letta.endings import STATUSES, status_of, stop_reason_of
from runwell.dialects.letta.errors import LettaRefusal
from runwell.dialects.letta.origin import BACKGROUND, FOREGROUND, SOURCE
from runwell.dialects.letta.paging import FIRST, Page
from runwell.domain.run import Reason, Run, RunStatus
from runwell.engine.core import Core
from runwell.ports.store import RunFilter

ACTIVE = frozenset({"created", "running"})
LIVE = frozenset({RunStatus.QUEUED, RunStatus.RUNNING})
"""What can be cancelled, as this API sees it."""
_STATUSES = {
    "created": frozenset({RunStatus.QUEUED}),
    "running": frozenset({RunStatus.QUEUED, RunStatus.RUNNING}),
    "completed": frozenset({RunStatus.WAITING, RunStatus.SUCCEEDED}),
    "failed": frozenset({RunStatus.FAILED}),
    "cancelled": frozenset({RunStatus.CANCELLED}),
}
"""The core's statuses that each of Letta's may be; `shows` looks closer."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """`agents` are names, None for all; `thread_id` is bare."""

    agents: tuple[str, ...] | None = None
    statuses: frozenset[str] = frozenset()
    stop_reason: str | None = None
    background: bool | None = None
    thread_id: str | None = None

    def shows(self, run: Run) -> bool:
        if self.statuses and status_of(run) not in self.statuses:
            return False
        return self.stop_reason is None or stop_reason_of(run) == self.stop_reason

    def filters(self) -> list[RunFilter]:
        """Ranges of the store that hold all wanted runs, none twice."""
        base: dict[str, object] = {"thread_id": self.thread_id}
        if self.background is not None:
            base |= {"label": BACKGROUND if self.background else FOREGROUND, "source": SOURCE}
        agents: tuple[str | None, ...] = (None,) if self.agents is None else tuple(dict.fromkeys(self.agents))
        return [
            RunFilter(agent=agent, statuses=statuses, reasons=reasons, **base)  # type: ignore[arg-type]
            for agent in agents
            for statuses, reasons in self._ends()
        ]

    def _ends(self) -> list[tuple[frozenset[RunStatus], frozenset[str | None]]]:
        allowed = frozenset(status for word in self.statuses for status in _STATUSES[word])
        chosen = [
            (statuses & allowed if allowed else statuses, reasons)
            for statuses, reasons in _ends_of(self.stop_reason)
        ]
        return [(statuses, reasons) for statuses, reasons in chosen if statuses]


def _ends_of(stop_reason: str | None) -> list[tuple[frozenset[RunStatus], frozenset[str | None]]]:
    any_reason: frozenset[str | None] = frozenset()
    match stop_reason:
        case None:
            return [(frozenset(RunStatus), any_reason)]
        case "end_turn":
            return [(frozenset({RunStatus.SUCCEEDED}), any_reason)]
        case "max_steps":
            return [(frozenset({RunStatus.SUCCEEDED}), frozenset({Reason.MAX_STEPS}))]
        case "requires_approval":
            return [
                (frozenset({RunStatus.WAITING}), any_reason),
                (frozenset({RunStatus.SUCCEEDED}), frozenset({Reason.CONTINUED})),
            ]
        case "cancelled":
            return [(frozenset({RunStatus.CANCELLED}), any_reason)]
        case "llm_api_error":
            return [(frozenset({RunStatus.FAILED}), frozenset({Reason.MODEL_ERROR}))]
        case "insufficient_credits":
            return [(frozenset({RunStatus.FAILED}), frozenset({Reason.BUDGET_EXHAUSTED}))]
        case "error":
            return [(frozenset({RunStatus.FAILED}), any_reason)]
        case _:
            return []  # this server never stops for such a reason


def statuses_of(words: list[str] | None, active: bool) -> frozenset[str]:
    """Raises a refusal (400) for a word that is no status."""
    for word in words or ():
        if word not in STATUSES:
            raise LettaRefusal(400, {"detail": f"'{word[:80]}' is not a valid RunStatus"})
    if words:
        return frozenset(words)
    return ACTIVE if active else frozenset()


async def runs_of(core: Core, owner: str, wanted: Wanted, page: Page) -> list[Run]:
    """The page, in the order asked for."""
    older = (page.order == "desc") != page.backwards
    newest_first: list[Run] = []
    lower, upper = (page.after, page.before) if page.order == "asc" else (page.before, page.after)
    filters = wanted.filters()
    while filters and len(newest_first) < page.limit:
        found, complete = await _stretch(core, owner, filters, lower, upper, older, page.limit)
        kept = [run for run in found if wanted.shows(run)]
        newest_first = [*newest_first, *kept] if older else [*kept, *newest_first]
        if complete:
            break
        lower, upper = (lower, found[-1].id) if older else (found[0].id, upper)
        # What is wanted may be none of many runs, and others are waiting.
        await asyncio.sleep(0)
    chosen = newest_first[: page.limit] if older else newest_first[-page.limit :]
    return chosen if page.order == "desc" else chosen[::-1]


async def _stretch(
    core: Core,
    owner: str,
    filters: list[RunFilter],
    lower: str | None,
    upper: str | None,
    older: bool,
    limit: int,
) -> tuple[list[Run], bool]:
    """The next runs between two ids, both exclusive, newest first; and whether these are all.

    Of several ranges only the stretch counts that all of them have covered.
    """
    found: list[Run] = []
    full = False
    for where in filters:
        if older:
            runs = await core.store.runs.page(owner, where, before=upper, after=None, limit=limit)
        else:
            runs = await core.store.runs.page(owner, where, before=None, after=lower or FIRST, limit=limit)
        full = full or len(runs) == limit
        found += runs
    found.sort(key=lambda run: run.id, reverse=True)
    found = found[:limit] if older else found[-limit:]
    inside = [run for run in found if (lower is None or run.id > lower) and (upper is None or run.id < upper)]
    return inside, not full or len(inside) < len(found)
