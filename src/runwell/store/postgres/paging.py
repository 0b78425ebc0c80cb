"""Lists of runs, newest first. Every list is one index range per status, merged: flat at any size."""

from typing import Any

from runwell.domain.ids import new_id
from runwell.domain.instant import SECOND
from runwell.domain.run import RunStatus
from runwell.ports.store import RunFilter
from runwell.store.postgres.rows import RUN_FIELDS

SKEW = 3600 * SECOND
"""How far the clock in an id may be from `created_at`."""


class Terms:
    """Conditions, with their values numbered as they come."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._terms: list[str] = []

    def mark(self, value: Any) -> str:
        self.values.append(value)
        return f"${len(self.values)}"

    def add(self, term: str, value: Any) -> None:
        """`term` with `{}` where the value stands."""
        self._terms.append(term.format(self.mark(value)))

    def __str__(self) -> str:
        return " AND ".join(self._terms)


def page_query(
    owner: str | None,
    where: RunFilter,
    before: str | None,
    after: str | None,
    limit: int,
    offset: int = 0,
    fields: str = RUN_FIELDS,
) -> tuple[str, list[Any]]:
    """The statement and its values; rows of `fields`, newest first.

    With `after` the oldest that are newer are wanted, so the ranges are walked upwards. All owners' runs are
    one range, by id: see `searching` for those of some statuses.

    How many are wanted, and of which statuses, stands in the statement: as values they would be guessed so
    high for the plan that is kept, that one was made for every call instead, which took longer than the call.
    """
    if owner is None:
        return _every_owners(where, before, after, limit, offset, fields)
    walk = "ASC" if before is None and after is not None else "DESC"
    terms = conditions(owner, where, before, after, walked=True)
    # Equal statuses, said so that the order is by status and id: only the index of both gives it. Left to
    # choose, the planner may walk all ids and look for the few of a rare status in every row.
    inside, order = "status BETWEEN wanted.word AND wanted.word", f"status {walk}, id {walk}"
    if _narrow(where):
        inside, order = _in_range(where), f"id {walk}"
    most = terms.mark(limit + offset) if offset else f"{limit:d}"
    ids = f"""SELECT found.id FROM {_ranges(where)} CROSS JOIN LATERAL (
        SELECT id FROM runs WHERE {terms} AND {inside} ORDER BY {order} LIMIT {most}
    ) AS found ORDER BY found.id {walk} {_window(terms, limit, offset)}"""
    return f"SELECT {fields} FROM runs WHERE id IN ({ids}) ORDER BY id DESC", terms.values


def count_query(owner: str, where: RunFilter) -> tuple[str, list[Any]]:
    """The statement that counts them all, and its values."""
    terms = conditions(owner, where, None, None)
    return (
        f"""SELECT coalesce(sum(found.count), 0)::bigint FROM {_ranges(where)} CROSS JOIN LATERAL (
            SELECT count(*) FROM runs WHERE {terms} AND {_in_range(where)}
        ) AS found""",
        terms.values,
    )


def _every_owners(
    where: RunFilter, before: str | None, after: str | None, limit: int, offset: int, fields: str
) -> tuple[str, list[Any]]:
    walk = "ASC" if before is None and after is not None else "DESC"
    terms = conditions(None, where, before, after)
    terms.add("status = ANY({}::text[])", [status.value for status in sorted(where.statuses or RunStatus)])
    return (
        f"""SELECT * FROM (
            SELECT {fields} FROM runs WHERE {terms}
            ORDER BY id {walk} {_window(terms, limit, offset)}
        ) AS found ORDER BY id DESC""",
        terms.values,
    )


def _window(terms: Terms, limit: int, offset: int) -> str:
    """Without a number that is different on every page: each makes a statement that is kept."""
    return f"LIMIT {terms.mark(limit)} OFFSET {terms.mark(offset)}" if offset else f"LIMIT {limit:d}"


def _narrow(where: RunFilter) -> bool:
    """Whether a thread or a label leaves so few that they are one range."""
    return where.thread_id is not None or where.label is not None


def _ranges(where: RunFilter) -> str:
    """What the ranges are walked for: each status, or all of them together."""
    words = [f"'{status.value}'" for status in sorted(where.statuses or RunStatus)]
    if _narrow(where):
        return f"(SELECT ARRAY[{', '.join(words)}] AS words) AS wanted"
    return f"(VALUES ({'), ('.join(words)})) AS wanted (word)"


def _in_range(where: RunFilter) -> str:
    return "status = ANY(wanted.words)" if _narrow(where) else "status = wanted.word"


def conditions(
    owner: str | None, where: RunFilter, before: str | None, after: str | None, *, walked: bool = False
) -> Terms:
    """What every range has in common. An id starts with its time, so `since` and `until` bound it.
    `walked`: in the order of status and id, so that is what is bounded."""
    terms = Terms()
    id, mark = ("(status, id)", "(wanted.word, {})") if walked and not _narrow(where) else ("id", "{}")
    optional: list[tuple[str, Any]] = [
        ("owner = {}", owner),
        (f"{id} < {mark}", None if before is None else bytes.fromhex(before)),
        (f"{id} > {mark}", None if after is None else bytes.fromhex(after)),
        ("thread_id = {}", None if where.thread_id is None else bytes.fromhex(where.thread_id)),
        ("label = {}", where.label),
        ("agent = {}", where.agent),
        ("source = {}", where.source),
        (f"{id} >= {mark}", None if where.since is None else first_id(where.since - SKEW)),
        ("created_at >= {}", where.since),
        (f"{id} < {mark}", None if where.until is None else first_id(where.until + SKEW)),
        ("created_at < {}", where.until),
    ]
    for term, value in optional:
        if value is not None:
            terms.add(term, value)
    if where.reasons:
        none = " OR reason IS NULL" if None in where.reasons else ""
        named = sorted(reason for reason in where.reasons if reason is not None)
        terms.add(f"(reason = ANY({{}}::text[]){none})", named)
    return terms


def first_id(instant: int) -> bytes:
    """The smallest id of that millisecond."""
    return bytes.fromhex(new_id(max(instant, 0)))[:6] + bytes(10)
