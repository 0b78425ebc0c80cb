"""The client commands against the real server: what they print, where, and how they end."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from runwell.client import Client
from tests.cli.running import Ran, runwell
from tests.support.live_server import LiveServer, without_settings

TALK = "0 🚀 1 wörd\n2 🚀 3 wörd\n"


@pytest.fixture
def run(live: LiveServer):
    """`runwell run …` on the live server."""

    def call(*args: str, stdin: str = "") -> Ran:
        return runwell("run", *args, stdin=stdin, RUNWELL_URL=live.url)

    return call


@pytest.fixture
def client(live: LiveServer):
    with live.client() as client:
        yield client


def test_submit_prints_the_id_and_says_how_to_follow(run) -> None:
    ran = run("submit", "echo", "hello")
    id = ran.out.strip()
    assert (ran.code, ran.out) == (0, f"{id}\n")
    assert id.startswith("run_")
    assert ran.err == f"hint: runwell run stream {id}\n"


def test_submit_wait_prints_the_result(run) -> None:
    ran = run("submit", "echo", "hello", "--wait")
    assert (ran.code, ran.out) == (0, "hello\n")
    assert ran.err.startswith("run_")


def test_submit_stream_prints_the_text(run) -> None:
    ran = run("submit", "talk", "4", "-J", "--stream")
    assert (ran.code, ran.out) == (0, TALK)
    assert "75 %  word 3" in ran.err


def test_streaming_what_streams_nothing_prints_the_result(run) -> None:
    assert run("submit", "echo", '{"a": "ü"}', "-J", "--stream").out == '{\n  "a": "ü"\n}\n'


@pytest.mark.parametrize(
    ("given", "stdin", "value"),
    [
        (["text"], "", "text"),
        (["-"], "from stdin\n", "from stdin\n"),
        (["-", "-J"], "[1]", [1]),
        (["@file.txt"], "", "from ä file"),
        (["@@file.txt"], "", "@file.txt"),
        (["42"], "", "42"),
        (["42", "-J"], "", 42),
        ([], "", None),
    ],
)
def test_input_comes_from_where_it_is(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], stdin: str, value: object
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file.txt").write_text("from ä file", encoding="utf-8")
    ran = run("submit", "echo", *given, "--wait", "--json", stdin=stdin)
    assert ran.code == 0
    assert ran.json["output"] == value


def test_options_reach_the_run(run, client: Client) -> None:
    options = (
        "--metadata team=ops --metadata a=b=c --priority -7 --timeout 12.5 --max-attempts 4 "
        "--concurrency-key k --idempotency-key cli-1 --not-before 2020-01-01T00:00:00Z --expires-in 3600"
    )
    made = run("submit", "echo", "x", *options.split(), "--json")
    submitted = client.runs.get(made.json["id"])
    assert submitted.metadata == {"team": "ops", "a": "b=c"}
    assert (submitted.priority, submitted.timeout, submitted.max_attempts) == (-7, 12.5, 4)
    assert submitted.concurrency_key == "k"


def test_status_for_people_and_for_programs(run, client: Client) -> None:
    id = client.runs.create("echo", "x", metadata={"team": "ops"}, wait=20).id
    shown = run("status", id)
    lines = dict(line.split(maxsplit=1) for line in shown.out.splitlines())
    assert shown.code == 0
    assert (lines["Run"], lines["Agent"], lines["Status"]) == (id, "echo", "succeeded")
    assert lines["Usage"] == "1,200 tokens in, 34 out, 1 model call"
    assert lines["Metadata"] == "team=ops"
    assert lines["Next"] == f"runwell run result {id}"
    assert "ago)" in lines["Created"]
    bare = id.removeprefix("run_")
    dashed = f"{bare[:8]}-{bare[8:12]}-{bare[12:16]}-{bare[16:20]}-{bare[20:]}"
    assert run("status", dashed, "--json").json["id"] == id


def test_a_failure_is_1_and_its_reason(run) -> None:
    ran = run("submit", "fail", "no luck", "--wait")
    assert (ran.code, ran.out) == (1, "")
    assert "failed: " in ran.err
    assert "no luck" in ran.err
    id = ran.err.splitlines()[0]
    assert run("stream", id).code == run("result", id).code == 1
    assert run("status", id).code == 0
    assert "no luck" in run("list", "--status", "failed", "-n", "1").out


def test_a_question_is_4_and_says_how_to_answer(run) -> None:
    for mode in ("--wait", "--stream"):
        ran = run("submit", "ask", "sing", mode)
        id = ran.err.splitlines()[0]
        assert ran.code == 4
        assert ran.err.splitlines()[-2:] == [
            "waiting for an answer: May I sing?",
            f"hint: runwell run answer {id} VALUE --question ask",
        ]
        assert run("result", id).code == 4
        late = run("answer", id, "yes", "--question", "another")
        assert late.code == 1 and "asks 'ask' now" in late.err
        answered = run("answer", id, "yes", *(("--question", "ask") if mode == "--wait" else ()))
        assert answered.code == 0
        assert f"{id} is queued again" in answered.out
        # The question is still in the log; it no longer holds the stream up.
        assert run("stream", id).out == "sing: yes\n"


def test_a_cancelled_run_is_3(run, client: Client) -> None:
    id = client.runs.create("hang", "hello").id
    assert next(client.runs.text(id)) == "hello"
    early = run("result", id)
    assert (early.code, early.err.splitlines()[0]) == (1, f"error: {id} is running: it has no result yet")
    cancelled = run("cancel", id, "--wait")
    assert (cancelled.code, cancelled.out) == (0, f"{id} is cancelled\n")
    assert run("stream", id).code == run("result", id, "--wait").code == 3
    assert run("stream", id).out == "hello\n"


def test_retry_makes_a_new_run(run, client: Client) -> None:
    id = client.runs.create("echo", "x", wait=20).id
    again = run("retry", id)
    assert again.code == 0
    assert client.runs.get(again.out.strip()).retry_of == id


def test_stream_as_json_is_the_log(run, client: Client) -> None:
    id = client.runs.create("talk", 4, wait=20).id
    events = [json.loads(line) for line in run("stream", id, "--json").out.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert "".join(e["data"]["text"] for e in events if e["type"] == "output.text_delta") == TALK
    assert events[-1]["type"] == "run.succeeded"
    rest = run("stream", id, "--json", "--after", "3").out.splitlines()
    assert json.loads(rest[0])["seq"] == 4


def test_list_and_steps(run, client: Client) -> None:
    ids = [client.runs.create("echo", str(n), wait=20).id for n in range(3)]
    listed = run("list", "-n", "3", "--agent", "echo")
    header, *rows = listed.out.splitlines()
    assert header.split() == ["RUN", "STATUS", "AGENT", "AGE", "DURATION"]
    assert [row.split()[:3] for row in rows] == [[id, "succeeded", "echo"] for id in ids[::-1]]
    as_json = run("list", "-n", "2", "--status", "succeeded", "--agent", "echo", "--json").json
    assert [item["id"] for item in as_json["runs"]] == ids[:0:-1]
    assert run("list", "--agent", "nobody").err == "no runs\n"
    assert run("steps", ids[0]).out.splitlines()[1].split()[:3] == ["repeat", "code", "finished"]
    assert run("steps", ids[0], "--json").json["steps"][0]["output"] == "0"


def test_agents(live: LiveServer) -> None:
    listed = runwell("agents", "list", "--url", live.url)
    rows = [line.split()[:3] for line in listed.out.splitlines()]
    assert rows[0] == ["AGENT", "KIND", "DEFAULT"]
    assert ["echo", "python", "yes"] in rows
    assert "Return what came in." in runwell("agents", "show", "echo", "--url", live.url).out
    names = [agent["name"] for agent in runwell("agents", "list", "--json", "--url", live.url).json["agents"]]
    assert "echo" in names
    unknown = runwell("agents", "show", "nobody", "--url", live.url)
    assert (unknown.code, unknown.err.splitlines()[0]) == (1, "error: There is no agent 'nobody'")


def test_an_address_given_by_hand_is_in_the_hints(live: LiveServer) -> None:
    ran = runwell("run", "submit", "echo", "x", "--url", live.url)
    assert ran.err == f"hint: runwell run stream {ran.out.strip()} --url {live.url}\n"


def test_an_unknown_run_and_an_unknown_agent_are_sentences(run) -> None:
    gone = run("status", "run_0190c3d1e2f34a5b8c6d7e8f90a1b2c3")
    assert gone.code == 1
    assert gone.err.splitlines()[0] == "error: There is no run run_0190c3d1e2f34a5b8c6d7e8f90a1b2c3"
    nobody = run("submit", "nobody", "x")
    assert nobody.code == 1
    assert "There is no agent 'nobody'" in nobody.err
    assert "hint: " in nobody.err


def test_nothing_listening_is_5(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runwell.cli.connect.FIRST_CONTACT", 0.05)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        ran = runwell("run", "list", "--url", url)
    assert ran.code == 5
    first, hint = ran.err.splitlines()
    assert first == f"error: {url} cannot be reached: Connection refused"
    assert hint == f"hint: Is `runwell serve` running at {url}?"


@pytest.mark.parametrize("args", [["stream", "{id}", "--json"], ["submit", "hang", "hello", "--stream"]])
def test_ctrl_c_detaches_and_says_how_to_come_back(live: LiveServer, client: Client, args: list[str]) -> None:
    id = client.runs.create("hang", "hello").id
    command = [sys.executable, "-m", "runwell", "run", *(arg.format(id=id) for arg in args)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=without_settings([("RUNWELL_URL", live.url)]),
    )
    assert process.stdout is not None
    assert os.read(process.stdout.fileno(), 5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    if args[0] == "submit":
        id = said.decode().splitlines()[0]
    assert f"detached; {id} goes on. Come back with:\n  runwell run stream {id}\n" in said.decode()
    assert "Traceback" not in said.decode()
    assert client.runs.get(id).status in ("queued", "running")
    client.runs.cancel(id)


def test_a_stream_at_the_terminal_outlives_the_server(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        command = [sys.executable, "-m", "runwell", "run", "submit", "talk", "60", "-J", "--stream"]
        environ = without_settings([("RUNWELL_URL", server.url)])
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ
        ) as process:
            assert process.stdout is not None
            began = os.read(process.stdout.fileno(), 10)
            server.kill()
            server.start()
            rest, said = process.communicate(timeout=60)
    assert process.returncode == 0, said.decode()
    text = (began + rest).decode()
    assert text == "".join(f"{n} wörd\n" if n % 2 else f"{n} 🚀 " for n in range(60))
    assert "vanished" in said.decode()


def test_status_says_why_and_list_finds_words(run) -> None:
    id = run("submit", "fail", "the moon is full", "--wait").err.split()[0].rstrip(":")
    why = run("status", id, "--why")
    assert (why.code, why.out.endswith("the moon is full.\n")) == (0, True)
    assert json.loads(run("status", id, "--why", "--json").out)["id"] == id
    assert id in run("list", "--text", "moon full").out
    assert "no runs" in run("list", "--text", "moon empty").err
