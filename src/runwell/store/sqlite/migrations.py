"""Bringing a file's schema up to date, one numbered SQL script after the other."""

import re
from pathlib import Path
from typing import NamedTuple

import apsw

from runwell.domain.errors import StoreUnavailable

APPLICATION_ID = 0x52554E57
"""`RUNW` in the file's header: this is one of ours."""

FOLDER = Path(__file__).parent.parent / "migrations" / "sqlite"
_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


class Migration(NamedTuple):
    number: int
    name: str
    script: str


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """All scripts in order. Raises `ValueError` when a number is missing or a name is odd."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        named = _NAME.fullmatch(path.name)
        if not named:
            raise ValueError(f"{path.name}: migrations are called 0001_words.sql")
        found.append(Migration(int(named[1]), path.stem, path.read_text(encoding="utf-8")))
    if [step.number for step in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"the migrations in {folder.name} are not numbered 1, 2, 3 …")
    return found


def migrate(db: apsw.Connection, steps: list[Migration]) -> int:
    """Run what is missing, all of it in one transaction; the number of the newest step.

    If the process dies in here the file is as it was. Two processes may do this at once: the second
    waits for the first and finds nothing to do. Raises `StoreUnavailable` for a file that is newer
    than this program or not ours.
    """
    newest = steps[-1].number
    if version_of(db, newest) == newest:
        return newest
    db.execute("BEGIN IMMEDIATE")
    try:
        current = version_of(db, newest)
        for step in steps[current:]:
            db.execute(step.script)
        db.pragma("user_version", newest)
        db.pragma("application_id", APPLICATION_ID)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return newest


def version_of(db: apsw.Connection, known: int) -> int:
    """The number of the last migration this file has had, 0 for an empty file. Refuses more than `known`."""
    tables = db.execute("SELECT count(*) FROM sqlite_schema").get
    if tables and db.pragma("application_id") != APPLICATION_ID:
        raise StoreUnavailable(
            f"{db.filename} is a database of another program",
            "Choose another path for Runwell's file.",
        )
    version = int(db.pragma("user_version"))
    if version > known:
        raise StoreUnavailable(
            f"{db.filename} was written by a newer Runwell (schema {version}, this one knows {known})",
            "Upgrade this installation, or restore a backup that was made before the upgrade.",
        )
    return version
