"""When a file's schema may be changed: by its server as it starts, or by a tool while nothing serves it."""

from pathlib import Path

import apsw

from runwell.domain.errors import StoreUnavailable
from runwell.store.scripts import Migration, lacking
from runwell.store.sqlite.lock import Served, ServingLock
from runwell.store.sqlite.migrations import migrate, migrations, schema_of


def bring_up_to_date(db: apsw.Connection, path: Path, *, locked: bool) -> list[Migration]:
    """Run what is missing; what was run. `locked`: this process has the serving lock of `path`.

    A server that runs meanwhile could do without the new tables, but not with the wait: its commits fail
    after seconds behind a script that takes minutes. There is only ever one, so it is not asked to.
    Raises `StoreUnavailable`.
    """
    steps = migrations()
    schema = schema_of(db)
    # Nobody can be at work on a file in which there is nothing yet.
    if locked or schema.number == 0 or not lacking(schema, steps, str(path)):
        return migrate(db, steps)
    try:
        lock = ServingLock(path)
    except Served as error:
        raise StoreUnavailable(
            f"The schema of {path} is to be brought up to date, and a server of an older version is at work "
            f"on it ({error.message})",
            "Restart that server with this version: it brings the file up to date by itself.",
        ) from error
    try:
        return migrate(db, steps)
    finally:
        lock.release()
