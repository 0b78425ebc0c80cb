"""A database with very many runs in it, made without waiting for each."""

import random
from pathlib import Path
from typing import Any

import apsw

from runwell.domain.commands import Claim, Create, Succeed
from runwell.domain.ids import new_id, spell
from runwell.domain.json_gate import Json
from runwell.domain.lifecycle import decide
from runwell.store.sqlite import Database
from runwell.store.sqlite.rows import SEQ_BITS
from runwell.wiring import SystemClock

OWNER = "local"
SPREAD = 60_000_000
"""Microseconds between two of the copies: a run a minute, the newest a minute old."""


async def fill(path: Path, runs: int, sample: int) -> list[str]:
    """Put `runs` finished runs into the file; ids of `sample` of them, drawn from all by chance.

    One run is lived through the front door, the rest are copies of its rows with ids of their own,
    so that every index is as large as it would be.
    """
    pk = await _live_one(path)
    db = apsw.Connection(str(path))
    db.pragma("synchronous", "off")
    db.pragma("cache_size", -512 * 1024)
    now = SystemClock().now()

    def fresh_id(*values: Any) -> bytes:
        """The id of a run that was made so many minutes ago."""
        (age,) = values
        return bytes.fromhex(new_id(now - age * SPREAD))

    db.create_scalar_function("fresh_id", fresh_id, 1)
    with db:
        _copy_run(db, pk, runs)
        _copy_events(db, pk, runs)
    db.pragma("wal_checkpoint", "truncate")
    last = pk + runs - 1
    dice = random.Random(runs)
    chosen = dice.sample(range(pk, last + 1), min(sample, runs))
    found = [db.execute("SELECT id FROM runs WHERE pk = ?", (one,)).get for one in chosen]
    db.close()
    return [spell("run", id.hex()) for id in found]


async def _live_one(path: Path) -> int:
    """The run that is copied: submitted, claimed, succeeded. Its row number."""
    database = Database.open(path, durability="normal", serving=False)
    store, now = database.store(), SystemClock().now()
    id = new_id(now)
    created = Create(id=id, owner=OWNER, agent="noop", input=Json(b'"What is new?"'))
    run = (await store.runs.add(decide(None, created, now), now)).run
    for command in (Claim(worker="bench"), Succeed(output=Json(b'"Nothing is."'))):
        run = await store.runs.commit(decide(run, command, now), now)
    await store.close()
    database.close()
    db = apsw.Connection(str(path))
    pk = db.execute("SELECT pk FROM runs WHERE id = ?", (bytes.fromhex(id),)).get
    db.close()
    return int(pk)


def _copy_run(db: apsw.Connection, pk: int, runs: int) -> None:
    """Rows pk + 1 … pk + runs - 1, oldest first, so that the id index grows at its end."""
    columns = [row[1] for row in db.execute("PRAGMA table_info(runs)")]
    named = {"pk": "runs.pk + copies.n", "id": f"fresh_id({runs} - copies.n)"}
    values = ", ".join(named.get(column, f"runs.{column}") for column in columns)
    db.execute(
        f"""WITH RECURSIVE copies(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < ?2 - 1)
        INSERT INTO runs ({", ".join(columns)}) SELECT {values} FROM copies CROSS JOIN runs
        WHERE runs.pk = ?1""",
        (pk, runs),
    )


def _copy_events(db: apsw.Connection, pk: int, runs: int) -> None:
    columns = [row[1] for row in db.execute("PRAGMA table_info(events)")]
    values = ", ".join(
        f"events.key + (copies.n << {SEQ_BITS})" if column == "key" else f"events.{column}"
        for column in columns
    )
    db.execute(
        f"""WITH RECURSIVE copies(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < ?2 - 1)
        INSERT INTO events ({", ".join(columns)}) SELECT {values} FROM copies CROSS JOIN events
        WHERE events.key BETWEEN ?1 << {SEQ_BITS} AND (?1 + 1 << {SEQ_BITS}) - 1""",
        (pk, runs),
    )
