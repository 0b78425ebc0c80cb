"""What a database lacks of its schema, and bringing it up to date; for whoever looks after one.

A database is a `postgresql://` address or the path of a SQLite file. Nothing here opens a store.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from runwell.store.scripts import Migration, Schema, Step

Place = str | Path
"""A PostgreSQL address, or the path of a SQLite file."""


class Extra(NamedTuple):
    """Tables of others in the same PostgreSQL database, a queue's. `pending` tells the statements that are
    missing, `prepare` executes them; both are given a connection outside of all transactions."""

    name: str
    pending: Callable[[Any], Awaitable[list[str]]]
    prepare: Callable[[Any], Awaitable[list[str]]]


class Outlook(NamedTuple):
    """`known` is the newest script of this program. `usable`: it may use the database once `steps` are done;
    `steps` is empty when nothing is missing, and when the database needs a newer program."""

    schema: Schema
    known: int
    usable: bool
    steps: tuple[Step, ...]


async def outlook(place: Place, extras: Sequence[Extra] = ()) -> Outlook:
    """What `upgrade` would do; nothing is changed, and no file made. Raises `StoreUnavailable`."""
    if isinstance(place, Path):
        return _look_at_file(place)
    from runwell.store.postgres.apart import apart
    from runwell.store.postgres.migrations import missing, postgres_migrations, schema_of, step_of

    async with apart(place) as connection:
        known = postgres_migrations()
        found = _look(await schema_of(connection), known)
        if not found.usable:
            return found
        steps = [step_of(task) for task in await missing(connection, known)]
        steps += [Step(extra.name, True) for extra in extras if await extra.pending(connection)]
        return found._replace(steps=tuple(steps))


async def upgrade(place: Place, extras: Sequence[Extra] = ()) -> list[Step]:
    """Do what is missing, in order; what was done. Raises `StoreUnavailable`, also when it cannot be done
    now: another process serves the file, or a long transaction is in the way. What was done before that
    stays, and the next call goes on behind it."""
    if isinstance(place, Path):
        return _upgrade_file(place)
    from runwell.store.postgres.apart import apart
    from runwell.store.postgres.migrations import migrate, postgres_migrations

    async with apart(place) as connection:
        done = await migrate(connection, postgres_migrations())
        return done + [Step(extra.name, True) for extra in extras if await extra.prepare(connection)]


def _look(schema: Schema, known: list[Migration]) -> Outlook:
    newest = known[-1].number
    usable = schema.needs <= newest
    return Outlook(schema, newest, usable, tuple(_steps(known[schema.number :])) if usable else ())


def _steps(scripts: list[Migration]) -> list[Step]:
    return [Step(script.name, script.adds) for script in scripts]


def _look_at_file(path: Path) -> Outlook:
    import apsw

    from runwell.store.sqlite.connections import Location, open_reader
    from runwell.store.sqlite.failures import unavailable
    from runwell.store.sqlite.migrations import migrations, schema_of

    if not path.exists():
        return _look(Schema(0, 0), migrations())
    try:
        db = open_reader(Location(str(path.absolute()), "full", None))
        try:
            return _look(schema_of(db), migrations())
        finally:
            db.close(True)
    except apsw.Error as error:
        raise unavailable(error) from error


def _upgrade_file(path: Path) -> list[Step]:
    import apsw

    from runwell.store.sqlite.connections import Location, open_writer
    from runwell.store.sqlite.failures import unavailable
    from runwell.store.sqlite.upgrading import bring_up_to_date

    path = path.absolute()
    try:
        db = open_writer(Location(str(path), "full", None))
        try:
            return _steps(bring_up_to_date(db, path, locked=False))
        finally:
            db.close(True)
    except apsw.Error as error:
        raise unavailable(error) from error
