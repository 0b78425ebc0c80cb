"""Secrets stay where they belong: not in logs, answers, events, metrics, nor in the database."""

import hashlib
import hmac
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.support.backends import everything_in
from tests.support.live_server import LiveServer, settings_of, without_settings

MODEL_KEY = "canary-of-the-model-4f1d9a"
WRONG_KEY = "rw_canary-of-a-stranger-77c1e0b2"
HMAC_SECRET = "canary-of-the-trigger-5b0e"
HOOK_PATH = "canary-in-the-hook-path-90aa"
SIGNING = "whsec_" + "Y2FuYXJ5LW9mLXRoZS1zaWduYXR1cmUtMDEyMzQ1Njc="

CONFIG = """\
load = ["agents.py"]
log_level = "debug"
callbacks_allow = ["127.0.0.1"]
model_keys = ["CANARY_MODEL_KEY"]

[agents.broken]
model = "any"
base_url = "http://127.0.0.1:9/v1"
api_key_env = "CANARY_MODEL_KEY"
"""
AGENTS = """\
from runwell import agent


@agent
async def echo(text: str) -> str:
    return text


@agent
async def fail(text: str) -> str:
    raise ValueError(text)
"""


class Lived(NamedTuple):
    """What a server that was asked all kinds of things has left behind."""

    key: str
    token: str
    told: str
    """Every answer, whole."""
    log: str
    metrics: str
    events: str
    database: bytes


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder = tmp_path_factory.mktemp("canaries")
    (folder / "runwell.toml").write_text(CONFIG)
    (folder / "agents.py").write_text(AGENTS)
    key = _a_key(folder)
    server = LiveServer(folder, "--log-level", "debug", env={"CANARY_MODEL_KEY": MODEL_KEY})
    with server, httpx.Client(base_url=server.url, timeout=20) as client:
        caller = _Caller(client, key)
        token = caller.live()
        told = "\n".join(caller.told)
        events = caller.events()
        metrics = client.get("/metrics", headers={"x-api-key": key}).text
        server.stop()
        yield Lived(key, token, told, server.log, metrics, events, everything_in(folder / "runwell.db"))


def _a_key(folder: Path) -> str:
    command = [sys.executable, "-m", "runwell", "keys", "create", "canary", "--json"]
    env = without_settings(settings_of(folder).items())
    made = subprocess.run(command, cwd=folder, env=env, capture_output=True, check=True)
    return str(json.loads(made.stdout)["secret"])


class _Caller:
    """Asks for everything that handles a secret, rightly and wrongly."""

    def __init__(self, client: httpx.Client, key: str) -> None:
        self._client = client
        self._mine = {"x-api-key": key}
        self.told: list[str] = []
        self._runs: list[str] = []

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        answer = self._client.request(method, path, json=body, headers=headers or self._mine)
        self.told.append(f"{answer.status_code} {answer.headers} {answer.text}")
        return answer

    def live(self) -> str:
        """The token of the trigger that was made."""
        self._wrong_keys()
        hook = f"http://127.0.0.1:9/{HOOK_PATH}?token={HOOK_PATH}"
        for agent in ("echo", "fail", "broken"):
            run = {"agent": agent, "input": "hello", "callbacks": [{"url": hook}]}
            self._runs.append(self.ask("POST", "/runs", run, **self._mine, prefer="wait=20").json()["id"])
        self.ask("POST", "/runs", {"agent": "nobody", "input": 1})
        self.ask("PUT", "/agents/mine", {"model": "m", "api_key_env": "HOME"})
        return self._trigger()

    def _wrong_keys(self) -> None:
        bearer = {"authorization": f"Bearer {WRONG_KEY}"}
        for path in ("/runs", "/v1/runs/", "/api/v1/runs", "/v1/agents/run/x/status", "/metrics"):
            for headers in (bearer, {"x-api-key": WRONG_KEY}, {"authorization": WRONG_KEY}):
                assert self.ask("GET", path, **headers).status_code >= 400

    def _trigger(self) -> str:
        made = self._client.post(
            "/triggers", json={"agent": "echo", "secret": HMAC_SECRET}, headers=self._mine
        ).json()
        token = re.findall(r"wht_[\w-]{43}", json.dumps(made))[0]
        body = b'{"text": "hi"}'
        right = hmac.new(HMAC_SECRET.encode(), body, hashlib.sha256).hexdigest()
        for signature, status in ((right, 200), ("0" * 64, 401)):
            answer = self._client.post(f"/webhooks/{token}", content=body, headers={"x-signature": signature})
            self.told.append(f"{answer.headers} {answer.text}")
            assert answer.status_code == status, answer.text
        self._client.post(
            "/callbacks", json={"url": "http://127.0.0.1:9/x", "secret": SIGNING}, headers=self._mine
        ).raise_for_status()
        for path in ("/triggers", "/callbacks", "/keys", "/deliveries", "/agents", "/runs"):
            self.ask("GET", path)
        return token

    def events(self) -> str:
        """The log and the deliveries of every run, as soon as each has been posted once."""
        found = []
        for run in self._runs:
            found.append(self._client.get(f"/runs/{run}/events", headers=self._mine).text)
            found.append(self._client.get(f"/runs/{run}/steps", headers=self._mine).text)
        return "\n".join(found)


@pytest.mark.e2e
@pytest.mark.parametrize("place", ["told", "log", "metrics", "events"])
def test_no_secret_is_told_logged_counted_or_recorded(lived: Lived, place: str) -> None:
    text = getattr(lived, place)
    assert text, "there is something to search"
    bare = SIGNING.removeprefix("whsec_")
    for secret in (lived.key, lived.token, WRONG_KEY, MODEL_KEY, HMAC_SECRET, SIGNING, bare):
        assert secret not in text
        # Nor the part that is not shown on purpose: a key's first ten characters are.
        assert secret[10:] not in text


@pytest.mark.e2e
@pytest.mark.parametrize("place", ["log", "metrics"])
def test_the_paths_of_hooks_are_as_secret_as_a_password(lived: Lived, place: str) -> None:
    assert HOOK_PATH not in getattr(lived, place)
    assert lived.token not in getattr(lived, place)


@pytest.mark.e2e
def test_the_database_knows_no_credential(lived: Lived) -> None:
    """What a callback is signed with and checked by is there: it could not be used otherwise."""
    for secret in (lived.key, lived.token, WRONG_KEY, MODEL_KEY):
        assert secret.encode() not in lived.database
        assert secret[10:].encode() not in lived.database
    assert HMAC_SECRET.encode() not in lived.told.encode()
