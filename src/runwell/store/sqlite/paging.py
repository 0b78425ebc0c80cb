"""Lists of runs, newest first. Every list is one index range per status, merged: flat at any size."""

from typing import Any

from runwell.domain.ids import new_id
from runwell.domain.instant import SECOND
from runwell.domain.run import RunStatus
from runwell.ports.store import RunFilter
from runwell.store.sqlite.rows import RUN_FIELDS, Row

SKEW = 3600 * SECOND
"""How far the clock in an id may be from `created_at`."""


def page_query(
    owner: str | None,
    where: RunFilter,
    before: str | None,
    after: str | None,
    limit: int,
    offset: int = 0,
    fields: str = RUN_FIELDS,
) -> tuple[str, Row]:
    """The statement and its values; rows of `fields`, newest first.

    With `after` the oldest that are newer are wanted, so the ranges are walked upwards. All owners' runs are
    one range, by id: see `searching` for those of some statuses.
    """
    walk = "ASC" if before is None and after is not None else "DESC"
    shared, values = conditions(owner, where, before, after)
    branches, bound = [], []
    for index, condition, value in _ranges(where) if owner is not None else [_every_owners(where)]:
        terms = " AND ".join([*shared, condition])
        walked = f"SELECT id FROM runs INDEXED BY {index} WHERE {terms} ORDER BY id {walk} LIMIT ?"
        branches.append(f"SELECT * FROM ({walked})")
        bound += [*values, *value, limit + offset]
    ids = f"{' UNION ALL '.join(branches)} ORDER BY id {walk} LIMIT ? OFFSET ?"
    return f"SELECT {fields} FROM runs WHERE id IN ({ids}) ORDER BY id DESC", (*bound, limit, offset)


def count_query(owner: str, where: RunFilter) -> tuple[str, Row]:
    """The statement that counts them all, and its values."""
    shared, values = conditions(owner, where, None, None)
    counts, bound = [], []
    for index, condition, value in _ranges(where):
        terms = " AND ".join([*shared, condition])
        counts.append(f"(SELECT count(*) FROM runs INDEXED BY {index} WHERE {terms})")
        bound += [*values, *value]
    return f"SELECT {' + '.join(counts)}", tuple(bound)


def _ranges(where: RunFilter) -> list[tuple[str, str, list[Any]]]:
    """(index, condition, values) of each range to walk."""
    statuses = sorted(where.statuses or RunStatus)
    marks = ", ".join("?" * len(statuses))
    every = [status.value for status in statuses]
    if where.thread_id is not None:
        return [("runs_by_thread", f"status IN ({marks})", every)]
    if where.label is not None:
        return [("runs_by_label", f"label = ? AND status IN ({marks})", [where.label, *every])]
    if where.agent is not None:
        return [("runs_by_agent", "agent = ? AND status = ?", [where.agent, s.value]) for s in statuses]
    return [("runs_by_status", "status = ?", [status.value]) for status in statuses]


def _every_owners(where: RunFilter) -> tuple[str, str, list[Any]]:
    statuses = [status.value for status in sorted(where.statuses or RunStatus)]
    index = "sqlite_autoindex_runs_1" if where.thread_id is None else "runs_by_thread"
    return index, f"status IN ({', '.join('?' * len(statuses))})", statuses


def conditions(
    owner: str | None, where: RunFilter, before: str | None, after: str | None
) -> tuple[list[str], list[Any]]:
    """What every range has in common. An id starts with its time, so `since` and `until` bound it."""
    terms: list[str] = []
    values: list[Any] = []

    def add(term: str, value: Any) -> None:
        terms.append(term)
        values.append(value)

    if owner is not None:
        add("owner = ?", owner)
    if before is not None:
        add("id < ?", bytes.fromhex(before))
    if after is not None:
        add("id > ?", bytes.fromhex(after))
    if where.thread_id is not None:
        add("thread_id = ?", bytes.fromhex(where.thread_id))
    if where.agent is not None and (owner is None or where.thread_id is not None or where.label is not None):
        add("agent = ?", where.agent)
    if where.label is not None and (owner is None or where.thread_id is not None):
        add("label = ?", where.label)
    if where.reasons:
        named = sorted(reason for reason in where.reasons if reason is not None)
        marks = ", ".join("?" * len(named))
        none = " OR reason IS NULL" if None in where.reasons else ""
        terms.append(f"(reason IN ({marks}){none})")
        values += named
    if where.source is not None:
        add("source = ?", where.source)
    if where.since is not None:
        add("id >= ?", first_id(where.since - SKEW))
        add("created_at >= ?", where.since)
    if where.until is not None:
        add("id < ?", first_id(where.until + SKEW))
        add("created_at < ?", where.until)
    return terms, values


def first_id(instant: int) -> bytes:
    """The smallest id of that millisecond."""
    return bytes.fromhex(new_id(max(instant, 0)))[:6] + bytes(10)
