"""What is asked most stays as quick with many runs as with few: each statement goes by its index.

The statements are those that the stores put to their databases, caught on the way there.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import pytest

from runwell.domain.commands import Claim
from runwell.domain.errors import RunNotFound
from runwell.domain.run import RunStatus
from runwell.ports.store import Idempotency, RunFilter, Store
from runwell.store.postgres import Database as Postgres
from runwell.store.postgres import pruning
from runwell.store.postgres.connections import Location, connect
from runwell.store.postgres.pool import Pool
from runwell.store.sqlite import Database
from runwell.store.sqlite import pruning as sqlite_pruning
from runwell.store.sqlite.reader import Reader
from runwell.store.sqlite.transaction import Transaction
from tests.support.postgres import a_database, a_session
from tests.support.runs import NOW, OWNER, a_queued_run, a_succeeded_run, do

MANY = 30_000
AGENTS = frozenset({"a", "b"})
SUCCEEDED = frozenset({RunStatus.SUCCEEDED})
MOST = 1_500
"""Rows that one of these may look at, of the many there are: a window of the queue is 500."""

Statement = tuple[str, tuple[Any, ...]]


def id_of(number: int) -> str:
    return f"{number:012x}4000800000000000000a"


class Hot(NamedTuple):
    """What is asked of a store, and the indexes that each backend finds the answer by."""

    ask: Callable[[Store, str], Awaitable[Any]]
    postgres: set[str]
    sqlite: set[str]


async def listed(store: Store, id: str, **where: Any) -> None:
    await store.runs.page(OWNER, RunFilter(**where), before=id, after=None, limit=20)


async def at_once(read: Callable[[str], Awaitable[Any]]) -> None:
    await asyncio.gather(*(read(id_of(number)) for number in range(100, 2_100, 100)))


BY_ID = {"runs_id_key"}
ROW = {"sqlite_autoindex_runs_1"}
HOT: dict[str, Hot] = {
    "status": Hot(lambda store, id: store.runs.get(id, "somebody"), BY_ID, ROW),
    "many statuses": Hot(lambda store, id: at_once(store.runs.get), BY_ID, ROW),
    "list": Hot(listed, BY_ID | {"runs_by_status"}, ROW | {"runs_by_status"}),
    "list by status": Hot(
        lambda store, id: listed(store, id, statuses=SUCCEEDED),
        BY_ID | {"runs_by_status"}, ROW | {"runs_by_status"},
    ),
    "list by agent": Hot(
        lambda store, id: listed(store, id, agent="a"), BY_ID | {"runs_by_agent"}, ROW | {"runs_by_agent"}
    ),
    "list by label": Hot(
        lambda store, id: listed(store, id, label="l50"), BY_ID | {"runs_by_label"}, ROW | {"runs_by_label"}
    ),
    "all owners": Hot(
        lambda store, id: store.runs.page(None, RunFilter(), before=id, after=None, limit=20), BY_ID, ROW
    ),
    "all owners by status": Hot(
        lambda store, id: store.runs.page(
            None, RunFilter(statuses=SUCCEEDED), before=None, after=None, limit=20
        ),
        BY_ID | {"runs_by_status"}, ROW | {"runs_by_status"},
    ),
    "search": Hot(
        lambda store, id: listed(store, id, text="timed out"),
        BY_ID | {"runs_by_status", "runs_errors"}, {"run_errors", "runs"},
    ),
    "counts": Hot(
        lambda store, id: store.stats.tallies("o10", NOW, 100, 10),
        {"runs_outcomes"}, {"runs_by_status", "runs_outcomes"},
    ),
    "counts of all": Hot(
        lambda store, id: store.stats.tallies(None, NOW, 100, 10),
        BY_ID | {"runs_all_outcomes"}, ROW | {"runs_all_outcomes"},
    ),
    "standings": Hot(lambda store, id: store.stats.standings(OWNER), {"runs_by_agent"}, {"runs_by_agent"}),
    "standings of all": Hot(
        lambda store, id: store.stats.standings(None),
        {"runs_queued_by_agent", "runs_held", "runs_waiting"},
        {"runs_queued_by_agent", "runs_held", "runs_waiting"},
    ),
    "oldest of an agent": Hot(
        lambda store, id: store.stats.oldest_queued("a"), {"runs_queued_by_agent"}, {"runs_queued_by_agent"}
    ),
    "claimable": Hot(
        lambda store, id: store.runs.claimable(NOW + MANY, agents=AGENTS, limit=10, exclude=frozenset()),
        {"runs_ready", "runs_ready_defined", "runs_delayed", "runs_holding_key"},
        {"runs_ready", "runs_ready_defined", "runs_delayed", "runs_keyed", "runs_holding_key"},
    ),
    "next due": Hot(
        lambda store, id: store.runs.next_due(NOW + MANY // 2),
        {"runs_delayed", "runs_expiring"}, {"runs_delayed", "runs_expiring"},
    ),
    "queue limit": Hot(
        lambda store, id: store.runs.queued(OWNER, 1_000), {"runs_by_status"}, {"runs_by_status"}
    ),
    "expired": Hot(
        lambda store, id: store.runs.expired(NOW + 9_000, 200), {"runs_expiring"}, {"runs_expiring"}
    ),
    "held": Hot(lambda store, id: store.runs.held(), {"runs_held"}, {"runs_held"}),
    "events": Hot(lambda store, id: store.events.read(id, 1, 100), BY_ID | {"events_pkey"}, ROW | {"events"}),
    "many logs": Hot(
        lambda store, id: at_once(lambda each: store.events.read(each, 1, 100)),
        BY_ID | {"events_pkey"}, ROW,
    ),
    "steps": Hot(
        lambda store, id: store.steps.of(id), BY_ID | {"steps_pkey", "events_pkey"}, ROW | {"steps", "events"}
    ),
    "due deliveries": Hot(
        lambda store, id: store.deliveries.due(NOW + MANY, 20), {"deliveries_due"}, {"deliveries_due"}
    ),
    "next delivery": Hot(
        lambda store, id: store.deliveries.next_due(NOW + MANY // 2), {"deliveries_due"}, {"deliveries_due"}
    ),
    "idempotency": Hot(
        lambda store, id: store.runs.earlier(OWNER, Idempotency("native", "k4", b"f")),
        BY_ID | {"idempotency_pkey"}, ROW | {"idempotency"},
    ),
    "key": Hot(
        lambda store, id: store.keys.by_digest(bytes.fromhex(id)), {"keys_digest_key"},
        {"sqlite_autoindex_keys_2"},
    ),
}  # fmt: skip

# One in a hundred is queued, of which some are delayed, keyed or expiring; one in five hundred is running.
_RUNS = f"""INSERT INTO runs (id, owner, agent, status, source, created_at, queued_at, version, last_seq,
    attempt, tries, max_attempts, priority, in_order, ran_for, behind, log_pruned, finished_at, not_before,
    expires_at, concurrency_key, definition, worker, claimed_at, label)
SELECT decode(lpad(to_hex(n), 12, '0') || '4000800000000000000a', 'hex'),
    CASE WHEN n % 10 = 0 THEN 'o' || n % 97 ELSE '{OWNER}' END, CASE WHEN n % 3 = 0 THEN 'b' ELSE 'a' END,
    found.status, 'native', {NOW} + n, {NOW} + n, 3, 2, 1, 0, 3, n % 2, 0, 0, 0,
    CASE WHEN found.status = 'succeeded' AND n < {MANY // 2} THEN 1 ELSE 0 END,
    CASE WHEN found.status = 'succeeded' THEN {NOW} + n END,
    CASE WHEN found.status = 'queued' AND n % 7 = 0 THEN {NOW} + n END,
    CASE WHEN found.status = 'queued' AND n % 11 = 0 THEN {NOW} + n END,
    CASE WHEN n % 13 = 0 THEN 'k' || n % 5 END, CASE WHEN n % 17 = 0 THEN 'd'::bytea END,
    CASE WHEN found.status = 'running' THEN 'w' END, CASE WHEN found.status = 'running' THEN {NOW} END,
    CASE WHEN n % 50 = 0 THEN 'l' || n % 1000 END
FROM generate_series(1, {MANY}) AS n CROSS JOIN LATERAL (
    SELECT CASE WHEN n % 500 = 1 THEN 'running' WHEN n % 100 = 0 THEN 'queued' ELSE 'succeeded' END AS status
) AS found"""
FILLING = (
    _RUNS,
    f"""INSERT INTO events (run_pk, at, seq, kind, schema_version, data)
    SELECT n, 0, seq, 1, 1, 'x' FROM generate_series(1, {MANY}) AS n, generate_series(1, 2) AS seq""",
    f"""INSERT INTO steps (run_pk, digest, key, first_seq, name, kind, status, attempt, started_at)
    SELECT n, 'd', 'k', 1, 'n', 'code', 'finished', 1, 0 FROM generate_series(1, {MANY}, 5) AS n""",
    """INSERT INTO deliveries (id, owner, run_id, seq, event, url, format, status, created_at, next_at)
    SELECT id, owner, id, 1, 'e', 'u', 'f', CASE WHEN pk % 100 = 0 THEN 'pending' ELSE 'delivered' END,
        created_at, CASE WHEN pk % 100 = 0 THEN created_at END FROM runs WHERE pk % 4 = 0""",
    """INSERT INTO idempotency (owner, scope, key, fingerprint, run_id, created_at)
    SELECT owner, 'native', 'k' || pk, 'f', id, created_at FROM runs WHERE pk % 4 = 0""",
    """INSERT INTO keys (id, owner, name, prefix, digest, scopes, created_at)
    SELECT id, owner, 'n', 'p', id, '', created_at FROM runs WHERE pk % 10 = 0""",
    "VACUUM (ANALYZE)",
)


@pytest.fixture(scope="module")
def full(postgres_server: str) -> Iterator[str]:
    """The URL of a database of which nobody changes anything once it is filled."""
    with a_database(postgres_server) as url:
        yield url


@pytest.fixture
async def session(full: str) -> AsyncIterator[Any]:
    async with a_session(full) as session:
        if await session.fetchval("SELECT to_regclass('runs') IS NULL"):
            await (await Postgres.open(full)).close()
            for sql in FILLING:
                await session.execute(sql)
        yield session


def caught(monkeypatch: pytest.MonkeyPatch, place: type, *names: str) -> list[Statement]:
    """The statements that go by the methods `names` of `place` from now on."""
    found: list[Statement] = []
    for name in names:
        inner = getattr(place, name)

        def noted(self: Any, sql: str, *values: Any, inner: Any = inner) -> Any:
            found.append((sql, values))
            return inner(self, sql, *values)

        monkeypatch.setattr(place, name, noted)
    return found


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def looked_at(node: dict[str, Any]) -> float:
    """Rows that this node has read from a table or an index, those it threw away too."""
    if "Relation Name" not in node and "Index Name" not in node:
        return 0
    removed = sum(value for name, value in node.items() if name.startswith("Rows Removed by"))
    return float((node["Actual Rows"] + removed) * node["Actual Loops"])


async def check(session: Any, statements: list[Statement], indexes: set[str]) -> None:
    """Both with these values, and without knowing them: a connection that has asked the same a few times
    may plan once for all values."""
    used: set[str] = set()
    unknowing: set[str] = set()
    assert statements
    for number, (sql, values) in enumerate(statements):
        text = await session.fetchval(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", *values)
        used |= by_index(text)
        assert sum(looked_at(node) for node in nodes(json.loads(text)[0]["Plan"])) <= MOST, text
        await session.execute(f"SET plan_cache_mode = force_generic_plan; PREPARE hot{number} AS {sql}")
        given = f"({', '.join(['NULL'] * len(values))})" if values else ""
        unknowing |= by_index(await session.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE hot{number}{given}"))
        await session.execute("RESET plan_cache_mode")
    assert used >= indexes
    assert unknowing >= indexes


def by_index(text: str) -> set[str]:
    """The indexes of a plan in which no table is read from end to end."""
    plan = list(nodes(json.loads(text)[0]["Plan"]))
    assert not [node for node in plan if node["Node Type"] == "Seq Scan" and "Relation Name" in node], text
    return {node["Index Name"] for node in plan if "Index Name" in node}


@pytest.mark.postgres
@pytest.mark.parametrize("name", HOT)
async def test_postgres_goes_by_the_index_and_looks_at_few_rows(
    full: str, session: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await Postgres.open(full, migrates=False)
    statements = caught(monkeypatch, Pool, "one", "all")
    with suppress(RunNotFound):
        await HOT[name].ask(database.store(), id_of(MANY // 2 + 5))
    await database.close()
    await check(session, statements, HOT[name].postgres)


@pytest.mark.postgres
@pytest.mark.parametrize("sql", [pruning._OLD, pruning._LEAVING])
async def test_postgres_finds_what_is_to_go_by_its_index(session: Any, sql: str) -> None:
    await check(session, [(sql, (NOW + MANY, 500))], {"runs_ended"})


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plans") / "runs.db"


@pytest.fixture
async def sqlite(file: Path) -> AsyncIterator[tuple[Store, str]]:
    """A store, and the id of one of the few runs in it: nothing is analyzed, so plans are for any number."""
    database = Database.open(file, durability="off")
    store = database.store()
    yield store, (await a_succeeded_run(store)).id
    await store.close()
    database.close()


def check_sqlite(file: Path, statements: list[Statement], indexes: set[str]) -> None:
    db = apsw.Connection(str(file))
    partial = {row[1] for table in ("runs", "deliveries") for row in db.execute(f"PRAGMA index_list({table})")
               if row[4]}  # fmt: skip
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    used: set[str] = set()
    for sql, values in statements:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", *values)]
        for words in (line.split() for line in plan if line.startswith(("SEARCH", "SCAN"))):
            # By its primary key a table is an index itself.
            index = words[words.index("INDEX") + 1] if "INDEX" in words else words[1]
            if "VIRTUAL" in words:
                index, words[0] = words[1], "SEARCH"  # what it is asked stands behind MATCH
            used.add(index)
            # A partial index as a whole is what it was made for; the readiness row is the only one.
            assert words[0] == "SEARCH" or index in partial or words[1] not in tables - {"pulse"}, plan
    db.close()
    assert used >= indexes, statements


@pytest.mark.parametrize("name", HOT)
async def test_sqlite_goes_by_the_index(
    file: Path, sqlite: tuple[Store, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, id = sqlite
    statements = caught(monkeypatch, Reader, "one", "all", "each")
    with suppress(RunNotFound):
        await HOT[name].ask(store, id)
    check_sqlite(file, statements, HOT[name].sqlite)


async def test_sqlite_writes_by_the_index(
    file: Path, sqlite: tuple[Store, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = sqlite
    statements = caught(monkeypatch, Transaction, "one", "run")
    await do(store, await a_queued_run(store), Claim(worker="w"))
    await store.runs.prune_logs(NOW + 1, 100)
    await store.runs.forget(NOW + 1, 100)
    # These are put to the connection itself.
    statements += [
        (sqlite_pruning._BEGUN, ((2, 500),)),
        (sqlite_pruning._OLD, ((NOW, 0, 500),)),
        (sqlite_pruning._LINES, ((1, 2, 500),)),
    ]
    wanted = {"steps", "runs", "events", "runs_ended"}
    check_sqlite(file, [each for each in statements if "INSERT" not in each[0]], wanted)


@pytest.fixture(scope="module")
def young(postgres_server: str) -> Iterator[str]:
    """The URL of a database with a few runs, of which it knows nothing yet."""
    with a_database(postgres_server) as url:
        yield url


@pytest.mark.postgres
@pytest.mark.parametrize("name", HOT)
async def test_a_plan_that_was_made_while_there_were_few_is_no_worse(
    young: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection keeps it until the table has been analyzed, and a new database grows quickly."""
    database = await Postgres.open(young)
    try:
        store = database.store()
        if not await store.runs.every(None, 1):
            for number in range(40):
                await a_succeeded_run(store, NOW + number)
        statements = caught(monkeypatch, Pool, "one", "all")
        with suppress(RunNotFound):
            await HOT[name].ask(store, id_of(5))
    finally:
        await database.close()
    session = await connect(Location(young, 1, 5.0))
    try:
        await session.execute("SET plan_cache_mode = force_generic_plan")
        for number, (sql, values) in enumerate(statements):
            await session.execute(f"PREPARE hot{number} AS {sql}")
            given = f"({', '.join(['NULL'] * len(values))})" if values else ""
            text = await session.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE hot{number}{given}")
            by_index(text)
            kinds = {node["Node Type"] for node in nodes(json.loads(text)[0]["Plan"])}
            assert not kinds & {"Hash Join", "Merge Join"}, "both read one side from end to end"
    finally:
        await session.close()
