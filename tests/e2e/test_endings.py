"""How servers end: asked to, killed by their own agent, and out of disk. Real processes, real HTTP."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runwell.client import Client, ServerUnavailable
from runwell.engine.audit import audit
from tests.support.backends import a_store_at
from tests.support.live_server import LiveServer

AGENTS = str(Path(__file__).with_name("ending_agents.py"))


async def faults_in(path: Path) -> list[str]:
    async with a_store_at(path, serving=False, durability="full") as store:
        return [finding.sentence async for _, findings in audit(store) for finding in findings]


@pytest.mark.e2e
async def test_sigterm_hands_back_and_the_next_start_goes_on(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    server = LiveServer(tmp_path, AGENTS)
    with server, server.client() as client:
        run = client.runs.create("patient", str(gate), max_attempts=1)
        watching = iter(client.runs.events(run.id))
        seen = [next(watching) for _ in range(5)]
        assert server.stop() == 0
        gate.touch()
        server.start()
        seen += list(watching)
        ended = client.runs.get(run.id)
        assert (ended.status, ended.output, ended.tries, ended.attempt) == ("succeeded", "done", 0, 2)
        assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
        assert [event.type for event in seen].count("step.finished") == 1
        text = "".join(event.data["text"] for event in seen if event.type == "output.text_delta")
        assert text == "waiting done"
        assert server.stop() == 0
    assert await faults_in(server.database) == []


@pytest.mark.e2e
async def test_a_crash_loop_ends_as_lost_and_not_in_silence(tmp_path: Path) -> None:
    server = LiveServer(tmp_path, AGENTS)
    with server, server.client() as client:
        run = client.runs.create("deadly", "x")
        assert server.wait_end() == 9
        for _ in range(2):
            server.launch()
            assert server.wait_end() == 9
        server.start()
        ended = client.runs.wait(run.id, timeout=20)
        assert (ended.status, ended.reason, ended.tries) == ("failed", "lost", 3)
        steps = client.runs.steps(run.id)
        assert [(step.key, step.status, step.attempt) for step in steps] == [("last words", "finished", 1)]
        assert client.runs.create("quick", "alive", wait=10).status in ("queued", "succeeded")
        server.stop()
    assert await faults_in(server.database) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        if os.geteuid() == 0 and os.environ.get("CI"):
            pytest.fail(f"CI runs as root and cannot mount: {mounted.stderr.decode()}")
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            continue


@pytest.mark.e2e
@pytest.mark.sqlite
async def test_a_full_disk_is_503_nothing_false_is_acknowledged_and_it_recovers(small_disk: Path) -> None:
    server = LiveServer(small_disk, AGENTS)
    with server:
        with server.client() as client:
            before = client.runs.create("quick", "before")
            client.runs.wait(before.id, timeout=20)
        ballast = small_disk / "ballast"
        fill(ballast)
        acknowledged = [before.id]
        with Client(server.url, patience=0.2) as client:
            with pytest.raises(ServerUnavailable) as refused:
                acknowledged.extend(client.runs.create("quick", f"{n} " + "y" * 8_000).id for n in range(200))
            assert refused.value.status == 503
            ballast.unlink()
        with server.client() as client:
            after = client.runs.create("quick", "after")
            acknowledged.append(after.id)
            for run_id in acknowledged:
                assert client.runs.wait(run_id, timeout=20).status == "succeeded"
        assert server.stop() == 0
        assert await faults_in(server.database) == []
