"""The commands that work on this machine: keys, doctor, serve, and the demo."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runwell.cli import doctor
from runwell.cli.reload import times_of, watched_folders
from runwell.client import Client, Unauthenticated
from tests.cli.running import runwell
from tests.support.live_server import LiveServer, without_settings


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "runwell.db")


def started(module: str, *args: str, folder: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    """`python -m module …` in a process of its own, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", module, *args],
        cwd=folder,
        env=without_settings(environ.items()),
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_a_key_from_birth_to_death(db: str) -> None:
    made = runwell("keys", "create", "laptop", "--scope", "runs:read", "--db", db)
    secret = made.out.strip()
    assert (made.code, made.out) == (0, f"{secret}\n")
    assert secret.startswith("rw_")
    id = made.err.split()[0]
    assert made.err == f"{id} for local: runs:read\n"

    other = runwell("keys", "create", "ci", "--owner", "team", "--json", "--db", db).json
    assert (other["owner"], len(other["scopes"]), other["secret"][:3]) == ("team", 4, "rw_")

    listed = runwell("keys", "list", "--db", db)
    assert [row.split()[:3] for row in listed.out.splitlines()[1:]] == [
        [other["id"], "ci", "team"],
        [id, "laptop", "local"],
    ]
    assert secret not in listed.out + runwell("keys", "list", "--json", "--db", db).out

    assert runwell("keys", "revoke", id, "--db", db).out == f"{id} (laptop) is revoked\n"
    assert runwell("keys", "revoke", other["prefix"], "--db", db).code == 0
    keys = runwell("keys", "list", "--json", "--db", db).json["keys"]
    assert all(key["revoked_at"] for key in keys)


def test_keys_that_are_not_there(db: str, tmp_path: Path) -> None:
    missing = runwell("keys", "list", "--db", db)
    assert (missing.code, missing.err.splitlines()[0]) == (1, f"error: there is no database {db}")
    assert not Path(db).exists()
    runwell("keys", "create", "a", "--db", db)
    assert runwell("keys", "revoke", "rw_nothing00", "--db", db).err.startswith(
        "error: 0 keys begin like that"
    )
    assert runwell("keys", "revoke", "key_" + "0" * 12 + "4" + "0" * 3 + "8" + "0" * 15, "--db", db).code == 1
    assert runwell("keys", "revoke", "nonsense", "--db", db).code == 2


def refused_at_last(client: Client) -> bool:
    """A server may know a key for up to a second after its end."""
    try:
        while True:
            client.agents.list()
    except Unauthenticated:
        return True


def test_keys_work_beside_a_running_server(tmp_path: Path) -> None:
    """A server that began with a key wants one; a new one works at once, a revoked one not for long."""
    db = str(tmp_path / "runwell.db")
    first = runwell("keys", "create", "first", "--db", db).out.strip()
    with LiveServer(tmp_path) as server:
        with Client(server.url) as nobody, pytest.raises(Unauthenticated):
            nobody.agents.list()
        second = runwell("keys", "create", "second", "--json", "--db", db).json
        for secret in (first, second["secret"]):
            listed = runwell("agents", "list", "--url", server.url, "--key", secret)
            assert listed.code == 0
        assert runwell("agents", "list", RUNWELL_URL=server.url, RUNWELL_KEY=first).code == 0
        refused = runwell("agents", "list", "--url", server.url)
        assert refused.code == 1
        assert refused.err.startswith("error: ")
        runwell("keys", "revoke", second["id"], "--db", db)
        with Client(server.url, second["secret"]) as client:
            assert refused_at_last(client)


def test_doctor_finds_a_healthy_machine_healthy(tmp_path: Path) -> None:
    db = str(tmp_path / "runwell.db")
    before = runwell("doctor", "--db", db)
    assert before.code == 0
    assert "`serve` makes it" in before.out
    assert not Path(db).exists()
    with LiveServer(tmp_path) as server, server.client() as client:
        for _ in range(3):
            client.runs.create("echo", "x", wait=20)
        beside = runwell("doctor", "--db", db)
    assert beside.code == 0, beside.out
    assert "The log of every run (3) tells its run's story." in beside.out
    findings = runwell("doctor", "--db", db, "--json").json["findings"]
    assert {finding["level"] for finding in findings} <= {"ok", "warning"}


def test_doctor_finds_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = tmp_path / "runwell.db"
    runwell("keys", "create", "a", "--db", str(db))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 5 * 2**20))
    later = os.stat(db).st_mtime + 3600
    os.utime(db, (later, later))
    ran = runwell("doctor", "--db", str(db), "--json")
    assert ran.code == 1
    errors = {finding["code"] for finding in ran.json["findings"] if finding["level"] == "error"}
    assert errors == {"disk_space", "clock_behind"}


def test_doctor_reads_the_log_against_the_run(tmp_path: Path) -> None:
    import apsw

    with LiveServer(tmp_path) as server, server.client() as client:
        run = client.runs.create("echo", "x", wait=20)
        server.stop()
    connection = apsw.Connection(str(tmp_path / "runwell.db"))
    connection.execute(
        "delete from events where key = (select key from events order by key limit 1 offset 2)"
    )
    connection.close()
    ran = runwell("doctor", "--db", str(tmp_path / "runwell.db"))
    assert ran.code == 1
    assert f"{run.id}: seq 4 follows 2" in ran.out


def test_doctor_names_what_stands_beside_the_runs_and_cannot_be_read(tmp_path: Path) -> None:
    import apsw

    db = str(tmp_path / "runwell.db")
    with LiveServer(tmp_path) as server, server.client() as client:
        id = client.schedules.create("echo", "0 3 * * *").id
        assert runwell("doctor", "--db", db).code == 0
        server.stop()
    connection = apsw.Connection(db)
    connection.execute("UPDATE schedules SET value = ?", (b"{no",))
    connection.close()
    ran = runwell("doctor", "--db", db, "--json")
    assert ran.code == 1
    (error,) = [each for each in ran.json["findings"] if each["level"] == "error"]
    assert error["code"] == "damaged_schedule"
    assert error["sentence"].startswith(f"{id} of local cannot be read: ")


def test_doctor_on_what_is_no_database(tmp_path: Path) -> None:
    db = tmp_path / "runwell.db"
    db.write_bytes(b"not a database, surely not" * 100)
    ran = runwell("doctor", "--db", str(db))
    assert ran.code == 1
    assert "✗" in ran.out
    assert "Traceback" not in ran.err
    nowhere = runwell("doctor", "--db", str(tmp_path / "no" / "where.db"))
    assert nowhere.code == 1
    assert "There is no folder" in nowhere.out


def test_the_file_system_is_that_of_the_longest_mount() -> None:
    mounts = "/dev/a / ext4 rw 0 0\nserver:/x /data nfs4 rw 0 0\n/dev/b /data/local xfs rw 0 0\nbroken\n"
    assert doctor.file_system(Path("/data/runs"), mounts) == "nfs4"
    assert doctor.file_system(Path("/data/local/runs"), mounts) == "xfs"
    assert doctor.file_system(Path("/database"), mounts) == "ext4"
    assert doctor.file_system(Path("/database"), "") == ""


@pytest.mark.parametrize(
    ("args", "sentences"),
    [
        (["no_such_agents.py"], ["error: ", "no_such_agents.py"]),
        (["--host", "0.0.0.0", "--port", "0"], ["error: ", "key"]),
    ],
)
def test_a_server_that_cannot_start_says_why(tmp_path: Path, args: list[str], sentences: list[str]) -> None:
    ran = started("runwell", "serve", *args, folder=tmp_path)
    assert ran.returncode in (1, 2)
    assert "Traceback" not in ran.stderr
    assert all(sentence in ran.stderr for sentence in sentences), ran.stderr


def test_one_database_has_one_server_and_one_port_too(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        port = server.url.rpartition(":")[2]
        for args in (["--port", "0"], ["--port", port, "--db", "other.db"]):
            ran = started("runwell", "serve", *args, folder=tmp_path)
            assert ran.returncode == 1, ran.stderr
            assert "error: " in ran.stderr
            assert "hint: " in ran.stderr
            assert "Traceback" not in ran.stderr
        assert server.stop() == 0


def test_settings_of_the_folder_are_used(tmp_path: Path) -> None:
    agents = tmp_path / "mine.py"
    agents.write_text(
        "from runwell import agent\n\n@agent\nasync def mine(ctx, x: str) -> str:\n    return x\n"
    )
    (tmp_path / "runwell.toml").write_text('load = ["mine.py"]\ndb = "other.db"\n')
    with LiveServer(tmp_path, "--log-level", "info") as server, server.client() as client:
        assert client.runs.create("mine", "x", wait=20).output == "x"
        assert server.stop() == 0
    assert (tmp_path / "other.db").exists()


def test_reload_serves_what_the_file_says_now(tmp_path: Path) -> None:
    source = "from runwell import agent\n\n@agent\nasync def {name}(ctx, x: str) -> str:\n    return x\n"
    agents = tmp_path / "mine.py"
    agents.write_text(source.format(name="first"))
    with LiveServer(tmp_path, "mine.py", "--reload") as server:
        mark = server.mark()
        agents.write_text(source.format(name="other") + "\n# longer\n")
        server.wait_for("mine.py changed, starting anew", after=mark)
        assert "other" in server.wait_for(r"agents: ", after=mark)
        listening = server.wait_for("listening on", after=mark)
        with Client(listening.partition("listening on ")[2].split()[0]) as client:
            assert client.runs.create("other", "x", wait=20).output == "x"
        assert server.stop() == 0


def test_reload_watches_the_folders_of_the_agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (
        "a/x.py",
        "a/sub/y.py",
        "a/.hidden/z.py",
        "a/venv/pyvenv.cfg",
        "a/venv/lib/q.py",
        "a/notes.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert watched_folders(("a/x.py:agent",)) == [tmp_path / "a"]
    assert watched_folders(()) == watched_folders(("package.module",)) == [tmp_path]
    assert watched_folders(("a/x.py", "package")) == [tmp_path, tmp_path / "a"]
    seen = times_of([tmp_path / "a"])
    assert {os.path.relpath(name, tmp_path) for name in seen} == {"a/x.py", "a/sub/y.py"}


def test_the_demo_runs_from_start_to_finish(tmp_path: Path) -> None:
    text = tmp_path / "text.md"
    text.write_text(" ".join(f"Sentence number {n} speaks of runs and of events." for n in range(40)))
    environ = {"RUNWELL_PORT": "not a port", "HTTP_PROXY": "http://127.0.0.1:9"}
    ran = started("runwell.cli.demo", str(text), folder=tmp_path, **environ)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    for part in ("is queued", "running on", "  │ Sentence number", "succeeded", "What it returned", "read",
                 "Working time", "numbered without a gap", "ended with 0", "/docs"):  # fmt: skip
        assert part in ran.stdout, part


def test_the_demo_has_a_text_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from runwell.cli import demo

    monkeypatch.setattr(demo, "SOURCE_TREE", tmp_path)
    assert len(demo.choose(None).text) > 4_000
    monkeypatch.undo()
    assert demo.choose(None).name.endswith(".md")


def test_the_demo_says_what_is_wrong(tmp_path: Path) -> None:
    gone = subprocess.run(
        [sys.executable, "-m", "runwell.cli.demo", "no-such-file"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert gone.returncode == 2
    assert "no-such-file" in gone.stderr
    assert "Traceback" not in gone.stderr
