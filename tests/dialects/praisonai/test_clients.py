"""The original's own clients, unmodified, over real HTTP: its command line's handlers, its JobHandle, and
the snippets of its documentation as they are printed."""

import asyncio
import fcntl
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.live_server import LiveServer, without_settings
from tests.support.receiver import Receiver

pytestmark = pytest.mark.e2e

AGENTS = Path(__file__).with_name("job_agents.py")
PORT = 8005
"""Where the original's clients look when they are not told."""
LIMIT = 60.0
COMMAND_LINE = """
import sys
from praisonai_code.cli.features.jobs import handle_run_command
handle_run_command(sys.argv[1:])
"""
CURL = "curl http://127.0.0.1:8005/api/v1/runs/run_abc123"
PYTHON = """
import httpx
import time

job_id = "run_abc123"

# Single status check
response = httpx.get(f"http://127.0.0.1:8005/api/v1/runs/{job_id}")
status = response.json()
print(f"Status: {status['status']}")

# Polling loop with retry_after
def wait_for_completion(job_id):
    while True:
        response = httpx.get(f"http://127.0.0.1:8005/api/v1/runs/{job_id}")
        status = response.json()
        
        if status["status"] in ("succeeded", "failed", "cancelled"):
            return status
        
        # Use retry_after if provided, otherwise default to 2 seconds
        wait_time = status.get("retry_after", 2)
        print(f"Status: {status['status']}, waiting {wait_time}s...")
        time.sleep(wait_time)

result = wait_for_completion("run_abc123")
print(f"Final status: {result['status']}")
"""  # noqa: W293 - as it is printed
HANDLE = """
import json, sys
from praisonai.recipe.operations import submit_job

url, recipe, *also = sys.argv[1:]
key = " ".join([recipe, *also])
job = submit_job(recipe, input="the question", session_id="s-1", idempotency_key=key, api_url=url)
assert job.status in ("queued", "running", "succeeded"), job.status
assert job.poll_url == f"{url}/api/v1/runs/{job.job_id}", job.poll_url
assert job.stream_url == f"{job.poll_url}/stream", job.stream_url
again = submit_job(recipe, input="the question", session_id="s-1", idempotency_key=key, api_url=url)
assert again.job_id == job.job_id
print(job.job_id, flush=True)
if "cancel" in also:
    assert job.cancel() is True
    assert job.get_status()["status"] == "cancelled"
    assert job.cancel() is False
if "listen" in also:
    sys.stdin.readline()
print(json.dumps(job.wait(poll_interval=1, timeout=60)))
job.close()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("server"), str(AGENTS)) as running:
        yield running


@pytest.fixture
def port_of_the_original() -> Iterator[int]:
    """One test of this machine at a time has it; somebody else's server there is an error."""
    with open(Path(tempfile.gettempdir(), f"runwell-tests-{os.getuid()}-{PORT}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", PORT))
            except OSError as error:
                pytest.fail(f"port {PORT}, which the original's clients expect, is taken: {error}")
        yield PORT


def python(code: str, *args: str, **given: Any) -> subprocess.CompletedProcess[str]:
    environment = without_settings({"COLUMNS": "200", "NO_COLOR": "1"}.items())
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        capture_output=True, text=True, timeout=LIMIT, env=environment, check=False, **given,
    )  # fmt: skip


def command_line(server: LiveServer, *args: str, code: int = 0) -> str:
    """What `praisonai run …` prints. It finds the original's port by itself."""
    where = [] if server.url.endswith(f":{PORT}") else ["--api-url", server.url]
    ran = python(COMMAND_LINE, *args, *where)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout


def submitted(server: LiveServer, *args: str) -> str:
    found = re.search(r"Job submitted: (run_[0-9a-f]{32})", command_line(server, "submit", *args))
    assert found is not None
    return found[1]


def ended(server: LiveServer, job_id: str) -> str:
    """The job's stream, to its end."""
    return httpx.get(f"{server.url}/api/v1/runs/{job_id}/stream", timeout=LIMIT).text


def until_said(server: LiveServer, job_id: str, words: str) -> None:
    """Until the job's stream says this."""
    with httpx.stream("GET", f"{server.url}/api/v1/runs/{job_id}/stream", timeout=LIMIT) as stream:
        assert any(words in line for line in stream.iter_lines())


def handle_of(*args: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", HANDLE, *args],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=without_settings(),
    )  # fmt: skip


def json_in(printed: str) -> Any:
    return json.loads(printed[printed.index("{") :])


def test_submit_and_status(server: LiveServer):
    job_id = submitted(server, "Analyse this", "--session-id", "s-9")
    ended(server, job_id)
    shown = command_line(server, "status", job_id)
    assert f"Job ID: {job_id}" in shown
    assert "Status: succeeded" in shown
    assert "Progress: 100%" in shown
    assert "Step: Running agent workflow" in shown
    body = json_in(command_line(server, "status", job_id, "--json"))
    assert (body["job_id"], body["status"], body["session_id"]) == (job_id, "succeeded", "s-9")


def test_submit_and_wait_and_result(server: LiveServer):
    shown = command_line(server, "submit", "Analyse this", "--wait")
    assert "Waiting for job completion" in shown
    assert 'Analyse this "quoted"' in shown
    job_id = submitted(server, "Analyse that")
    ended(server, job_id)
    body = json_in(command_line(server, "result", job_id, "--json"))
    assert body["result"] == '### PraisonAI Output ###\nAnalyse that "quoted"'
    assert body["duration_seconds"] >= 0
    assert body["error"] is None


def test_submit_as_json_with_a_key_is_the_same_job_again(server: LiveServer):
    key = f"key of {server.url}"
    first, second = (
        json_in(command_line(server, "submit", "x", "--idempotency-key", key, "--json")) for _ in range(2)
    )
    assert list(first) == ["job_id", "status", "created_at", "poll_url", "stream_url"]
    assert first["job_id"] == second["job_id"]


def test_both_streams_of_a_result_with_several_lines(server: LiveServer):
    job_id = submitted(server, "Analyse this")
    shown = command_line(server, "stream", job_id)
    assert "Status: Running agent workflow | Progress: 30%" in shown
    assert "Job completed: succeeded" in shown
    assert "Stream completed" in shown
    told = [json.loads(line) for line in command_line(server, "stream", job_id, "--json").splitlines()]
    assert told[-1]["result"] == '### PraisonAI Output ###\nAnalyse this "quoted"'
    assert [each["status"] for each in told if "status" in each] == ["queued", "running", "succeeded"]
    assert {"percentage": 30.0, "step": "Running agent workflow"}.items() <= told[3].items()


def test_a_job_that_fails(server: LiveServer):
    job_id = submitted(server, "x", "--recipe", "broken", "--recipe-config", '{"a": 1}')
    shown = command_line(server, "stream", job_id)
    assert "1 of 1 task(s) failed" in shown
    assert "Error: 1 of 1 task(s) failed" in command_line(server, "status", job_id)
    assert "Job failed: 1 of 1 task(s) failed" in command_line(server, "result", job_id)


@pytest.mark.parametrize(
    "args", [["--framework", "crewai"], ["--recipe", "nope"], ["--agent-file", "no.yaml"]]
)
def test_a_job_that_nothing_can_run_fails_and_the_server_lives(server: LiveServer, args: list[str]):
    job_id = submitted(server, "x", *args)
    assert "event: error" in ended(server, job_id)
    assert json_in(command_line(server, "status", job_id, "--json"))["status"] == "failed"


def test_list(server: LiveServer):
    job_id = submitted(server, "x")
    ended(server, job_id)
    shown = command_line(server, "list", "--status", "succeeded", "--page-size", "5")
    assert "Jobs (Page 1/" in shown
    assert job_id in shown
    body = json_in(command_line(server, "list", "--json"))
    assert body["jobs"][0]["job_id"] == job_id


def test_cancel(server: LiveServer):
    job_id = submitted(server, "x", "--recipe", "steady")
    body = json_in(command_line(server, "cancel", job_id, "--json"))
    assert body["status"] == "cancelled"
    assert body["completed_at"] is not None
    assert "409 Conflict" in command_line(server, "cancel", job_id, code=1)
    assert "Job ended: cancelled" in command_line(server, "stream", job_id)


def test_what_is_not_there_is_an_error(server: LiveServer):
    assert "404 Not Found" in command_line(server, "status", "run_abc123", code=1)


@pytest.mark.parametrize(
    ("recipe", "result", "error"),
    [
        ("report", '### PraisonAI Output ###\nthe question "quoted"', None),
        ("broken", None, "1 of 1 task(s) failed"),
        ("nope", None, "Recipe 'nope' not found: this server has no agent of that name"),
    ],
)
def test_job_handle(server: LiveServer, recipe: str, result: str | None, error: str | None):
    ran = python(HANDLE, server.url, recipe)
    assert ran.returncode == 0, ran.stderr
    body = json.loads(ran.stdout.splitlines()[-1])
    assert (body["result"], body["error"]) == (result, error)


def test_job_handle_cancels(server: LiveServer):
    ran = python(HANDLE, server.url, "steady", "cancel")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1])["status"] == "cancelled"


def test_a_job_outlives_its_server_and_the_handle_does_not_notice(tmp_path: Path):
    with LiveServer(tmp_path, str(AGENTS)) as server, handle_of(server.url, "steady", "listen") as handle:
        assert handle.stdout is not None
        job_id = handle.stdout.readline().strip()
        until_said(server, job_id, "Processing data")
        server.kill()
        server.start()
        told, _ = handle.communicate("go on\n", timeout=LIMIT)
    body = json.loads(told)
    assert (body["status"], body["result"]) == ("succeeded", "again: the question")


def test_the_documented_python_as_it_is_printed(server: LiveServer):
    job_id = submitted(server, "x")
    ended(server, job_id)
    ran = python(PYTHON.replace("http://127.0.0.1:8005", server.url).replace("run_abc123", job_id))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["Status: succeeded", "Final status: succeeded"]


def test_the_documented_python_waits_as_long_as_it_is_told(server: LiveServer):
    job_id = submitted(server, "x", "--recipe", "steady")
    until_said(server, job_id, "Processing data")
    code = PYTHON.replace("http://127.0.0.1:8005", server.url).replace("run_abc123", job_id)
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, text=True, env=without_settings()
    ) as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "Status: running\n"
        assert waiting.stdout.readline() == "Status: running, waiting 5s...\n"
        httpx.post(f"{server.url}/api/v1/runs/{job_id}/cancel", timeout=LIMIT)
        assert waiting.communicate(timeout=LIMIT)[0] == "Final status: cancelled\n"


def test_the_documented_curl_as_it_is_printed(server: LiveServer):
    job_id = submitted(server, "x")
    ended(server, job_id)
    command = CURL.replace("http://127.0.0.1:8005", server.url).replace("run_abc123", job_id)
    ran = subprocess.run(command.split(), capture_output=True, text=True, timeout=LIMIT, check=True)
    assert json.loads(ran.stdout)["job_id"] == job_id


def test_nothing_needs_to_be_told_where_the_original_listens(tmp_path: Path, port_of_the_original: int):
    with LiveServer(tmp_path, str(AGENTS), port=port_of_the_original) as server:
        job_id = submitted(server, "Analyse this")
        assert "Job completed: succeeded" in command_line(server, "stream", job_id)
        assert "Status: succeeded" in command_line(server, "status", job_id)
        assert 'Analyse this "quoted"' in command_line(server, "result", job_id)
        assert "Total: 1 jobs" in command_line(server, "list")
        curl = CURL.replace("run_abc123", job_id).split()
        ran = subprocess.run(curl, capture_output=True, text=True, timeout=LIMIT, check=True)
        assert json.loads(ran.stdout)["job_id"] == job_id
        assert python(PYTHON.replace("run_abc123", job_id)).stdout.endswith("Final status: succeeded\n")
        stuck = submitted(server, "x", "--recipe", "steady")
        assert f"Job cancelled: {stuck}" in command_line(server, "cancel", stuck)


async def test_the_webhook_is_told_of_every_end_and_signed(tmp_path: Path):
    allowed = {"RUNWELL_CALLBACKS_ALLOW": "127.0.0.1"}
    async with Receiver() as receiver:
        with LiveServer(tmp_path, str(AGENTS), env=allowed) as server:
            hook = ("--webhook-url", receiver.url, "--timeout")
            jobs = [
                await asyncio.to_thread(submitted, server, "x", "--recipe", recipe, *hook, seconds)
                for recipe, seconds in (("report", "9"), ("broken", "9"), ("steady", "1"), ("steady", "9"))
            ]
            await asyncio.to_thread(command_line, server, "cancel", jobs[-1])
            posts = await receiver.posts(len(jobs))
    told = {post.json["job_id"]: post.json for post in posts}
    assert [(told[job]["status"], told[job]["error"]) for job in jobs] == [
        ("succeeded", None),
        ("failed", "1 of 1 task(s) failed"),
        ("failed", "Job timed out after 1s"),
        ("cancelled", None),
    ]
    for post in posts:
        assert list(post.json) == ["job_id", "status", "result", "error", "completed_at", "duration_seconds"]
        assert post.headers["content-type"] == "application/json"
        assert post.headers["webhook-signature"].startswith("v1,")
