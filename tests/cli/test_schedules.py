"""`runwell schedules` against the real server."""

from pathlib import Path

import pytest

from tests.cli.running import Ran, runwell
from tests.support.live_server import LiveServer

SOME = "schedule_0190c3d1e2f34a5b8c6d7e8f90a1b2c3"
YEARLY = "30 6 1 1 *"


@pytest.fixture
def schedules(live: LiveServer):
    """`runwell schedules …` on the live server."""

    def call(*args: str, stdin: str = "") -> Ran:
        return runwell("schedules", *args, stdin=stdin, RUNWELL_URL=live.url)

    return call


def test_from_a_schedule_to_its_run_and_its_end(schedules, live: LiveServer) -> None:
    assert schedules("list").err == "no schedules\n"
    made = schedules("create", "echo", YEARLY, "tick", "--name", "news", "--metadata", "team=ops", "--paused")
    id = made.out.strip()
    assert (made.code, made.err) == (0, "due next: not while it is paused\n")
    fired = schedules("fire", id.removeprefix("schedule_"))
    run_id = fired.out.strip()
    assert fired.err == f"hint: runwell run stream {run_id}\n"
    result = runwell("run", "result", run_id, "--wait", RUNWELL_URL=live.url)
    assert result.out == "tick\n"
    resumed = schedules("resume", id).out
    assert resumed.startswith(f"{id} is due next: ")
    assert resumed.count("-01-01 06:30 UTC") == 3
    shown = schedules("show", id).out.splitlines()
    assert [line.split(maxsplit=1)[1] for line in shown[:4]] == [id, "news", "echo", "tick"]
    assert sum("-01-01 06:30:00 UTC (in " in line for line in shown) == 5
    listed = next(line for line in schedules("list").out.splitlines() if id in line)
    assert listed.split()[1:9] == ["news", "echo", *YEARLY.split(), "UTC"]
    assert schedules("pause", id).out == f"{id} is paused\n"
    assert schedules("list").out.splitlines()[1].split()[-1] == "paused"
    assert schedules("delete", id).out == f"{id} is deleted\n"
    gone = schedules("show", id)
    assert (gone.code, gone.out) == (1, "")
    assert "There is no schedule" in gone.err


def test_all_options_get_there(schedules, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("input.json").write_text('{"depth": 2}')
    args = ["--timezone", "Asia/Tokyo", "--missed", "all", "--if-busy", "refuse", "--thread", "0" * 32]
    args += ["--concurrency-key", "k", "--priority", "-3", "--timeout", "9", "--expires-in", "60"]
    made = schedules(
        "create", "echo", YEARLY, "@input.json", "-J", "--max-attempts", "2", *args, "--json"
    ).json
    wanted = {
        "agent": "echo", "cron": YEARLY, "input": {"depth": 2}, "timezone": "Asia/Tokyo", "missed": "all",
        "if_busy": "refuse", "thread_id": f"thread_{'0' * 32}", "concurrency_key": "k", "priority": -3,
        "timeout": 9.0, "expires_in": 60.0, "max_attempts": 2, "paused": False,
    }  # fmt: skip
    assert {name: made[name] for name in wanted} == wanted
    assert all(each.endswith("-12-31T21:30:00Z") for each in made["next"])
    assert schedules("show", made["id"], "--json").json == made
    assert made["id"] in [each["id"] for each in schedules("list", "--json").json["schedules"]]


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        (["create", "nobody", YEARLY], 1, "There is no agent 'nobody'"),
        (["create", "echo", "every day"], 2, "$.cron: 'every day' has 2 fields, not 5"),
        (["create", "echo", YEARLY, "--timezone", "Mars/Olympus"], 2, "'Mars/Olympus' is no time zone"),
        (["create", "echo", YEARLY, "--missed", "maybe"], 2, "'maybe' is not one of"),
        (["create", "echo"], 2, "Missing argument 'CRON'"),
        (["fire", SOME], 1, "There is no schedule"),
        (["delete", "x"], 2, "'x' is not an id"),
    ],
)
def test_a_mistake_is_one_sentence(schedules, args, code, sentence) -> None:
    ran = schedules(*args)
    assert (ran.code, ran.out) == (code, "")
    assert sentence in ran.err.splitlines()[0]
