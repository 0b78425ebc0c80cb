"""The queue as SQL sees it: who may start, who goes before whom, and when to look again."""

import heapq
from collections.abc import Iterator
from typing import Any

import msgspec

from runwell.domain.instant import Instant
from runwell.ports.store import QueueDepth
from runwell.store.sqlite.reader import Reader
from runwell.store.sqlite.rows import Row

_CANDIDATE = "SELECT -priority, queued_at, pk, id, owner, concurrency_key FROM runs"
_BEST_FIRST = "ORDER BY priority DESC, queued_at, pk"
_FREE = "status = 'queued' AND not_before IS NULL AND behind = 0 AND concurrency_key IS NULL"
_KEY = "status = 'queued' AND not_before IS NULL AND behind = 0 AND concurrency_key IS NOT NULL"

# In all of these ?1 is now, ?2 the names of the agents served, ?3 those of them at their limit.
# What has expired waits for nothing but to be told so: it must not start, even after a standstill.
_FRESH = "(expires_at IS NULL OR expires_at > ?1)"
_NOT_FULL = "agent NOT IN (SELECT value FROM json_each(?3))"
_READY = f"""{_CANDIDATE} INDEXED BY runs_ready
WHERE {_FREE} AND definition IS NULL AND agent = ?2 AND {_FRESH} {_BEST_FIRST}"""
_READY_DEFINED = f"""{_CANDIDATE} INDEXED BY runs_ready_defined
WHERE {_FREE} AND definition IS NOT NULL AND {_NOT_FULL} AND {_FRESH} {_BEST_FIRST}"""
# A keyed or delayed run may be any agent's; what cannot be tried here now is left out in SQL.
_SERVED = f"""{_FRESH} AND {_NOT_FULL}
    AND (definition IS NOT NULL OR agent IN (SELECT value FROM json_each(?2)))"""
_WINDOW = 500
_KEYED = f"""{_CANDIDATE} WHERE {_SERVED} AND pk IN (
    SELECT pk FROM runs INDEXED BY runs_keyed WHERE {_KEY} {_BEST_FIRST} LIMIT {_WINDOW}
) {_BEST_FIRST}"""
_BEYOND = f"SELECT 1 FROM runs INDEXED BY runs_keyed WHERE {_KEY} LIMIT 1 OFFSET {_WINDOW}"
# Sorted here: a run is in this index from the moment its time comes until it starts.
_DUE = f"""{_CANDIDATE} INDEXED BY runs_delayed
WHERE status = 'queued' AND behind = 0 AND not_before <= ?1 AND {_SERVED} {_BEST_FIRST}"""

_HELD_KEYS = """SELECT DISTINCT owner, concurrency_key FROM runs INDEXED BY runs_holding_key
WHERE status = 'running' AND concurrency_key IS NOT NULL"""
_TRIED_KEYS = """SELECT owner, concurrency_key FROM json_each(?) JOIN runs ON runs.id = unhex(json_each.value)
WHERE status = 'queued' AND concurrency_key IS NOT NULL"""
_NEXT_KEY = f"""SELECT owner, concurrency_key FROM runs INDEXED BY runs_lanes
WHERE {_KEY} AND owner = ? AND concurrency_key > ? ORDER BY concurrency_key LIMIT 1"""
_NEXT_OWNER = f"""SELECT owner, concurrency_key FROM runs INDEXED BY runs_lanes
WHERE {_KEY} AND owner > ? ORDER BY owner, concurrency_key LIMIT 1"""
_LANE_HEAD = f"""{_CANDIDATE} INDEXED BY runs_lanes
WHERE {_KEY} AND owner = ?4 AND concurrency_key = ?5 AND {_SERVED} {_BEST_FIRST} LIMIT 1"""
_LANES = 2_000

COUNTED = 1_000
_QUEUED = "SELECT pk, priority, queued_at FROM runs WHERE id = ? AND status = 'queued'"
_BEFORE = f"""SELECT min({COUNTED}, (
    SELECT count(*) FROM (
        SELECT 1 FROM runs INDEXED BY runs_queue
        WHERE status = 'queued' AND not_before IS NULL AND priority > ?1 LIMIT {COUNTED}
    )
) + (
    SELECT count(*) FROM (
        SELECT 1 FROM runs INDEXED BY runs_queue
        WHERE status = 'queued' AND not_before IS NULL AND priority = ?1 AND (queued_at, pk) < (?2, ?3)
        LIMIT {COUNTED}
    )
))"""

_COUNT = "SELECT count(*) FROM (SELECT 1 FROM runs INDEXED BY"
_ALL_QUEUED = f"{_COUNT} runs_queued_by_agent WHERE status = 'queued' LIMIT ?)"
_OWNERS_QUEUED = f"{_COUNT} runs_by_status WHERE owner = ? AND status = 'queued' LIMIT ?)"

_NEXT_DUE = """SELECT min(at) FROM (
    SELECT min(not_before) AS at FROM runs INDEXED BY runs_delayed
    WHERE status = 'queued' AND behind = 0 AND not_before > ?1
    UNION ALL
    SELECT min(expires_at) FROM runs INDEXED BY runs_expiring
    WHERE status IN ('queued', 'waiting') AND expires_at > ?1
)"""

_DEPTHS = """SELECT agent, sum(queued), sum(running), min(oldest_at) FROM (
    SELECT agent, count(*) AS queued, 0 AS running, min(queued_at) AS oldest_at
    FROM runs INDEXED BY runs_queued_by_agent WHERE status = 'queued' GROUP BY agent
    UNION ALL
    SELECT agent, 0, count(*), NULL FROM runs INDEXED BY runs_held WHERE status = 'running' GROUP BY agent
) GROUP BY agent ORDER BY agent"""

_Lane = tuple[Any, ...]


def claimable(
    reader: Reader,
    now: Instant,
    agents: frozenset[str],
    full: frozenset[str],
    limit: int,
    exclude: frozenset[str],
) -> list[str]:
    """See `Runs.claimable`. A queued run in `exclude` is being tried: it holds its concurrency key.

    All in one snapshot: a claim that is committed meanwhile must not make a key look free whose
    holder was seen neither queued nor running.
    """
    terms = (now, _json(agents), _json(full))
    with reader.snapshot():
        taken = _taken_keys(reader, exclude)
        best = heapq.merge(
            *(reader.each(_READY, (now, agent)) for agent in agents - full),
            reader.each(_READY_DEFINED, terms),
            _keyed(reader, terms, taken),
            reader.each(_DUE, terms),
        )
        found: list[str] = []
        for _, _, _, id, owner, key in best:
            if len(found) >= limit:
                break
            run_id = id.hex()
            if run_id in exclude:
                continue
            if key is not None:
                if (owner, key) in taken:
                    continue
                taken.add((owner, key))
            found.append(run_id)
    return found


def _json(words: frozenset[str]) -> str:
    return msgspec.json.encode(words).decode()


def _taken_keys(reader: Reader, exclude: frozenset[str]) -> set[_Lane]:
    """Keys that somebody holds, or is about to."""
    taken = set(reader.all(_HELD_KEYS))
    if exclude:
        taken.update(reader.all(_TRIED_KEYS, (_json(exclude),)))
    return taken


def _keyed(reader: Reader, terms: Row, taken: set[_Lane]) -> Iterator[Row]:
    """Runs with a concurrency key, best first: at least the first of every key that is free.

    The plain order does for a while. When the window is over and more are wanted, most of them wait
    for a few keys, and it is quicker to go from key to key and look at each first run.
    """
    yield from reader.each(_KEYED, terms)
    if reader.one(_BEYOND) is not None:
        yield from sorted(_lane_heads(reader, terms, taken))


def _lane_heads(reader: Reader, terms: Row, taken: set[_Lane]) -> Iterator[Row]:
    lane: Row | None = reader.one(_NEXT_OWNER, ("",))
    for _ in range(_LANES):
        if lane is None:
            return
        if lane not in taken and (head := reader.one(_LANE_HEAD, (*terms, *lane))) is not None:
            yield head
        lane = reader.one(_NEXT_KEY, lane) or reader.one(_NEXT_OWNER, (lane[0],))


def position(reader: Reader, run_id: str) -> int | None:
    """See `Runs.position`. Runs that wait for their `not_before` are not counted."""
    row = reader.one(_QUEUED, (bytes.fromhex(run_id),))
    if row is None:
        return None
    pk, priority, queued_at = row
    (before,) = reader.one(_BEFORE, (priority, queued_at, pk)) or (0,)
    return int(before)


def queued(reader: Reader, owner: str | None, at_most: int) -> int:
    """See `Runs.queued`."""
    if owner is None:
        row = reader.one(_ALL_QUEUED, (at_most,))
    else:
        row = reader.one(_OWNERS_QUEUED, (owner, at_most))
    (count,) = row or (0,)
    return int(count)


def next_due(reader: Reader, now: Instant) -> Instant | None:
    (due,) = reader.one(_NEXT_DUE, (now,)) or (None,)
    return None if due is None else int(due)


def depths(reader: Reader) -> list[QueueDepth]:
    return [QueueDepth(*row) for row in reader.all(_DEPTHS)]
