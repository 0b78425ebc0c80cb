"""Bringing a file's schema up to date, one numbered SQL script after the other.

`user_version` is the number that a program must know to use the file, so that older programs judge by it
too; what was only added since then is listed in `runwell_additions`.
"""

from pathlib import Path

import apsw

from runwell.domain.errors import StoreUnavailable
from runwell.store.scripts import Migration, Schema, lacking, scripts

APPLICATION_ID = 0x52554E57
"""`RUNW` in the file's header: this is one of ours."""

FOLDER = Path(__file__).parent.parent / "migrations" / "sqlite"

ADDITIONS = (
    "CREATE TABLE IF NOT EXISTS runwell_additions (number INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT"
)
_ADDED = "INSERT INTO runwell_additions (number, name) VALUES (?, ?)"
_LISTED = "SELECT count(*) FROM sqlite_schema WHERE name = 'runwell_additions'"
_LAST = "SELECT coalesce(max(number), 0) FROM runwell_additions"


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """All scripts in order. Raises `ValueError` when a number is missing or a name is odd."""
    return scripts(folder)


def migrate(db: apsw.Connection, steps: list[Migration]) -> list[Migration]:
    """Run what is missing, all of it in one transaction; what was run.

    If the process dies in here the file is as it was. Two processes may do this at once: the second
    waits for the first and finds nothing to do. Raises `StoreUnavailable` for a file that needs a newer
    program, or is not ours.
    """
    if not lacking(schema_of(db), steps, db.filename):
        return []
    db.execute("BEGIN IMMEDIATE")
    try:
        schema = schema_of(db)
        todo = lacking(schema, steps, db.filename)
        for step in todo:
            db.execute(step.script)
        _note(db, todo, schema.needs)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return todo


def _note(db: apsw.Connection, done: list[Migration], needs: int) -> None:
    db.execute(ADDITIONS)
    for step in done:
        if step.adds:
            db.execute(_ADDED, (step.number, step.name))
    db.pragma("user_version", max([needs, *(step.number for step in done if not step.adds)]))
    db.pragma("application_id", APPLICATION_ID)


def schema_of(db: apsw.Connection) -> Schema:
    """What this file has had; zeros for an empty one. Raises `StoreUnavailable` when it is not ours."""
    tables = db.execute("SELECT count(*) FROM sqlite_schema").get
    if tables and db.pragma("application_id") != APPLICATION_ID:
        raise StoreUnavailable(
            f"{db.filename} is a database of another program",
            "Choose another path for Runwell's file.",
        )
    needs = int(db.pragma("user_version"))
    added = int(db.execute(_LAST).get) if db.execute(_LISTED).get else 0
    return Schema(max(needs, added), needs)
