"""Lists of runs by the words of their errors, and of all owners' runs by status or agent."""

from typing import Any

import msgspec

from runwell.domain.run import RunStatus
from runwell.ports.store import RunFilter
from runwell.store.sqlite.paging import SKEW, conditions, first_id, page_query
from runwell.store.sqlite.reader import Reader
from runwell.store.sqlite.rows import MAX_PK, RUN_FIELDS, Row
from runwell.store.words import words_of

_PK = "SELECT pk FROM runs WHERE id = ?"
_OLDER = "SELECT pk FROM runs WHERE id < ? ORDER BY id DESC LIMIT 1"
# The order of ids is nearly that of pks. Of a hundred, so that a clock that was set back does no harm.
_LOWEST = "SELECT min(pk) FROM (SELECT pk FROM runs WHERE id >= ? ORDER BY id LIMIT 100)"
_HIGHEST = "SELECT max(pk) FROM (SELECT pk FROM runs WHERE id < ? ORDER BY id DESC LIMIT 100)"
# From owner to owner by the index: as many looks as there are owners, however many runs they have.
_OWNERS = """WITH RECURSIVE owners (owner) AS (
    SELECT min(owner) FROM runs INDEXED BY runs_by_status
    UNION ALL
    SELECT (SELECT min(owner) FROM runs INDEXED BY runs_by_status WHERE owner > owners.owner)
    FROM owners WHERE owner IS NOT NULL
)"""


def page(
    reader: Reader,
    owner: str | None,
    where: RunFilter,
    before: str | None,
    after: str | None,
    limit: int,
    offset: int = 0,
    fields: str = RUN_FIELDS,
) -> list[Row]:
    """Rows of `fields`. See `Runs.page`."""
    if where.text is not None:
        return _by_words(reader, owner, where, where.text, before, limit, offset, fields)
    spread = owner is None and where.thread_id is None
    if spread and (where.statuses or where.agent is not None):
        return _of_all_owners(reader, where, before, after, limit, offset, fields)
    return reader.all(*page_query(owner, where, before, after, limit, offset, fields))


def _by_words(
    reader: Reader,
    owner: str | None,
    where: RunFilter,
    text: str,
    before: str | None,
    limit: int,
    offset: int,
    fields: str,
) -> list[Row]:
    """The index gives them by pk, the newest first, and only as many as are taken: so that is the order."""
    match = _match(owner, where.agent, words_of(text))
    if match is None or (where.statuses and RunStatus.FAILED not in where.statuses):
        return []
    terms, values = conditions(None, where, None, None)
    if owner is not None:
        terms.append("runs.owner = ?")
        values.append(owner)
    low, high = _span(reader, where, before)
    sql = f"""SELECT {fields} FROM run_errors CROSS JOIN runs ON runs.pk = run_errors.rowid
        WHERE {" AND ".join(["run_errors MATCH ? AND run_errors.rowid BETWEEN ? AND ?", *terms])}
        ORDER BY run_errors.rowid DESC LIMIT ? OFFSET ?"""
    return reader.all(sql, (match, low, high, *values, limit, offset))


def _match(owner: str | None, agent: str | None, words: list[str]) -> str | None:
    """In the language of the index; None when nothing is looked for. The last word may be a beginning."""
    if not words:
        return None
    whose = [
        f'whose : "{sign}{name.encode().hex()}"'
        for sign, name in (("o", owner), ("a", agent))
        if name is not None
    ]
    said = [f'said : "{word}"' for word in words]
    return f"{' AND '.join([*whose, *said])} *"


def _span(reader: Reader, where: RunFilter, before: str | None) -> tuple[int, int]:
    """The pks between which the runs are: the walk must not go on behind them."""
    low, high = 0, MAX_PK
    if where.since is not None:
        (lowest,) = reader.one(_LOWEST, (first_id(where.since - SKEW),)) or (None,)
        low = lowest if lowest is not None else MAX_PK
    if where.until is not None:
        (highest,) = reader.one(_HIGHEST, (first_id(where.until + SKEW),)) or (None,)
        high = highest if highest is not None else -1
    if before is not None:
        cursor = bytes.fromhex(before)
        if (own := reader.one(_PK, (cursor,))) is not None:
            return low, min(high, own[0] - 1)
        # It was deleted: what was made before it is what is older.
        older = reader.one(_OLDER, (cursor,))
        return low, min(high, older[0] if older is not None else -1)
    return low, high


def _of_all_owners(
    reader: Reader,
    where: RunFilter,
    before: str | None,
    after: str | None,
    limit: int,
    offset: int,
    fields: str,
) -> list[Row]:
    """The first `most` are among the runs of those owners and statuses whose own first ones come first."""
    most = limit + offset
    upwards = before is None and after is not None
    terms, values = conditions(None, msgspec.structs.replace(where, agent=None), before, after)
    index, agent = "runs_by_status", ""
    if where.agent is not None:
        index, agent = "runs_by_agent", "agent = ? AND "
        values.insert(0, where.agent)
    condition = "".join(f" AND {term}" for term in terms)
    first = f"""SELECT {"min" if upwards else "max"}(id) FROM runs INDEXED BY {index}
        WHERE runs.owner = owners.owner AND {agent}status = wanted.value{condition}"""
    sql = f"""{_OWNERS} SELECT owner, status, head FROM (
            SELECT owners.owner, wanted.value AS status, ({first}) AS head
            FROM owners CROSS JOIN json_each(?) AS wanted WHERE owners.owner IS NOT NULL
        ) WHERE head IS NOT NULL ORDER BY head {"" if upwards else "DESC"} LIMIT ?"""
    wanted = [status.value for status in sorted(where.statuses or RunStatus)]
    heads = reader.all(sql, (*values, msgspec.json.encode(wanted).decode(), most))
    rows: list[Any] = []
    for owner, status, _ in heads:
        of_one = msgspec.structs.replace(where, statuses=frozenset({RunStatus(status)}))
        rows += reader.all(*page_query(owner, of_one, before, after, most, 0, fields))
    rows.sort(key=lambda row: bytes(row[0]), reverse=not upwards)
    return sorted(rows[offset:most], key=lambda row: bytes(row[0]), reverse=True)
