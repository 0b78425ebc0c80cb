"""A key that is revoked beside a running server, as an operator does it. Real processes, real HTTP."""

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support.live_server import LIMIT, LiveServer, settings_of, without_settings


def keys(folder: Path, *args: str) -> str:
    """What `runwell keys …` prints."""
    command = [sys.executable, "-m", "runwell", "keys", *args]
    env = without_settings(settings_of(folder).items())
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.e2e
def test_a_key_revoked_beside_a_server_is_refused_a_second_later_by_every_dialect(tmp_path: Path) -> None:
    secret, other = keys(tmp_path, "create", "lost"), keys(tmp_path, "create", "kept")
    paths = ("/runs", "/v1/runs/", "/api/v1/runs", "/v1/agents/run/{0}/status", "/api/sessions/{0}")
    with LiveServer(tmp_path) as server, httpx.Client(base_url=server.url, trust_env=False) as client:

        def ask(path: str, key: str) -> int:
            path = path.format("0190c3b1-0000-4000-8000-000000000001")
            return client.get(path, headers={"authorization": f"Bearer {key}"}).status_code

        assert {ask(path, secret) for path in paths} == {200, 404}
        keys(tmp_path, "revoke", secret[:10])
        revoked = time.monotonic()
        # Asked all the time, so that what is remembered is never forgotten for want of use.
        while ask("/runs", secret) == 200:
            assert time.monotonic() - revoked < 1.5
        assert [ask(path, secret) for path in paths] == [401] * len(paths)
        assert {ask(path, other) for path in paths} == {200, 404}
