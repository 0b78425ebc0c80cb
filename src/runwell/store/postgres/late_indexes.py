"""Indexes on tables that may be full already: they are built beside commits, not in their way.

CREATE INDEX keeps everybody from writing until it is done. So it is taken out of its script, and done after
it: CONCURRENTLY, which is no part of any transaction. Whoever dies in between leaves one that is not there
or not valid, and the next to migrate builds it.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from runwell.store.scripts import BREAKS, Migration, statements

LONGEST_WAIT = 60.0
"""Seconds that a build waits for transactions which began before it. Nobody stands behind it meanwhile."""

_INDEX = re.compile(r"CREATE INDEX (\w+) ON (\w+)")
_TABLE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)")
_VALID = """SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relname = ANY($1) AND pg_table_is_visible(indexrelid)"""


class LateIndex(NamedTuple):
    name: str
    statement: str


def late_indexes(step: Migration) -> list[LateIndex]:
    """Those of the script that are on tables it has not made itself."""
    own = set(_TABLE.findall(step.script))
    found = []
    for statement in statements(step.script):
        index = _INDEX.match(statement)
        if index and index[2] not in own:
            found.append(LateIndex(index[1], statement))
    return found


def without_late_indexes(step: Migration) -> Migration:
    late = {index.statement for index in late_indexes(step)}
    kept = [statement for statement in statements(step.script) if statement not in late]
    mark = "" if step.adds else f"{BREAKS}\n"
    return step._replace(script=mark + (";\n".join(kept) or "SELECT 1"))


async def unbuilt(connection: Any, steps: Sequence[Migration]) -> list[LateIndex]:
    """Those of scripts which the database has had that are not there, or not valid."""
    wanted = [index for step in steps for index in late_indexes(step)]
    rows = await connection.fetch(_VALID, [index.name for index in wanted])
    valid = {name for name, is_valid in rows if is_valid}
    return [index for index in wanted if index.name not in valid]


async def build(connection: Any, index: LateIndex, timeout: float) -> None:
    """Outside of a transaction. `timeout` in seconds. Raises what asyncpg raises; what is left then is not
    valid, slows down commits a little, and is replaced by the next that builds it."""
    await connection.execute(f"SET lock_timeout = {round(LONGEST_WAIT * 1000)}")
    await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}", timeout=timeout)
    statement = index.statement.replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY", 1)
    await connection.execute(statement, timeout=timeout)
