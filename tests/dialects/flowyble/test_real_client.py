"""The original's documented client, as it is printed there: bash, curl and jq against a real server."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.running import runwell
from tests.support.backends import database_of
from tests.support.live_server import LIMIT, LiveServer

POLL = """\
# Poll every 2 seconds until complete
while true; do
  STATUS=$(curl -s https://api.flowyble.com/v1/agents/run/{runId}/status \\
    -H "X-API-Key: flw_key_abc123" | jq -r '.status')
  echo "Status: $STATUS"
  if [ "$STATUS" = "Completed" ] || [ "$STATUS" = "Failed" ]; then
    break
  fi
  sleep 2
done
"""
"""What a user replaces in it: the base URL, the key, the run's id."""


class Keyed(NamedTuple):
    """A live server that wants this key."""

    url: str
    key: str

    def bash(self, script: str) -> str:
        """What a script of the original's pages prints here."""
        script = script.replace("https://api.flowyble.com", self.url).replace("flw_key_abc123", self.key)
        ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=LIMIT)
        assert (ran.returncode, ran.stderr) == (0, "")
        return ran.stdout

    def id_of(self, agent: str) -> str:
        """The id behind an agent's name, as this server lists it."""
        found = json.loads(
            self.bash('curl -s https://api.flowyble.com/agents -H "X-API-Key: flw_key_abc123"')
        )
        ids: dict[str, str] = {each["name"]: each["id"] for each in found["agents"]}
        return ids[agent]

    def start(self, agent: str, message: str) -> str:
        """The new run's id, by the documented request."""
        body = json.dumps({"userMessage": message})
        return self.bash(
            f"curl -s -X POST https://api.flowyble.com/v1/agents/run/{self.id_of(agent)} "
            '-H "X-API-Key: flw_key_abc123" -H "Content-Type: application/json" '
            f"-d '{body}' | jq -r .id"
        ).strip()


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    for name in ("bash", "curl", "jq", "openssl"):
        if shutil.which(name) is None:
            if os.environ.get("CI"):
                pytest.fail(f"{name} is not installed: apt-get install {name}")
            pytest.skip(f"{name} is not installed")


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    folder: Path = tmp_path_factory.mktemp("live")
    key = runwell("keys", "create", "flowyble", RUNWELL_DB=database_of(folder / "runwell.db")).out.strip()
    with LiveServer(folder) as server:
        yield Keyed(server.url, key)


@pytest.mark.parametrize(("agent", "word"), [("echo", "Completed"), ("fail", "Failed")])
def test_the_documented_loop_ends_with_its_run(keyed: Keyed, agent: str, word: str) -> None:
    run = keyed.start(agent, "no paper")
    *before, last = keyed.bash(POLL.replace("{runId}", run)).splitlines()
    assert last == f"Status: {word}"
    assert set(before) <= {"Status: Pending", "Status: Running"}
    details = json.loads(
        keyed.bash(
            f'curl -s https://api.flowyble.com/v1/agents/run/{run}/details -H "X-API-Key: flw_key_abc123"'
        )
    )
    if word == "Completed":
        assert (details["finalOutput"], details["errorMessage"]) == ("no paper", None)
        assert details["tokensUsed"] == 1234
        assert [step["toolName"] for step in details["steps"]] == ["repeat"]
    else:
        assert (details["finalOutput"], details["steps"]) == (None, [])
        assert "no paper" in details["errorMessage"]


def test_an_openssl_signature_opens_a_webhook(keyed: Keyed) -> None:
    made = runwell(
        "triggers", "create", "echo", "--secret", "s3cret", RUNWELL_URL=keyed.url, RUNWELL_KEY=keyed.key
    )
    post = f'curl -s -X POST {made.out.strip()} -H "Content-Type: application/json"'
    script = f"""
body='{{"event": "push"}}'
signature=$(printf '%s' "$body" | openssl dgst -sha256 -hmac s3cret | sed 's/^.* //')
{post} -H "X-Signature: $signature" -d "$body" \\
  | jq -r '.success, .type'
{post} -d "$body" | jq -r '.success, .message'
"""
    good, kind, bad, message = keyed.bash(script).splitlines()
    assert (good, kind, bad) == ("true", "agent", "false")
    assert "signature" in message
