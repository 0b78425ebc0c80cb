"""Cancel or retry many runs at once: each by the verb for one, and one that is refused leaves the others."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import assert_never

import msgspec

from runwell.domain.errors import IllegalTransition, RunNotFinal, RunNotFound, RunwellError
from runwell.domain.lifecycle import FINAL, LIVE
from runwell.domain.run import Run, RunStatus
from runwell.engine import control
from runwell.engine.core import Core
from runwell.ports.store import RunFilter

MOST = 1_000
"""Runs in one call."""
AT_ONCE = 32
"""Runs that are worked on at the same time: they share transactions, and leave room for others."""


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
    nothing is done, and all that are not refused would be. `more`: the filter fits others too."""

    matched: int
    done: int
    refused: list[Refusal]
    more: bool = False


async def bulk(
    core: Core, owner: str, action: Action, which: Sequence[str] | RunFilter, *, dry_run: bool, by: str
) -> Outcome:
    """Do it to the runs with these ids, or to the newest that are like the filter; at most `MOST`.

    If the process dies in here, some are done: a cancel may be sent again, while retries of before are not
    known to be such. Raises `StoreUnavailable` when nothing could be read.
    """
    if isinstance(which, RunFilter):
        wanted = which.statuses or _UNLESS_ASKED[action]
        where = msgspec.structs.replace(which, statuses=wanted)
        runs = await core.store.runs.page(owner, where, before=None, after=None, limit=MOST + 1)
        ids, more = [run.id for run in runs[:MOST]], len(runs) > MOST
        known = {run.id: run for run in runs}
    else:
        ids, more, known = list(dict.fromkeys(which)), False, {}

    async def look(run_id: str) -> None:
        run = known.get(run_id) or await core.store.runs.get(run_id, owner)
        _check(action, run)

    async def act(run_id: str) -> None:
        match action:
            case Action.CANCEL:
                await control.cancel(core, owner, run_id, by=by)
            case Action.RETRY:
                await control.retry(core, owner, run_id)
            case never:
                assert_never(never)

    refused = await _each(ids, look if dry_run else act)
    done = 0 if dry_run else len(ids) - len(refused)
    return Outcome(len(ids), done, refused, more)


def _check(action: Action, run: Run) -> None:
    """Raise what the verb would, as far as the row tells."""
    if action is Action.CANCEL and run.final and run.status is not RunStatus.CANCELLED:
        raise IllegalTransition(run.id, run.status, "cancel")
    if action is Action.RETRY and run.status not in FINAL:
        raise RunNotFinal(run.id, run.status, "retried")


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
