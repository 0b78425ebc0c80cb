"""`ports.stats` on SQLite: counts over ranges of indexes, one range for each bucket."""

import asyncio
from itertools import pairwise
from typing import Any

from msgspec import json

from runwell.domain.instant import Instant
from runwell.domain.lifecycle import FINAL
from runwell.domain.run import RunStatus
from runwell.ports.stats import Standing, Tally
from runwell.store.sqlite.paging import first_id
from runwell.store.sqlite.reader import Reader
from runwell.store.sqlite.rows import Row

AT_ONCE = 5
"""Buckets that are counted while nobody else is served: there may be a hundred thousand runs in them."""

_STATUSES = [status.value for status in sorted(RunStatus)]
_ENDS = [status.value for status in sorted(FINAL)]
_LOW, _HIGH = "json_extract(bucket.value, '$[0]')", "json_extract(bucket.value, '$[1]')"
_MADE = f"id >= unhex({_LOW}) AND id < unhex({_HIGH})"
_ENDED = f"finished_at >= {_LOW} AND finished_at < {_HIGH} AND finished_at IS NOT NULL"


def _counts(index: str, condition: str, statuses: list[str]) -> str:
    return " + ".join(
        f"(SELECT count(*) FROM runs INDEXED BY {index} WHERE {condition.format(status)})"
        for status in statuses
    )


# In all of these ?1 is the buckets, [[first, last), …], and ?2 the owner.
_CREATED = f"""SELECT {_counts("runs_by_status", f"owner = ?2 AND status = '{{}}' AND {_MADE}", _STATUSES)}
FROM json_each(?1) AS bucket ORDER BY bucket.key"""
_ALL_CREATED = f"""SELECT {_counts("sqlite_autoindex_runs_1", _MADE, [""])}
FROM json_each(?1) AS bucket ORDER BY bucket.key"""
_OUTCOMES = f"""SELECT {
    ", ".join(
        _counts("runs_outcomes", f"owner = ?2 AND status = '{{}}' AND {_ENDED}", [status]) for status in _ENDS
    )
} FROM json_each(?1) AS bucket ORDER BY bucket.key"""
_ALL_OUTCOMES = f"""SELECT {
    ", ".join(_counts("runs_all_outcomes", f"status = '{{}}' AND {_ENDED}", [status]) for status in _ENDS)
} FROM json_each(?1) AS bucket ORDER BY bucket.key"""

_OF_AGENT = "FROM runs INDEXED BY runs_by_agent WHERE owner = ?1 AND agent = named.agent AND status"
_STANDINGS = f"""WITH RECURSIVE named (agent) AS (
    SELECT min(agent) FROM runs INDEXED BY runs_by_agent WHERE owner = ?1
    UNION ALL
    SELECT (
        SELECT min(agent) FROM runs INDEXED BY runs_by_agent WHERE owner = ?1 AND agent > named.agent
    ) FROM named WHERE agent IS NOT NULL
)
SELECT agent, (SELECT count(*) {_OF_AGENT} = 'queued'), (SELECT count(*) {_OF_AGENT} = 'running'),
    (SELECT count(*) {_OF_AGENT} = 'waiting'),
    (SELECT min(queued_at) FROM (SELECT queued_at {_OF_AGENT} = 'queued' ORDER BY id LIMIT 100))
FROM named WHERE agent IS NOT NULL"""
_ALL_STANDINGS = """SELECT agent, sum(queued), sum(running), sum(waiting), min(oldest_at) FROM (
    SELECT agent, count(*) AS queued, 0 AS running, 0 AS waiting, min(queued_at) AS oldest_at
    FROM runs INDEXED BY runs_queued_by_agent WHERE status = 'queued' GROUP BY agent
    UNION ALL
    SELECT agent, 0, count(*), 0, NULL FROM runs INDEXED BY runs_held WHERE status = 'running' GROUP BY agent
    UNION ALL
    SELECT agent, 0, 0, count(*), NULL FROM runs INDEXED BY runs_waiting
    WHERE status = 'waiting' GROUP BY agent
) GROUP BY agent ORDER BY agent"""

_OLDEST_QUEUED = """SELECT min(queued_at) FROM runs INDEXED BY runs_queued_by_agent
WHERE status = 'queued' AND agent = ?"""


class SqliteStats:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def tallies(self, owner: str | None, since: Instant, width: int, count: int) -> list[Tally]:
        tallies: list[Tally] = []
        while len(tallies) < count:
            at = since + len(tallies) * width
            tallies += self._some(owner, at, width, min(count - len(tallies), AT_ONCE))
            await asyncio.sleep(0)
        return tallies

    def _some(self, owner: str | None, since: Instant, width: int, count: int) -> list[Tally]:
        edges = [since + number * width for number in range(count + 1)]
        made = self._count(_CREATED, _ALL_CREATED, owner, [first_id(edge).hex() for edge in edges])
        ended = self._count(_OUTCOMES, _ALL_OUTCOMES, owner, edges)
        return [
            Tally(at, created, **dict(zip(_ENDS, outcomes, strict=True)))
            for at, (created,), outcomes in zip(edges, made, ended, strict=False)
        ]

    def _count(self, of_owner: str, of_all: str, owner: str | None, edges: list[Any]) -> list[Row]:
        buckets = json.encode(list(pairwise(edges))).decode()
        if owner is None:
            return self._reader.all(of_all, (buckets,))
        return self._reader.all(of_owner, (buckets, owner))

    async def standings(self, owner: str | None) -> list[Standing]:
        if owner is None:
            rows = self._reader.all(_ALL_STANDINGS)
        else:
            rows = self._reader.all(_STANDINGS, (owner,))
        found = [Standing(*row) for row in rows]
        return [each for each in found if each.queued or each.running or each.waiting]

    async def oldest_queued(self, agent: str) -> Instant | None:
        (oldest_at,) = self._reader.one(_OLDEST_QUEUED, (agent,)) or (None,)
        return None if oldest_at is None else int(oldest_at)
