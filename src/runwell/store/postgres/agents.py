"""`ports.store.Agents` on PostgreSQL. The owner '' is everybody's."""

from typing import Any, NamedTuple

from runwell.domain.agent import AgentSpec
from runwell.domain.instant import Instant
from runwell.store.postgres.desk import Desk
from runwell.store.postgres.gathering import Gathering
from runwell.store.postgres.pool import Pool, Transaction
from runwell.store.postgres.rows import Row, spec_of, spec_values

# The first `created_at` stays.
_PUT = """INSERT INTO agents (owner, name, created_at, spec, output_schema, id)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (owner, name) DO UPDATE SET
    spec = excluded.spec, output_schema = excluded.output_schema, id = excluded.id"""
_PUT_SAME = f"{_PUT} WHERE agents.id = excluded.id"
_GET = """SELECT spec, output_schema, created_at FROM agents
WHERE name = $1 AND owner IN ($2, '') ORDER BY owner DESC LIMIT 1"""
_GET_MANY = """SELECT DISTINCT ON (asked.place) asked.place, spec, output_schema, created_at
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (name, owner, place)
JOIN agents ON agents.name = asked.name AND agents.owner IN (asked.owner, '')
ORDER BY asked.place, agents.owner DESC"""
_BY_ID = """SELECT spec, output_schema, created_at FROM agents
WHERE id = $1 AND owner IN ($2, '') ORDER BY owner DESC LIMIT 1"""
_ALL = "SELECT spec, output_schema, created_at FROM agents WHERE owner IN ($1, '') ORDER BY name, owner"
_DELETE = "DELETE FROM agents WHERE owner = $1 AND name = $2"

_AT_ONCE = 32
"""Agents read by one statement; every submit reads its own, and most the same."""


class _Named(NamedTuple):
    name: str
    owner: str


class PostgresAgents:
    def __init__(self, pool: Pool, desk: Desk) -> None:
        self._pool = pool
        self._desk = desk
        self._rows: Gathering[_Named, Row] = Gathering(self._get, _AT_ONCE)

    async def publish(self, specs: list[AgentSpec], now: Instant) -> None:
        rows = [_values(spec, now) for spec in specs]
        # One order for all: many workers publish the same agents when they start together.
        rows.sort(key=lambda row: row[:2])

        async def work(transaction: Transaction) -> None:
            await transaction.many(_PUT, rows)

        await self._desk.write(work)

    async def put(self, spec: AgentSpec, now: Instant) -> bool:
        values = _values(spec, now)
        return await self._desk.write(lambda transaction: transaction.run(_PUT_SAME, *values)) > 0

    async def get(self, name: str, owner: str) -> AgentSpec | None:
        if name.isascii() and "\0" not in name:
            row = await self._rows.get(_Named(name, owner))
        else:  # a name out of a request may be no text at all: it must not spoil the answers of others
            row = await self._pool.one(_GET, name, owner)
        return None if row is None else spec_of(row)

    async def _get(self, keys: list["_Named"]) -> dict["_Named", Row]:
        if len(keys) == 1:
            row = await self._pool.one(_GET, *keys[0])
            return {} if row is None else {keys[0]: row}
        names, owners = zip(*keys, strict=True)
        rows = await self._pool.all(_GET_MANY, list(names), list(owners))
        return {keys[place - 1]: row for place, *row in rows}

    async def by_id(self, agent_id: str, owner: str) -> AgentSpec | None:
        row = await self._pool.one(_BY_ID, bytes.fromhex(agent_id), owner)
        return None if row is None else spec_of(row)

    async def all(self, owner: str) -> list[AgentSpec]:
        return [spec_of(row) for row in await self._pool.all(_ALL, owner)]

    async def delete(self, name: str, owner: str) -> bool:
        return await self._desk.write(lambda transaction: transaction.run(_DELETE, owner, name)) > 0


def _values(spec: AgentSpec, now: Instant) -> tuple[Any, ...]:
    return (spec.owner or "", spec.name, now, *spec_values(spec), bytes.fromhex(spec.id))
