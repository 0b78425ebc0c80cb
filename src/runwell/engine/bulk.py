"""Cancel or retry many runs at once: each by the verb for one, and one that is refused leaves the others."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import assert_never

import msgspec

from runwell.domain.errors import IllegalTransition, RunNotFinal, RunNotFound, RunwellError
from runwell.domain.lifecycle import FINAL, LIVE
from runwell.domain.run import RunStatus
from runwell.engine import control
from runwell.engine.core import Core
from runwell.ports.store import RunFilter

MOST = 1_000
"""Runs in one call."""
AT_ONCE = 32
"""Runs that are worked on at the same time: they share transactions, and leave room for others."""
READ = 50
"""Runs that are read at once: each may bring megabytes of output along."""


class Action(StrEnum):
    CANCEL = "cancel"
    RETRY = "retry"


_UNLESS_ASKED = {
    Action.CANCEL: LIVE,
    Action.RETRY: frozenset({RunStatus.FAILED, RunStatus.CANCELLED}),
}
"""What a filter without a status means: not the runs that the action would be refused for, nor those that
nobody wants again."""


class Refusal(msgspec.Struct, frozen=True):
    """`code` is that of the error which the verb for this one run raises; `reason` says it without the id."""

    run_id: str
    code: str
    reason: str


class Outcome(msgspec.Struct, frozen=True):
    """`matched` runs were looked at, `done` to so many; all others are among the `refused`. After a dry run
    nothing is done, and all that are not refused would be. `last` is the oldest that was looked at, when the
    filter fits older ones too."""

    matched: int
    done: int
    refused: list[Refusal]
    last: str | None = None


async def bulk(
    core: Core,
    owner: str,
    action: Action,
    which: Sequence[str] | RunFilter,
    *,
    dry_run: bool,
    by: str,
    before: str | None = None,
) -> Outcome:
    """Do it to the runs with these ids, or to the newest that are like the filter; at most `MOST`. Of a
    filter only what is older than the run `before`: a retry leaves a run as it is, and would find it again.

    If the process dies in here, some are done: a cancel may be sent again, while retries of before are not
    known to be such. Raises `StoreUnavailable` when nothing could be read.
    """
    known: dict[str, RunStatus | None]
    if isinstance(which, RunFilter):
        where = msgspec.structs.replace(which, statuses=which.statuses or _UNLESS_ASKED[action])
        known, last = await _like(core, owner, where, before)
    else:
        known, last = dict.fromkeys(which), None

    async def look(run_id: str) -> None:
        status = known[run_id] or (await core.store.runs.get(run_id, owner)).status
        _check(action, run_id, status)

    async def act(run_id: str) -> None:
        match action:
            case Action.CANCEL:
                await control.cancel(core, owner, run_id, by=by)
            case Action.RETRY:
                await control.retry(core, owner, run_id)
            case never:
                assert_never(never)

    refused = await _each(list(known), look if dry_run else act)
    done = 0 if dry_run else len(known) - len(refused)
    return Outcome(len(known), done, refused, last)


async def _like(
    core: Core, owner: str, where: RunFilter, before: str | None
) -> tuple[dict[str, RunStatus | None], str | None]:
    """The newest, and the last of them when there are others. All are known before anything is done, so
    that the runs a retry makes are not among them."""
    found: dict[str, RunStatus | None] = {}
    while len(found) <= MOST:
        limit = min(READ, MOST + 1 - len(found))
        runs = await core.store.runs.page(owner, where, before=before, after=None, limit=limit)
        found |= {run.id: run.status for run in runs}
        if len(runs) < limit:
            return found, None
        before = runs[-1].id
    found.popitem()
    return found, next(reversed(found))


def _check(action: Action, run_id: str, status: RunStatus) -> None:
    """Raise what the verb would, as far as the status tells."""
    if action is Action.CANCEL and status in FINAL and status is not RunStatus.CANCELLED:
        raise IllegalTransition(run_id, status, "cancel")
    if action is Action.RETRY and status not in FINAL:
        raise RunNotFinal(run_id, status, "retried")


async def _each(ids: list[str], do: Callable[[str], Awaitable[None]]) -> list[Refusal]:
    refused: list[Refusal] = []

    async def one(run_id: str) -> None:
        try:
            await do(run_id)
        except RunwellError as error:
            refused.append(Refusal(run_id, error.code, _reason(error)))

    for start in range(0, len(ids), AT_ONCE):
        await asyncio.gather(*map(one, ids[start : start + AT_ONCE]))
    return refused


def _reason(error: RunwellError) -> str:
    if isinstance(error, RunNotFound):
        return "there is no such run"
    if isinstance(error, IllegalTransition):
        return f"it has {error.status}" if error.status in FINAL else f"it is {error.status}"
    if isinstance(error, RunNotFinal):
        return "it has not ended"
    return error.message
