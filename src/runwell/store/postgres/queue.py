"""The queue as SQL sees it: who may start, who goes before whom, and when to look again."""

from runwell.domain.instant import Instant
from runwell.ports.store import QueueDepth
from runwell.store.postgres.pool import Pool

_BEST_FIRST = "priority DESC, queued_at, pk"
_FIELDS = "priority, queued_at, pk, id, owner, concurrency_key"
_WAITS = "status = 'queued' AND not_before IS NULL AND behind = 0"
_FREE = f"{_WAITS} AND concurrency_key IS NULL"
_KEYED = f"{_WAITS} AND concurrency_key IS NOT NULL"

# In all of these $1 is now, $2 the names of the agents served that have a place, $3 those of all of them,
# $4 those at their limit, $5 the ids that are being tried, $6 how many are wanted.
# What has expired waits for nothing but to be told so: it must not start, even after a standstill.
_FRESH = "(expires_at IS NULL OR expires_at > $1) AND id <> ALL($5::bytea[])"
_NOT_FULL = "agent <> ALL($4::text[])"
_SERVED = f"{_FRESH} AND {_NOT_FULL} AND (definition IS NOT NULL OR agent = ANY($3::text[]))"
# Keys that somebody holds, or is about to.
_TAKEN = """SELECT owner, concurrency_key FROM runs
    WHERE status = 'running' AND concurrency_key IS NOT NULL
    UNION
    SELECT owner, concurrency_key FROM runs
    WHERE id = ANY($5::bytea[]) AND status = 'queued' AND concurrency_key IS NOT NULL"""
_NOT_TAKEN = """NOT EXISTS (
    SELECT 1 FROM taken WHERE taken.owner = runs.owner AND taken.concurrency_key = runs.concurrency_key
)"""
_PLACE = f"row_number() OVER (PARTITION BY owner, concurrency_key ORDER BY {_BEST_FIRST}) AS place"
_WINDOW = 500
_LANES = 2_000

# One statement is one moment: a claim that is committed meanwhile must not make a key look free whose
# holder was seen neither queued nor running.
#
# Keyed runs: the plain order does for a while. When the window is over and more are wanted, most of them
# wait for a few keys, and it is quicker to go from key to key and look at each first run.
_CLAIMABLE = f"""WITH RECURSIVE taken AS MATERIALIZED ({_TAKEN}),
first_keyed AS MATERIALIZED (SELECT pk FROM runs WHERE {_KEYED} ORDER BY {_BEST_FIRST} LIMIT {_WINDOW}),
keyed AS MATERIALIZED (
    SELECT {_FIELDS} FROM (
        SELECT {_FIELDS}, {_PLACE} FROM runs
        WHERE pk IN (SELECT pk FROM first_keyed) AND {_SERVED} AND {_NOT_TAKEN}
    ) AS candidates WHERE place = 1 ORDER BY {_BEST_FIRST} LIMIT $6
),
lanes AS (
    (
        SELECT owner, concurrency_key FROM runs
        WHERE {_KEYED} AND (SELECT count(*) FROM first_keyed) = {_WINDOW}
            AND (SELECT count(*) FROM keyed) < $6
        ORDER BY owner, concurrency_key LIMIT 1
    )
    UNION ALL
    SELECT following.owner, following.concurrency_key FROM lanes CROSS JOIN LATERAL (
        SELECT owner, concurrency_key FROM runs
        WHERE {_KEYED} AND (owner, concurrency_key) > (lanes.owner, lanes.concurrency_key)
        ORDER BY owner, concurrency_key LIMIT 1
    ) AS following
),
ready AS (
    SELECT best.* FROM unnest($2::text[]) AS served (name) CROSS JOIN LATERAL (
        SELECT {_FIELDS} FROM runs
        WHERE {_FREE} AND definition IS NULL AND agent = served.name AND {_FRESH}
        ORDER BY {_BEST_FIRST} LIMIT $6
    ) AS best
),
defined AS (
    SELECT {_FIELDS} FROM runs WHERE {_FREE} AND definition IS NOT NULL AND {_NOT_FULL} AND {_FRESH}
    ORDER BY {_BEST_FIRST} LIMIT $6
),
heads AS (
    SELECT head.* FROM (SELECT * FROM lanes LIMIT {_LANES}) AS lane CROSS JOIN LATERAL (
        SELECT {_FIELDS} FROM runs
        WHERE {_KEYED} AND owner = lane.owner AND concurrency_key = lane.concurrency_key
            AND {_SERVED} AND {_NOT_TAKEN}
        ORDER BY {_BEST_FIRST} LIMIT 1
    ) AS head ORDER BY {_BEST_FIRST} LIMIT $6
),
due AS (
    SELECT {_FIELDS} FROM (
        SELECT {_FIELDS}, {_PLACE} FROM runs
        WHERE status = 'queued' AND behind = 0 AND not_before IS NOT NULL AND not_before <= $1
            AND {_SERVED} AND (concurrency_key IS NULL OR {_NOT_TAKEN})
    ) AS candidates WHERE concurrency_key IS NULL OR place = 1 ORDER BY {_BEST_FIRST} LIMIT $6
)
SELECT * FROM ready UNION ALL SELECT * FROM defined UNION ALL SELECT * FROM keyed
UNION ALL SELECT * FROM heads UNION ALL SELECT * FROM due ORDER BY {_BEST_FIRST}"""

COUNTED = 1_000
_POSITION = f"""SELECT own.id, least({COUNTED}, (
    SELECT count(*) FROM (
        SELECT 1 FROM runs
        WHERE status = 'queued' AND not_before IS NULL AND priority > own.priority LIMIT {COUNTED}
    ) AS higher
) + (
    SELECT count(*) FROM (
        SELECT 1 FROM runs
        WHERE status = 'queued' AND not_before IS NULL AND priority = own.priority
            AND (queued_at, pk) < (own.queued_at, own.pk)
        LIMIT {COUNTED}
    ) AS earlier
)) FROM runs AS own WHERE id = ANY($1::bytea[]) AND status = 'queued'"""

_ALL_QUEUED = "SELECT count(*) FROM (SELECT 1 FROM runs WHERE status = 'queued' LIMIT $1) AS found"
_OWNERS_QUEUED = """SELECT count(*) FROM (
    SELECT 1 FROM runs WHERE owner = $1 AND status = 'queued' LIMIT $2
) AS found"""

_NEXT_DUE = """SELECT least((
    SELECT min(not_before) FROM runs WHERE status = 'queued' AND behind = 0 AND not_before > $1
), (
    SELECT min(expires_at) FROM runs WHERE status IN ('queued', 'waiting') AND expires_at > $1
))"""

_DEPTHS = """SELECT agent, sum(queued)::bigint, sum(running)::bigint, min(oldest_at) FROM (
    SELECT agent, count(*) AS queued, 0 AS running, min(queued_at) AS oldest_at
    FROM runs WHERE status = 'queued' GROUP BY agent
    UNION ALL
    SELECT agent, 0, count(*), NULL FROM runs WHERE status = 'running' GROUP BY agent
) AS counted GROUP BY agent ORDER BY agent"""


async def claimable(
    pool: Pool,
    now: Instant,
    agents: frozenset[str],
    full: frozenset[str],
    limit: int,
    exclude: frozenset[str],
) -> list[str]:
    """See `Runs.claimable`. A queued run in `exclude` is being tried: it holds its concurrency key."""
    tried = [bytes.fromhex(id) for id in exclude]
    rows = await pool.all(_CLAIMABLE, now, list(agents - full), list(agents), list(full), tried, limit)
    taken: set[tuple[str, str]] = set()
    found: dict[str, None] = {}
    for _, _, _, id, owner, key in rows:
        if len(found) >= limit:
            break
        if key is not None:
            if (owner, key) in taken:
                continue
            taken.add((owner, key))
        found[id.hex()] = None
    return list(found)


async def positions(pool: Pool, ids: list[bytes]) -> dict[bytes, int]:
    """See `Runs.position`; of those that are queued. Runs that wait for `not_before` are not counted."""
    return dict(await pool.all(_POSITION, ids))


async def queued(pool: Pool, owner: str | None, at_most: int) -> int:
    """See `Runs.queued`."""
    if owner is None:
        row = await pool.one(_ALL_QUEUED, at_most)
    else:
        row = await pool.one(_OWNERS_QUEUED, owner, at_most)
    (count,) = row or (0,)
    return int(count)


async def next_due(pool: Pool, now: Instant) -> Instant | None:
    (due,) = await pool.one(_NEXT_DUE, now) or (None,)
    return None if due is None else int(due)


async def depths(pool: Pool) -> list[QueueDepth]:
    return [QueueDepth(*row) for row in await pool.all(_DEPTHS)]
