"""The numbered SQL scripts that bring a schema up to date: `migrations/<backend>/0001_words.sql`."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from runwell.domain.errors import StoreUnavailable

FIRST_ADDITION = 4
"""Programs that know three scripts are the oldest there are; whoever knows fewer cannot have a database."""

BREAKS = "-- breaks older programs"
"""How the rare script begins that programs which do not know it cannot live with."""

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


class Migration(NamedTuple):
    number: int
    name: str
    script: str

    @property
    def adds(self) -> bool:
        """It only adds: programs that do not know it may start and go on beside it."""
        return self.number >= FIRST_ADDITION and not self.script.startswith(BREAKS)


class Step(NamedTuple):
    """What was or would be done. `safe`: programs that do not know it may start and go on beside it."""

    name: str
    safe: bool


class Schema(NamedTuple):
    """What a database has had. `number` is that of its newest script, 0 for none; `needs` that of the
    newest one a program must know to use it. Scripts that only add do not raise `needs`."""

    number: int
    needs: int


def scripts(folder: Path) -> list[Migration]:
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


def lacking(schema: Schema, steps: Sequence[Migration], where: str) -> list[Migration]:
    """Those of `steps` that the database `where` has not had; none for a newer one that may be used.

    Raises `StoreUnavailable` when it needs a program that knows more.
    """
    known = steps[-1].number
    if schema.needs > known:
        raise StoreUnavailable(
            f"{where} was written by a newer Runwell (schema {schema.needs}, this one knows {known})",
            "Upgrade this installation, or restore a backup that was made before the upgrade.",
        )
    return list(steps[schema.number :])


def statements(script: str) -> Iterator[str]:
    """Each in one line, without comments; what is quoted in $$ or between BEGIN and END is not cut."""
    begun = ""
    for piece in re.sub(r"--[^\n]*", "", script).split(";"):
        begun += piece
        trigger = re.match(r"\s*CREATE TRIGGER\b.*\bBEGIN\b", begun, re.DOTALL | re.IGNORECASE)
        if begun.count("$$") % 2 or (trigger and not re.search(r"\bEND\s*$", begun, re.IGNORECASE)):
            begun += ";"
            continue
        if begun.strip():
            yield " ".join(begun.split())
        begun = ""
