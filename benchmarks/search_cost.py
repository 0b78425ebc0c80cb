"""What a full-text index of all inputs would cost a submit: `python -m benchmarks.search_cost [POSTGRES-URL]`.

Two databases take the same submits in turn: one as it is, one whose submits also write the words of their
input into the database's own full-text index, in the same transaction. Figures of decision 11.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

import apsw
import asyncpg

from runwell.domain.commands import Create
from runwell.domain.ids import new_id
from runwell.domain.json_gate import encode
from runwell.domain.lifecycle import decide
from runwell.ports.store import Store
from runwell.store.postgres import Database as Postgres
from runwell.store.sqlite import Database as Sqlite

ROUNDS, SUBMITS, WORDS = 9, 1_500, 100
SQLITE_INDEX = """
CREATE VIRTUAL TABLE words USING fts5(input, content='', detail=none, columnsize=0);
CREATE TRIGGER words_added AFTER INSERT ON events WHEN NEW.kind = 1 BEGIN
    INSERT INTO words (rowid, input) VALUES (NEW.key, CAST(NEW.data AS TEXT));
END;
"""
POSTGRES_INDEX = """
CREATE FUNCTION words_of(data bytea) RETURNS tsvector LANGUAGE sql IMMUTABLE
    AS $$ SELECT to_tsvector('simple', convert_from(data, 'UTF8')) $$;
CREATE INDEX words ON events USING gin (words_of(data)) WHERE kind = 1;
"""


async def press(store: Store, writers: int, chance: random.Random) -> float:
    """Submits a second, `writers` at a time."""
    changes = []
    for _ in range(SUBMITS):
        now = time.time_ns() // 1_000
        input = encode(" ".join(f"word{int(chance.paretovariate(1)) % 20_000}" for _ in range(WORDS)))
        create = Create(id=new_id(now), owner="ada", agent="a", input=input)
        changes.append((decide(None, create, now), now))

    async def write() -> None:
        while changes:
            await store.runs.add(*changes.pop())

    began = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(writers)))
    return SUBMITS / (time.perf_counter() - began)


async def compare(name: str, plain: Store, indexed: Store) -> None:
    chance = random.Random(5)
    for writers in (1, 32):
        rates: dict[str, list[float]] = {"plain": [], "indexed": []}
        for number in range(ROUNDS):
            pair = [("plain", plain), ("indexed", indexed)]
            for word, store in pair if number % 2 else pair[::-1]:
                rates[word].append(await press(store, writers, chance))
        ratios = [
            with_it / without for without, with_it in zip(rates["plain"], rates["indexed"], strict=True)
        ]
        print(
            f"{name}, {writers} at once: {median(rates['plain']):,.0f}/s without, "
            f"{median(rates['indexed']):,.0f}/s with the index; "
            f"ratio {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )


async def sqlite(folder: Path) -> None:
    databases = [Sqlite.open(folder / f"{name}.db") for name in ("plain", "indexed")]
    apsw.Connection(str(folder / "indexed.db")).execute(SQLITE_INDEX)
    plain, indexed = (database.store() for database in databases)
    await compare("SQLite", plain, indexed)
    for database, store in zip(databases, (plain, indexed), strict=True):
        await store.close()
        database.close()


async def postgres(server: str) -> None:
    connection = await asyncpg.connect(server)
    urls = [f"{server.rpartition('/')[0]}/search_{name}" for name in ("plain", "indexed")]
    for url in urls:
        await connection.execute(f"CREATE DATABASE {url.rpartition('/')[2]}")
    databases = [await Postgres.open(url) for url in urls]
    other = await asyncpg.connect(urls[1])
    await other.execute(POSTGRES_INDEX)
    await other.close()
    await compare("PostgreSQL", *(database.store() for database in databases))
    for database, url in zip(databases, urls, strict=True):
        await database.close()
        await connection.execute(f"DROP DATABASE {url.rpartition('/')[2]}")
    await connection.close()


async def main(url: str | None) -> None:
    measured: list[Callable[[], Awaitable[None]]] = []
    with tempfile.TemporaryDirectory() as folder:
        measured.append(lambda: sqlite(Path(folder)))
        if url is not None:
            measured.append(lambda: postgres(url))
        for each in measured:
            await each()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
