"""What finding runs costs a submit: `python -m benchmarks.search_cost [POSTGRES-URL]`, for decision 13.

Two databases take the same submits in turn. First, one is as it is, and the submits of the other also write
the words of their input into the database's own full-text index. Then, one lacks what migration 0007 brought,
and the other is as it is. The processor time is this process's: on SQLite all there is, and less disturbed by
others than the rate.
"""

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import apsw
import asyncpg

from runwell.domain.commands import Create
from runwell.domain.ids import new_id
from runwell.domain.json_gate import encode
from runwell.domain.lifecycle import decide
from runwell.ports.store import Store
from runwell.store.postgres import Database as Postgres
from runwell.store.sqlite import Database as Sqlite

ROUNDS, SUBMITS, WORDS = 15, 1_500, 100
AT_ONCE = (1, 32)

DROPPED = "DROP INDEX runs_outcomes; DROP INDEX runs_all_outcomes; DROP INDEX runs_waiting;"


class Case(NamedTuple):
    """What is done to the two databases before they are compared."""

    name: str
    without: str
    having: str


SQLITE = (
    Case(
        "an index of all inputs",
        "SELECT 1",
        """CREATE VIRTUAL TABLE words USING fts5(input, content='', detail=none, columnsize=0);
        CREATE TRIGGER words_added AFTER INSERT ON events WHEN NEW.kind = 1 BEGIN
            INSERT INTO words (rowid, input) VALUES (NEW.key, CAST(NEW.data AS TEXT));
        END""",
    ),
    Case(
        "migration 0007",
        f"{DROPPED} DROP TRIGGER runs_failed; DROP TRIGGER runs_forgotten; DROP TABLE run_errors",
        "SELECT 1",
    ),
)
POSTGRES = (
    Case(
        "an index of all inputs",
        "SELECT 1",
        """CREATE FUNCTION words_of(data bytea) RETURNS tsvector LANGUAGE sql IMMUTABLE
            AS $$ SELECT to_tsvector('simple', convert_from(data, 'UTF8')) $$;
        CREATE INDEX words ON events USING gin (words_of(data)) WHERE kind = 1""",
    ),
    Case("migration 0007", f"{DROPPED} DROP INDEX runs_errors", "SELECT 1"),
)


class Pressed(NamedTuple):
    """Submits a second, and µs of processor for each."""

    rate: float
    cost: float


async def press(store: Store, writers: int, chance: random.Random) -> Pressed:
    changes = []
    for _ in range(SUBMITS):
        now = time.time_ns() // 1_000
        text = encode(" ".join(f"word{int(chance.paretovariate(1)) % 20_000}" for _ in range(WORDS)))
        changes.append((decide(None, Create(id=new_id(now), owner="ada", agent="a", input=text), now), now))

    async def write() -> None:
        while changes:
            await store.runs.add(*changes.pop())

    began, spent = time.perf_counter(), time.process_time()
    await asyncio.gather(*(write() for _ in range(writers)))
    cost = (time.process_time() - spent) * 1e6 / SUBMITS
    return Pressed(SUBMITS / (time.perf_counter() - began), cost)


async def compare(name: str, without: Store, having: Store) -> None:
    chance = random.Random(5)
    for writers in AT_ONCE:
        seen: tuple[list[Pressed], list[Pressed]] = ([], [])
        for number in range(ROUNDS):
            pair = [(seen[0], without), (seen[1], having)]
            for pressed, store in pair if number % 2 else pair[::-1]:
                pressed.append(await press(store, writers, chance))
        ratios = [with_it.rate / bare.rate for bare, with_it in zip(*seen, strict=True)]
        rates = [median(each.rate for each in pressed) for pressed in seen]
        costs = [median(each.cost for each in pressed) for pressed in seen]
        print(
            f"{name}, {writers} at once: {rates[0]:,.0f}/s without, {rates[1]:,.0f}/s with it, "
            f"ratio {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}); "
            f"processor {costs[0]:.0f} and {costs[1]:.0f} µs",
            flush=True,
        )


async def sqlite(case: Case, folder: Path) -> None:
    paths = [folder / f"{case.name}-{number}.db" for number in range(2)]
    databases = [Sqlite.open(path) for path in paths]
    for path, sql in zip(paths, case[1:], strict=True):
        apsw.Connection(str(path)).execute(sql)
    stores = [database.store() for database in databases]
    await compare(f"SQLite, {case.name}", *stores)
    for store, database in zip(stores, databases, strict=True):
        await store.close()
        database.close()


async def postgres(case: Case, server: str) -> None:
    connection = await asyncpg.connect(server)
    names = [f"search_cost_{number}" for number in range(2)]
    urls = [urlunsplit(urlsplit(server)._replace(path=f"/{name}")) for name in names]
    databases = []
    for name, url, sql in zip(names, urls, case[1:], strict=True):
        await connection.execute(f"CREATE DATABASE {name}")
        databases.append(await Postgres.open(url))
        other = await asyncpg.connect(url)
        await other.execute(sql)
        await other.close()
    await compare(f"PostgreSQL, {case.name}", *(database.store() for database in databases))
    for name, database in zip(names, databases, strict=True):
        await database.close()
        await connection.execute(f"DROP DATABASE {name}")
    await connection.close()


async def main(server: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for case in SQLITE:
            await sqlite(case, Path(folder))
    if server is not None:
        for case in POSTGRES:
            await postgres(case, server)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
