"""`ports.store.Agents` on SQLite. The owner '' is everybody's."""

from runwell.domain.agent import AgentSpec
from runwell.domain.instant import Instant
from runwell.store.sqlite.reader import Reader
from runwell.store.sqlite.rows import Row, spec_of, spec_values
from runwell.store.sqlite.transaction import Job, Transaction
from runwell.store.sqlite.writer import Desk

# The first `created_at` stays.
_PUT = """INSERT INTO agents (owner, name, created_at, spec, output_schema, id) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (owner, name) DO UPDATE SET
    spec = excluded.spec, output_schema = excluded.output_schema, id = excluded.id"""
# An older program that was still running while the file was upgraded writes rows without the column.
_ID_IN_SPEC = "unhex(json_extract(CAST(agents.spec AS TEXT), '$.id'))"
_PUT_SAME = f"{_PUT} WHERE coalesce(agents.id, {_ID_IN_SPEC}) = excluded.id"
_GET = """SELECT spec, output_schema, created_at FROM agents
WHERE name = ? AND owner IN (?, '') ORDER BY owner DESC LIMIT 1"""
_BY_ID = f"""SELECT spec, output_schema, created_at FROM agents
WHERE (id = ?1 OR id IS NULL AND {_ID_IN_SPEC} = ?1) AND owner IN (?2, '') ORDER BY owner DESC LIMIT 1"""
_ALL = "SELECT spec, output_schema, created_at FROM agents WHERE owner IN (?, '') ORDER BY name, owner"
_DELETE = "DELETE FROM agents WHERE owner = ? AND name = ?"


class SqliteAgents:
    def __init__(self, reader: Reader, desk: Desk) -> None:
        self._reader = reader
        self._desk = desk

    async def publish(self, specs: list[AgentSpec], now: Instant) -> None:
        await self._desk.write(PutAgents(specs, now))

    async def put(self, spec: AgentSpec, now: Instant) -> bool:
        return await self._desk.write(PutAgent(spec, now))

    async def get(self, name: str, owner: str) -> AgentSpec | None:
        row = self._reader.one(_GET, (name, owner))
        return None if row is None else spec_of(row)

    async def by_id(self, agent_id: str, owner: str) -> AgentSpec | None:
        row = self._reader.one(_BY_ID, (bytes.fromhex(agent_id), owner))
        return None if row is None else spec_of(row)

    async def all(self, owner: str) -> list[AgentSpec]:
        return [spec_of(row) for row in self._reader.all(_ALL, (owner,))]

    async def delete(self, name: str, owner: str) -> bool:
        return await self._desk.write(DeleteAgent(name, owner))


def _values(spec: AgentSpec, now: Instant) -> Row:
    return (spec.owner or "", spec.name, now, *spec_values(spec), bytes.fromhex(spec.id))


class PutAgents(Job[None]):
    def __init__(self, specs: list[AgentSpec], now: Instant) -> None:
        self._rows = [_values(spec, now) for spec in specs]

    def run(self, transaction: Transaction) -> None:
        for row in self._rows:
            transaction.run(_PUT, row)


class PutAgent(Job[bool]):
    def __init__(self, spec: AgentSpec, now: Instant) -> None:
        self._row = _values(spec, now)

    def run(self, transaction: Transaction) -> bool:
        return transaction.run(_PUT_SAME, self._row) > 0


class DeleteAgent(Job[bool]):
    def __init__(self, name: str, owner: str) -> None:
        self._values = (owner, name)

    def run(self, transaction: Transaction) -> bool:
        return transaction.run(_DELETE, self._values) > 0
