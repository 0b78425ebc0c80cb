"""Whether a million stored runs make the store on PostgreSQL slower than a thousand do.

`python -m benchmarks.fleet.flat [rounds]` prints the table. Filling takes about two minutes.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import uvloop

from benchmarks.fleet.server import postgres
from benchmarks.measurement import Figure, Goal, Plan
from runwell.domain.commands import Claim, Create, Succeed
from runwell.domain.ids import new_id
from runwell.domain.json_gate import Json
from runwell.domain.lifecycle import decide
from runwell.ports.store import RunFilter, Store
from runwell.store.postgres import Database

FEW = 1_000
MANY = 1_000_000
SECONDS = 1.0
AT_ONCE = 16
OWNER = "bench"

# Copies of one run that was lived through the front door, a second apart, the oldest first.
_COPY_RUNS = """INSERT INTO runs ({columns}) SELECT {values}
FROM generate_series(1, $1::bigint) AS copy (n) CROSS JOIN runs WHERE runs.pk = $2"""
_OWN = {
    "pk": "runs.pk + copy.n",
    "id": """decode(lpad(to_hex(runs.created_at / 1000 - ($1 - copy.n) * 1000), 12, '0') || '4000'
        || lpad(to_hex(copy.n), 16, '8'), 'hex')""",
    "created_at": "runs.created_at - ($1 - copy.n) * 1000000",
    "finished_at": "runs.finished_at - ($1 - copy.n) * 1000000",
}
_COPY_EVENTS = """INSERT INTO events (run_pk, at, seq, kind, schema_version, data)
SELECT $2 + copy.n, at, seq, kind, schema_version, data
FROM generate_series(1, $1::bigint) AS copy (n) CROSS JOIN events WHERE run_pk = $2"""
_COLUMNS = (
    "SELECT attname FROM pg_attribute WHERE attrelid = 'runs'::regclass AND attnum > 0 AND NOT attisdropped"
)


class Target:
    """A store with so many runs, and how quick it is: per round, by name."""

    def __init__(self, store: Store, ids: list[str]) -> None:
        self._store = store
        self._ids = ids
        self.measured: dict[str, list[float]] = {"status": [], "list": [], "submit": []}

    async def warm(self) -> None:
        """A round that does not count: plans are made, pages read."""
        await self.round()
        for rates in self.measured.values():
            rates.clear()

    async def round(self) -> None:
        for name, do in (("status", self._status), ("list", self._list), ("submit", self._submit)):
            self.measured[name].append(await _rate(do))

    async def _status(self) -> None:
        await self._store.runs.get(random.choice(self._ids), OWNER)

    async def _list(self) -> None:
        await self._store.runs.page(OWNER, RunFilter(), before=None, after=None, limit=20)

    async def _submit(self) -> None:
        await add(self._store)


async def add(store: Store) -> str:
    now = time.time_ns() // 1_000
    create = Create(id=new_id(now), owner=OWNER, agent="noop", input=Json(b'"What is new?"'))
    return (await store.runs.add(decide(None, create, now), now)).run.id


async def _rate(do: Callable[[], Awaitable[None]]) -> float:
    """How often a second `do` is done, by `AT_ONCE` at once."""
    began, done = time.perf_counter(), 0

    async def keep_doing() -> None:
        nonlocal done
        while time.perf_counter() - began < SECONDS:
            await do()
            done += 1

    await asyncio.gather(*(keep_doing() for _ in range(AT_ONCE)))
    return done / (time.perf_counter() - began)


async def fill(url: str, store: Store, count: int) -> list[str]:
    """`count` ended runs; ids of some, drawn from all by chance."""
    id, now = await add(store), time.time_ns() // 1_000
    run = await store.runs.get(id)
    for command in (Claim(worker="bench"), Succeed(output=Json(b'"Nothing is."'))):
        run = await store.runs.commit(decide(run, command, now), now)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET synchronous_commit = off")
        pk = await connection.fetchval("SELECT pk FROM runs WHERE id = $1", bytes.fromhex(id))
        columns = [row[0] for row in await connection.fetch(_COLUMNS)]
        values = ", ".join(_OWN.get(column, f"runs.{column}") for column in columns)
        await connection.execute(_COPY_RUNS.format(columns=", ".join(columns), values=values), count - 1, pk)
        await connection.execute(_COPY_EVENTS, count - 1, pk)
        await connection.execute(
            "SELECT setval(pg_get_serial_sequence('runs', 'pk'), $1::bigint)", pk + count
        )
        # What the server would do by itself soon, and is not to do while it is measured.
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
        chosen = random.Random(count).sample(range(pk, pk + count), min(FEW, count))
        found = await connection.fetch("SELECT id FROM runs WHERE pk = ANY($1::bigint[])", chosen)
    finally:
        await connection.close()
    return [row[0].hex() for row in found]


async def measure(plan: Plan) -> list[Figure]:
    targets: list[Target] = []
    plan.folder.chmod(0o755)  # the servers' user comes by here
    async with AsyncExitStack() as stack:
        for count in (FEW, MANY):
            folder = plan.folder / f"flat-{count}"
            folder.mkdir()
            url = stack.enter_context(postgres(folder))
            database = await Database.open(url)
            stack.push_async_callback(database.close)
            plan.tell(f"fleet.flat: filling a database with {count:,} runs")
            store = database.store()
            targets.append(Target(store, await fill(url, store, count)))
            await targets[-1].warm()
        for number in range(plan.rounds):
            await plan.quiet()
            for target in targets:
                await target.round()
            plan.tell(f"fleet.flat: round {number + 1}/{plan.rounds}")
    few, many = targets
    told = {
        "status": "Runs read, any of all",
        "list": "First pages of the owner's list read",
        "submit": "Runs added, each on disk before its answer",
    }
    return [
        Figure(
            name=f"fleet.flat.{name}", what=f"{what}, with {MANY:,} runs stored", unit="/s",
            measured=many.measured[name], baseline=few.measured[name],
            beside=f"the same with {FEW:,}", floor=Goal(ratio=0.5), reach=Goal(ratio=0.8),
        )
        for name, what in told.items()
    ]  # fmt: skip


async def _main(rounds: int) -> None:
    async def at_once() -> None:
        return None

    with tempfile.TemporaryDirectory(prefix="runwell-bench-") as folder:
        plan = Plan(Path(folder), rounds, False, lambda line: print(line, file=sys.stderr), at_once)
        for figure in await measure(plan):
            print(
                f"{figure.name:<20} {figure.value:>9,.0f}{figure.unit}  {figure.ratio:.2f} of {figure.beside}"
            )


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
