"""The documented flow, with real curl over real HTTP: sign up, sign in, say something, look at the runs."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dialects.hardwire.people import CHAT
from tests.support.live_server import LIMIT, LiveServer

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here"),
]

AGENTS = Path(__file__).with_name("live_agents.py")
DOCUMENTED = f"""
curl -X GET "http://localhost:3026/api/chats/{CHAT}/workflow-runs" \\
  -H "Accept: application/json" \\
  -H "Content-Type: application/json" \\
  -b cookies.txt
"""
"""As it is printed; only the address is another one."""
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\Z")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")


class Shell:
    """Runs commands in the server's folder, as somebody who follows the documentation does."""

    def __init__(self, server: LiveServer) -> None:
        self._server = server

    def run(self, command: str) -> str:
        command = command.replace("http://localhost:3026", self._server.url)
        done = subprocess.run(
            command, shell=True, cwd=self._server.folder, capture_output=True, text=True, timeout=LIMIT
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def post(self, path: str, body: Any, *more: str) -> Any:
        words = " ".join(more) or "-b cookies.txt"
        data = f"-H 'Content-Type: application/json' -d '{json.dumps(body)}'"
        answer = self.run(f"curl -sS -X POST http://localhost:3026{path} {data} {words}")
        return json.loads(answer)

    def get(self, path: str, *more: str) -> str:
        return self.run(f"curl -sS -N {' '.join(more)} http://localhost:3026{path} -b cookies.txt")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    with LiveServer(tmp_path, str(AGENTS)) as server:
        yield server


@pytest.fixture
def app_server(tmp_path: Path) -> Iterator[LiveServer]:
    with LiveServer(tmp_path, str(AGENTS), env={"RUNWELL_HARDWIRE_WIRE": "app"}) as server:
        yield server


def signed_in(server: LiveServer) -> tuple[Shell, str]:
    shell = Shell(server)
    body = {"name": "Ann", "email": "ann@example.com", "password": "correct horse"}
    assert shell.post("/api/auth/sign-up/email", body, "-i -o /dev/null -w '{}'") == {}
    user = shell.post("/api/auth/sign-in/email", body, "-c cookies.txt")["user"]
    return shell, user["id"]


def frames(stream: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]


def test_the_documented_flow(server: LiveServer):
    shell, user = signed_in(server)
    assert json.loads(shell.get("/api/auth/session"))["user"]["id"] == user
    steps = [{"id": "step-1", "toolId": "exa-web-search"}, {"id": "step-2", "agent": "count"}]
    workflow = shell.post("/api/workflows", {"name": "Research", "steps": steps})["data"]["id"]
    said = {"content": "tides", "modelId": "gpt-4", "userId": user, "workflowId": workflow}
    run = shell.post(f"/api/chats/{CHAT}/messages", said)["data"]["workflowRunId"]
    told = frames(shell.get(f"/api/chats/{CHAT}/workflow-runs/{run}/stream"))
    assert told[0] == {"type": "run_started", "runId": run, "workflowId": workflow}
    assert told[1] == {"type": "step_started", "stepId": "step-1", "toolId": "exa-web-search"}
    completed = [frame for frame in told if frame["type"] == "step_completed"]
    assert [frame["stepId"] for frame in completed] == ["step-1", "step-2"]
    assert completed[0]["result"] == {"items": ["tides"]}
    assert {"type": "step_progress", "stepId": "step-2", "progress": 50, "message": "Counting..."} in told
    assert told[-1] == {"type": "run_completed", "runId": run, "status": "completed"}
    shown = json.loads(shell.run(DOCUMENTED))
    (listed,) = shown["data"]["workflowRuns"]
    assert list(listed) == ["id", "chatId", "workflowId", "status", "startedAt", "completedAt", "steps"]
    assert (listed["id"], listed["chatId"], listed["workflowId"]) == (run, CHAT, workflow)
    assert listed["status"] == "completed"
    for each in (listed, *listed["steps"]):
        assert TIME.match(each["startedAt"])
        assert TIME.match(each["completedAt"])
    assert [list(step) for step in listed["steps"]] == [["id", "status", "startedAt", "completedAt"]] * 2
    assert [step["status"] for step in listed["steps"]] == ["completed", "completed"]
    messages = json.loads(shell.get(f"/api/chats/{CHAT}/messages"))["data"]["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert messages[1]["content"].endswith("letters")


def test_a_message_is_answered_by_the_default_agent(server: LiveServer):
    shell, user = signed_in(server)
    sent = shell.post(f"/api/chats/{CHAT}/messages", {"content": "one two"})["data"]
    assert (sent["content"], sent["response"]["role"], sent["response"]["content"]) == (
        "one two", "assistant", "one two",
    )  # fmt: skip
    listed = json.loads(shell.get(f"/api/chats/{CHAT}/messages"))["data"]["messages"]
    assert listed[1] == sent["response"]
    body = json.dumps({"content": "three four"})
    path = f"/api/chats/{CHAT}/messages/stream"
    told = frames(shell.get(path, "-X POST -H 'Content-Type: application/json' -d", f"'{body}'"))
    assert [frame["type"] for frame in told] == ["start", "content", "content", "end"]
    assert "".join(frame.get("delta", "") for frame in told) == "three four "
    assert json.loads(shell.run(DOCUMENTED)) == {"data": {"workflowRuns": []}}
    assert user


def test_without_the_cookie_the_command_is_401_and_after_signing_out_too(server: LiveServer):
    shell, _ = signed_in(server)
    bare = json.loads(shell.run(DOCUMENTED.replace("-b cookies.txt", "-w ''")))
    assert bare == {"error": "Unauthorized", "message": "Valid session required"}
    assert json.loads(shell.run(DOCUMENTED))["error"] == "Not Found"
    assert shell.post("/api/auth/sign-out", {}) == {"success": True}
    assert json.loads(shell.run(DOCUMENTED)) == bare


def test_the_web_clients_form(app_server: LiveServer):
    """As its EventSource reads it: unknown types are ignored, snapshots replace each other."""
    shell, user = signed_in(app_server)
    steps = [{"name": "Count", "agent": "count"}, {"name": "Break", "agent": "break_down"}, {"agent": "talk"}]
    made = shell.post("/api/workflows", {"userId": user, "name": "Fragile", "steps": steps})["workflow"]
    said = {"content": "tides", "modelId": "m", "userId": user, "workflowId": made["id"]}
    run = shell.post(f"/api/chats/{CHAT}/messages", said)["workflowRunId"]
    told = frames(shell.get(f"/api/chats/{CHAT}/workflow-runs/{run}/stream"))
    assert {frame["type"] for frame in told[:-1]} == {"snapshot"}
    assert told[-1] == {"type": "complete", "workflowRunId": run, "status": "FAILED"}
    last = told[-2]
    assert [step["status"] for step in last["steps"]] == ["PASSED", "FAILED", "QUEUED"]
    assert last["steps"][1]["error"] == "no net"
    assert last["message"]["role"] == "system"
    again = frames(shell.get(f"/api/chats/{CHAT}/workflow-runs/{run}/stream"))
    assert again == told[-2:]
    (listed,) = json.loads(shell.run(DOCUMENTED))["workflowRuns"]
    assert listed["status"] == "FAILED"
    assert UUID.match(listed["triggerMessageId"])
    assert listed["steps"] == last["steps"]
