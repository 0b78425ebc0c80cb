"""Lists of runs by the words of their errors, and of all owners' runs by status or agent."""

from typing import Any

from runwell.domain.run import RunStatus
from runwell.ports.store import RunFilter
from runwell.store.postgres.paging import Terms, conditions, page_query
from runwell.store.postgres.pool import Pool
from runwell.store.postgres.rows import RUN_FIELDS, Row
from runwell.store.words import words_of

LOOKED_AT = 500
"""Newest runs that are read one by one before the index is asked: it knows no order, and would look up every
run of words that stand in most errors."""

WHOLE = 250
"""Characters of a name in its word: a word has an end. Migration 0007 has the same number."""

_WORDS = "runwell_error_words(owner, agent, error)"
# From owner to owner by the index: as many looks as there are owners, however many runs they have.
_OWNERS = """WITH RECURSIVE owners (owner) AS (
    (SELECT owner FROM runs ORDER BY owner LIMIT 1)
    UNION ALL
    SELECT (SELECT runs.owner FROM runs WHERE runs.owner > owners.owner ORDER BY runs.owner LIMIT 1)
    FROM owners WHERE owners.owner IS NOT NULL
)"""


async def page(
    pool: Pool,
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
        return await _by_words(pool, owner, where, where.text, before, limit, offset, fields)
    spread = owner is None and where.thread_id is None
    if spread and (where.statuses or where.agent is not None):
        sql, values = _of_all_owners(where, before, after, limit, offset, fields)
    else:
        sql, values = page_query(owner, where, before, after, limit, offset, fields)
    return await pool.all(sql, *values)


async def _by_words(
    pool: Pool,
    owner: str | None,
    where: RunFilter,
    text: str,
    before: str | None,
    limit: int,
    offset: int,
    fields: str,
) -> list[Row]:
    words = words_of(text)
    if not words or (where.statuses and RunStatus.FAILED not in where.statuses):
        return []
    for asked in (newest_query, words_query):
        sql, values = asked(owner, where, words, before, limit, offset, fields)
        rows = await pool.all(sql, *values)
        if len(rows) == limit:
            break
    return rows


def newest_query(
    owner: str | None,
    where: RunFilter,
    words: list[str],
    before: str | None,
    limit: int,
    offset: int,
    fields: str = RUN_FIELDS,
) -> tuple[str, list[Any]]:
    """Among the newest that are like `where`: as good as the whole answer when there are enough."""
    terms = conditions(owner, where, before, None)
    # All owners' failed runs have no index by id.
    narrow, order = (
        (" AND status = 'failed'", "status DESC, id DESC") if owner is not None else ("", "id DESC")
    )
    newest = f"""SELECT id, owner, agent, error FROM runs WHERE {_all(terms)}{narrow}
        ORDER BY {order} LIMIT {LOOKED_AT}"""
    match = _match(terms, None, None, words)
    return _found(f"SELECT id FROM newest WHERE {match}", "newest", newest, terms, (limit, offset), fields)


def words_query(
    owner: str | None,
    where: RunFilter,
    words: list[str],
    before: str | None,
    limit: int,
    offset: int,
    fields: str = RUN_FIELDS,
) -> tuple[str, list[Any]]:
    """Among all, by the index of words and by nothing else."""
    terms = conditions(owner, where, before, None)
    match = _match(terms, owner, where.agent, words)
    said = (
        f"""SELECT id, owner, agent, thread_id, label, source, created_at, reason FROM runs WHERE {match}"""
    )
    return _found(f"SELECT id FROM said WHERE {_all(terms)}", "said", said, terms, (limit, offset), fields)


def _found(
    ids: str, name: str, inner: str, terms: Terms, window: tuple[int, int], fields: str
) -> tuple[str, list[Any]]:
    """The runs with these ids, which come from `inner`, worked out by itself under that name."""
    limit, offset = map(terms.mark, window)
    cut = f"ORDER BY id DESC LIMIT {limit} OFFSET {offset}"
    sql = f"""WITH {name} AS MATERIALIZED ({inner})
    SELECT {fields} FROM runs WHERE id IN ({ids} {cut}) ORDER BY id DESC"""
    return sql, terms.values


def _all(terms: Terms) -> str:
    return str(terms) or "true"


def _match(terms: Terms, owner: str | None, agent: str | None, words: list[str]) -> str:
    """The condition that the index answers; the last word may be a beginning. What its parser takes for no
    word at all would be left out, and all errors found."""
    said = f"to_tsquery('pg_catalog.simple', {terms.mark(' & '.join(words) + ':*')})"
    parts = [said]
    for sign, name in (("@", owner), ("#", agent)):
        if name is not None:
            word = f"'{sign}{name[:WHOLE].encode().hex()}'"
            parts.append(f"{terms.mark(word)}::text::tsquery")
    return f"error IS NOT NULL AND numnode({said}) > 0 AND {_WORDS} @@ ({' && '.join(parts)})"


def _of_all_owners(
    where: RunFilter, before: str | None, after: str | None, limit: int, offset: int, fields: str
) -> tuple[str, list[Any]]:
    """The first of all are among the runs of those owners and statuses whose own first ones come first."""
    walk = "ASC" if before is None and after is not None else "DESC"
    terms = conditions(None, where, before, after, walked=True)
    wanted = terms.mark([status.value for status in sorted(where.statuses or RunStatus)])
    most = terms.mark(limit + offset)
    range_of = f"""SELECT id FROM runs WHERE runs.owner = wanted.owner AND {_all(terms)}
        AND status BETWEEN wanted.word AND wanted.word ORDER BY status {walk}, id {walk} LIMIT"""
    sql = f"""{_OWNERS}, heads AS MATERIALIZED (
        SELECT wanted.owner, wanted.word FROM (
            SELECT owners.owner, words.word FROM owners CROSS JOIN unnest({wanted}::text[]) AS words (word)
            WHERE owners.owner IS NOT NULL
        ) AS wanted CROSS JOIN LATERAL ({range_of} 1) AS head ORDER BY head.id {walk} LIMIT {most}
    )
    SELECT {fields} FROM runs WHERE id IN (
        SELECT found.id FROM heads AS wanted CROSS JOIN LATERAL ({range_of} {most}) AS found
        ORDER BY found.id {walk} LIMIT {terms.mark(limit)} OFFSET {terms.mark(offset)}
    ) ORDER BY id DESC"""
    return sql, terms.values
