"""`ports.stats` on PostgreSQL: counts over ranges of indexes, one range for each bucket."""

from runwell.domain.instant import Instant
from runwell.domain.lifecycle import FINAL
from runwell.domain.run import RunStatus
from runwell.ports.stats import Standing, Tally
from runwell.store.postgres.paging import first_id
from runwell.store.postgres.pool import Pool

_STATUSES = [status.value for status in sorted(RunStatus)]
_ENDS = [status.value for status in sorted(FINAL)]

# In all of these $1 and $2 are the first and the last edge of each bucket, $3 the statuses, $4 the owner.
_CREATED = """SELECT (
    SELECT count(*) FROM runs WHERE owner = $4 AND status = ANY($3::text[]) AND id >= low AND id < high
) FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS bucket (low, high, place) ORDER BY place"""
_ALL_CREATED = """SELECT (SELECT count(*) FROM runs WHERE id >= low AND id < high)
FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS bucket (low, high, place) ORDER BY place"""
_RANGE = "status = wanted.word AND finished_at >= low AND finished_at < high AND finished_at IS NOT NULL"
_OUTCOMES = """SELECT ARRAY(
    SELECT (SELECT count(*) FROM runs WHERE {condition})
    FROM unnest($3::text[]) WITH ORDINALITY AS wanted (word, nth) ORDER BY nth
) FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS bucket (low, high, place) ORDER BY place"""
_OWN_OUTCOMES = _OUTCOMES.format(condition=f"owner = $4 AND {_RANGE}")
_ALL_OUTCOMES = _OUTCOMES.format(condition=_RANGE)

_OF_AGENT = "FROM runs WHERE owner = $1 AND runs.agent = named.agent AND status"
_STANDINGS = f"""WITH RECURSIVE named (agent) AS (
    (SELECT agent FROM runs WHERE owner = $1 ORDER BY agent LIMIT 1)
    UNION ALL
    SELECT (
        SELECT runs.agent FROM runs WHERE owner = $1 AND runs.agent > named.agent ORDER BY runs.agent LIMIT 1
    ) FROM named WHERE named.agent IS NOT NULL
)
SELECT agent, (SELECT count(*) {_OF_AGENT} = 'queued'), (SELECT count(*) {_OF_AGENT} = 'running'),
    (SELECT count(*) {_OF_AGENT} = 'waiting'), (
        SELECT min(queued_at) FROM (SELECT queued_at {_OF_AGENT} = 'queued' ORDER BY id LIMIT 100) AS oldest
    )
FROM named WHERE agent IS NOT NULL"""
_ALL_STANDINGS = """SELECT agent, sum(queued)::bigint, sum(running)::bigint, sum(waiting)::bigint,
    min(oldest_at)
FROM (
    SELECT agent, count(*) AS queued, 0 AS running, 0 AS waiting, min(queued_at) AS oldest_at
    FROM runs WHERE status = 'queued' GROUP BY agent
    UNION ALL
    SELECT agent, 0, count(*), 0, NULL FROM runs WHERE status = 'running' GROUP BY agent
    UNION ALL
    SELECT agent, 0, 0, count(*), NULL FROM runs WHERE status = 'waiting' GROUP BY agent
) AS counted GROUP BY agent ORDER BY agent"""

_OLDEST_QUEUED = """SELECT queued_at FROM runs WHERE status = 'queued' AND agent = $1
ORDER BY queued_at LIMIT 1"""


class PostgresStats:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def tallies(self, owner: str | None, since: Instant, width: int, count: int) -> list[Tally]:
        edges = [since + number * width for number in range(count + 1)]
        ids = [first_id(edge) for edge in edges]
        if owner is None:
            made = await self._pool.all(_ALL_CREATED, ids[:-1], ids[1:])
            ended = await self._pool.all(_ALL_OUTCOMES, edges[:-1], edges[1:], _ENDS)
        else:
            made = await self._pool.all(_CREATED, ids[:-1], ids[1:], _STATUSES, owner)
            ended = await self._pool.all(_OWN_OUTCOMES, edges[:-1], edges[1:], _ENDS, owner)
        return [
            Tally(at, created, **dict(zip(_ENDS, outcomes, strict=True)))
            for at, (created,), (outcomes,) in zip(edges, made, ended, strict=False)
        ]

    async def standings(self, owner: str | None) -> list[Standing]:
        if owner is None:
            rows = await self._pool.all(_ALL_STANDINGS)
        else:
            rows = await self._pool.all(_STANDINGS, owner)
        found = [Standing(*row) for row in rows]
        return [each for each in found if each.queued or each.running or each.waiting]

    async def oldest_queued(self, agent: str) -> Instant | None:
        (oldest_at,) = await self._pool.one(_OLDEST_QUEUED, agent) or (None,)
        return None if oldest_at is None else int(oldest_at)
