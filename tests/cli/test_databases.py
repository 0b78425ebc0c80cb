"""The commands that look after a database: migrate, copy, and doctor on PostgreSQL."""

import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from runwell.cli.doctor_database import findings_of
from runwell.domain.worker import Heartbeat
from runwell.store.postgres.condition import Condition
from runwell.store.scripts import BREAKS, Migration
from runwell.store.sqlite.migrations import migrate, migrations
from tests.cli.running import runwell
from tests.support.backends import elsewhere
from tests.support.postgres import a_database, a_postgres, a_session
from tests.support.runs import a_queued_run, a_running_run, a_store, say

NEWEST = migrations()[-1].number


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "runwell.db")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with a_postgres() as url:
        yield url


@pytest.fixture
def empty(server: str) -> Iterator[str]:
    """The URL of an empty database."""
    with a_database(server) as url:
        yield url


def steps(path: str, *more: Migration, until: int = NEWEST) -> None:
    connection = apsw.Connection(path)
    migrate(connection, [*migrations()[:until], *more])
    connection.close()


def test_migrate_does_what_check_says(db: str) -> None:
    looked = runwell("migrate", "--check", "--db", db)
    assert (looked.code, looked.out.splitlines()[0]) == (
        1, f"{db} has schema 0; this version has {NEWEST}. Missing:",
    )  # fmt: skip
    assert not Path(db).exists()
    steps(db, until=3)
    looked = runwell("migrate", "--check", "--db", db)
    assert looked.out.splitlines()[1] == "  0004_workers: only adds; older servers may go on beside it"
    missing = runwell("migrate", "--check", "--json", "--db", db).json
    assert (looked.code, missing["schema"], missing["needs"], missing["usable"]) == (1, 3, 3, True)

    done = runwell("migrate", "--db", db)
    assert done.code == 0
    assert done.out.splitlines() == [
        *(f"done: {step['name']}" for step in missing["missing"]),
        f"{db} is up to date (schema {NEWEST}).",
    ]
    assert runwell("migrate", "--json", "--db", db).json["done"] == []
    assert runwell("migrate", "--check", "--db", db).code == 0


def test_check_tells_a_newer_database_that_may_be_used_from_one_that_may_not(db: str) -> None:
    adds = Migration(NEWEST + 1, "adds", "CREATE TABLE later (a);")
    steps(db, adds)
    looked = runwell("migrate", "--check", "--db", db)
    assert looked.code == 0
    assert "which may use it" in looked.out
    steps(db, adds, Migration(NEWEST + 2, "breaks", f"{BREAKS}\nDROP TABLE later;"))
    looked = runwell("migrate", "--check", "--db", db)
    assert looked.code == 3
    assert f"one that knows schema {NEWEST + 2}, and this one knows {NEWEST}" in looked.out
    refused = runwell("migrate", "--db", db)
    assert refused.code == 1
    assert "newer Runwell" in refused.err
    assert runwell("doctor", "--audit", "--db", db).code == 1


def test_doctor_does_not_bring_a_file_up_to_date(db: str) -> None:
    steps(db, until=3)
    found = runwell("doctor", "--json", "--db", db)
    behind = [each["sentence"] for each in found.json["findings"] if each["code"] == "schema_behind"]
    assert behind[0].startswith("The database lacks 0004_workers, ")
    assert found.code == 0
    assert runwell("migrate", "--check", "--db", db).code == 1


@pytest.mark.postgres
def test_a_database_moves_and_is_sound_where_it_arrives(tmp_path: Path, empty: str) -> None:
    db = tmp_path / "runwell.db"

    async def live() -> None:
        async with a_store(db, durability="off") as store:
            await a_queued_run(store)
            await say(store, await a_running_run(store))

    elsewhere(live())
    assert (
        runwell("migrate", "--check", "--db", empty).out.splitlines()[-1].startswith("  the queue's tables:")
    )
    behind = runwell("doctor", "--db", empty)
    assert "lacks 0001_initial" in behind.out
    copied = runwell("copy", str(db), empty, "--json")
    assert copied.code == 0, copied.err
    assert "events: 4 of 4 rows" in copied.err
    rows = {table["table"]: table["rows"] for table in copied.json["tables"]}
    assert (rows["runs"], rows["events"]) == (2, 4)
    assert runwell("migrate", "--check", "--db", empty).code == 0

    sound = runwell("doctor", "--db", empty)
    assert sound.code == 0, sound.out
    assert "PostgreSQL" in sound.out
    assert "The log of every run (2) tells its run's story." in sound.out
    again = runwell("copy", str(db), empty)
    assert again.code == 1
    assert "not empty" in again.err

    async def spoil() -> None:
        async with a_session(empty) as session:
            await session.execute("DELETE FROM events WHERE seq = 2")

    elsewhere(spoil())
    audit = runwell("doctor", "--audit", "--db", empty)
    assert audit.code == 1
    assert "PostgreSQL" not in audit.out
    assert "seq 3 follows 1" in audit.out


def test_a_copy_goes_into_postgresql_alone(db: str, tmp_path: Path) -> None:
    steps(db)
    refused = runwell("copy", db, str(tmp_path / "other.db"))
    assert refused.code == 2
    assert "is not on PostgreSQL" in refused.err


def test_a_database_that_is_not_there_is_no_secret_but_its_password_is() -> None:
    for command in (["doctor"], ["migrate"], ["migrate", "--check"]):
        ran = runwell(*command, "--db", "postgresql://ada:sesame@127.0.0.1:1/x")
        assert ran.code == 1
        assert "cannot be reached" in ran.out + ran.err
        assert "sesame" not in ran.out + ran.err


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    monkeypatch.delitem(sys.modules, "runwell.store.postgres.apart", raising=False)
    ran = runwell("migrate", "--db", "postgresql://127.0.0.1:1/x")
    assert ran.code == 2
    assert "pip install 'runwell[postgres]'" in ran.err


def test_doctor_says_what_is_dangerous_about_a_server() -> None:
    settings = {
        "server_version": "12.4", "server_version_num": "120004", "fsync": "off", "full_page_writes": "off",
        "synchronous_commit": "off", "max_connections": "100", "superuser_reserved_connections": "3",
    }  # fmt: skip
    worker = Heartbeat(
        name="a:1", host="a", pid=1, version="1", started_at=0, seen_at=0, lapse=9, running=2, places=5
    )
    bad = {each.code: each for each in findings_of(Condition(0.02, -3.0, settings, 80, [worker]), "db")}
    assert {code for code, each in bad.items() if each.level == "warning"} == {
        "round_trip", "fsync", "full_page_writes", "synchronous_commit", "clock_apart", "connections",
    }  # fmt: skip
    assert bad["postgres_too_old"].level == "error"
    assert "3.0 s behind" in bad["clock_apart"].sentence
    assert "a:1 (2/5)" in bad["workers"].sentence
    settings |= {"server_version_num": "130000", "synchronous_commit": "local", "fsync": "on"}
    settings["full_page_writes"] = "on"
    good = list(findings_of(Condition(0.001, 1.9, settings, 77, []), "db"))
    assert {each.level for each in good} == {"ok"}
