"""Cursors: `before` and `after` are relative to the order that was asked for.

Letta's own server turns them around on some lists, and its client's pager then loses items. Here they
mean what its documentation says, everywhere.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Generic, TypeVar

from runwell.domain.run import Run
from runwell.engine.core import Core
from runwell.ports.store import RunFilter

T = TypeVar("T")
MOST = 1_000
"""Items of a page; a longer one is cut, and a client that turns pages loses nothing."""
FIRST = "0" * 32
RUNS_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Page:
    """`before` and `after` are bare ids, exclusive."""

    order: str
    limit: int
    before: str | None = None
    after: str | None = None

    @property
    def backwards(self) -> bool:
        """Whether what is wanted lies on the side of `before`: the nearest to it, still in order."""
        return self.before is not None and self.after is None


def page_of(order: str, limit: int | None, before: str | None, after: str | None) -> Page:
    return Page(order, min(limit if limit is not None else MOST, MOST), before, after)


def cut(items: Sequence[T], id_of: Callable[[T], str], page: Page) -> list[T]:
    """The page of a list that is in the order of time. Neighbours with one id are one message in
    several pieces: they count once and stay together."""
    groups = [list(group) for _, group in groupby(items, id_of)]
    if page.order == "desc":
        groups.reverse()
    ids = [id_of(group[0]) for group in groups]
    start = ids.index(page.after) + 1 if page.after in ids else 0
    end = ids.index(page.before) if page.before in ids else len(groups)
    wanted = groups[start:end]
    wanted = wanted[-page.limit :] if page.backwards else wanted[: page.limit]
    return [item for group in wanted for item in (group if page.order == "asc" else reversed(group))]


@dataclass(frozen=True, slots=True)
class Walk(Generic[T]):
    """Items that lie in many runs: messages of a thread, steps of an agent. `items` gives those of one
    run in the order of time."""

    core: Core
    owner: str
    where: RunFilter
    items: Callable[[Run], Awaitable[Sequence[T]]]
    id_of: Callable[[T], str]
    run_of: Callable[[str], Awaitable[Run | None]]
    """The run that a cursor points into, if it is one that is walked through."""
    missing: Callable[[str], Exception]
    """What is raised for a cursor that is no item of any run."""

    async def page(self, page: Page) -> list[T]:
        cursor = page.before if page.backwards else page.after
        older = (page.order == "desc") != page.backwards
        found: list[T] = []
        for other in (page.before, page.after):
            if other is not None and other != cursor:
                await self._run_of(other)
        async for run in self._runs(cursor, older):
            items = list(await self.items(run))
            if not found and cursor is not None and cursor not in map(self.id_of, items):
                raise self.missing(cursor)
            found = [*items, *found] if older else [*found, *items]
            if self._enough(found, cursor, older, page):
                break
        return cut(found, self.id_of, page)

    async def _run_of(self, cursor: str) -> Run:
        run = await self.run_of(cursor)
        if run is None:
            raise self.missing(cursor)
        return run

    def _enough(self, found: Sequence[T], cursor: str | None, older: bool, page: Page) -> bool:
        groups = [id for id, _ in groupby(found, self.id_of)]
        if cursor in groups:
            place = groups.index(cursor)
            return (place if older else len(groups) - place - 1) >= page.limit
        return cursor is None and len(groups) >= page.limit

    async def _runs(self, cursor: str | None, older: bool) -> AsyncIterator[Run]:
        """From the cursor's run on, that one included, away from what the page does not want."""
        edge: str | None = None
        if cursor is not None:
            first = await self._run_of(cursor)
            yield first
            edge = first.id
        while True:
            runs = await self.core.store.runs.page(
                self.owner,
                self.where,
                before=edge if older else None,
                after=None if older else edge or FIRST,
                limit=RUNS_AT_ONCE,
            )
            if not older:
                runs.reverse()
            for run in runs:
                yield run
                # What is looked for may be in none of many runs, and others are waiting.
                await asyncio.sleep(0)
            if len(runs) < RUNS_AT_ONCE:
                return
            edge = runs[-1].id
