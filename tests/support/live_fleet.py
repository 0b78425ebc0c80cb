"""A fleet for tests: API servers and workers as real processes on one real PostgreSQL.

Each process can be killed, stopped and cut off from the database; one address leads to all the servers.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

from tests.support.live_postgres import LivePostgres
from tests.support.live_server import LiveServer
from tests.support.loop_thread import LoopThread
from tests.support.relays import Place, Relay

LAPSE = 2.0
HEARD = """SELECT count(*) = cardinality($2::text[]) FROM workers
WHERE seen_at > $1 AND split_part(name, ':', 2) = ANY($2::text[])"""


class Member(LiveServer):
    """One process: `role` is `server` (with a worker inside), `api` (without) or `worker`.

    `way` is between it and the database, if it has one. `space` is the network namespace it lives in.
    """

    def __init__(
        self, folder: Path, role: str, agents: str, env: Mapping[str, str], way: Relay | None, space: str = ""
    ) -> None:
        super().__init__(folder, *([] if role == "api" else [agents]), env=env)
        self.role = role
        self.way = way
        self._space = space
        self._agents = agents
        self.held = False

    @property
    def works(self) -> bool:
        return self.role != "api"

    @property
    def serves(self) -> bool:
        return self.role != "worker"

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def place(self) -> Place:
        parts = urlsplit(self.url)
        return Place(parts.hostname or "", parts.port or 0)

    def start(self) -> None:
        """Returns when it is at work."""
        if self.role == "api":
            self._args = ("--no-worker",)
        if self.serves:
            super().start()
            return
        before = self.mark()
        inside = ["ip", "netns", "exec", self._space] if self._space else []
        self._launch([*inside, sys.executable, "-m", "runwell", "work", self._agents])
        self.wait_for("working as", after=before)

    def hold(self) -> None:
        """SIGSTOP."""
        os.kill(self.pid, signal.SIGSTOP)
        self.held = True

    def go_on(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)
        self.held = False

    def kill(self) -> None:
        self.held = False
        super().kill()


class Fleet:
    """Members by name, all started. `front` is the one address of the servers."""

    def __init__(self, folder: Path, agents: Path, roles: Mapping[str, str], env: Mapping[str, str]) -> None:
        self.folder = folder
        self.journal = folder / "journal"
        self.journal.touch()
        self._agents = str(agents)
        self._env = {"RUNWELL_LAPSE": f"{LAPSE:g}", "FLEET_JOURNAL": str(self.journal), **env}
        self._roles = roles
        self._stack = ExitStack()
        self.members: dict[str, Member] = {}

    def __getitem__(self, name: str) -> Member:
        return self.members[name]

    @property
    def servers(self) -> list[Member]:
        return [each for each in self.members.values() if each.serves]

    def _places(self) -> list[Place]:
        return [each.place for each in self.servers if each.url]

    @property
    def workers(self) -> list[Member]:
        return [each for each in self.members.values() if each.works]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.front.port}"

    def at_work_on(self, worker: str) -> Member:
        """The member that calls itself so."""
        pid = int(worker.split(":")[1])
        return next(each for each in self.members.values() if each.alive and each.pid == pid)

    def add(self, name: str, role: str, host: str = "", space: str = "") -> Member:
        """A member that is not started yet; with a `host`, it reaches the database there, by no relay."""
        way = None
        if not host:
            way = Relay(self._loop, lambda: [Place("127.0.0.1", self.database.port)])
            self._stack.callback(way.close)
        url = self.database.url(host) if way is None else self.database.url(port=way.port)
        home = self.folder / name
        home.mkdir()
        member = Member(home, role, self._agents, {**self._env, "RUNWELL_DB": url}, way, space)
        self.members[name] = member
        return member

    def remove(self, name: str) -> None:
        """For good."""
        member = self.members.pop(name)
        if member.alive:
            member.kill()

    def start(self, members: Sequence[Member]) -> None:
        """All at once: most of a start is waiting for one of two processors."""
        with ThreadPoolExecutor(max_workers=3) as pool:
            for started in [pool.submit(each.start) for each in members]:
                started.result()

    async def heal(self) -> None:
        """Whatever a test has done: everybody at work, and heard."""
        for each in self.members.values():
            if each.held:
                each.go_on()
            if each.way is not None:
                each.way.mend()
        since = time.time_ns() // 1_000
        await asyncio.to_thread(self.start, [each for each in self.members.values() if not each.alive])
        pids = [str(each.pid) for each in self.members.values()]
        await self.database.until(HEARD, since, pids)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            undo.push(self._stack.__exit__)
            self._loop = self._stack.enter_context(LoopThread())
            self.database = self._stack.enter_context(LivePostgres())
            self._stack.callback(self._end)
            self.front = Relay(self._loop, self._places, patience=15.0)
            self._stack.callback(self.front.close)
            for name, role in self._roles.items():
                self.add(name, role)
            first, *others = self.members.values()
            first.start()  # alone: it makes the tables
            self.start(others)
            self._wait_for_agents()
            undo.pop_all()
        return self

    def _wait_for_agents(self) -> None:
        """Until every server knows what the workers serve."""
        for each in self.servers:
            with httpx.Client(base_url=each.url) as client:
                ends_at = time.monotonic() + 30
                while "quick" not in client.get("/agents").text:
                    assert time.monotonic() < ends_at, each.log
                    time.sleep(0.05)  # sleep: the server looks for agents each second

    def _end(self) -> None:
        for each in self.members.values():
            if each.alive:
                each.kill()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


class Cable:
    """A network of two: this machine at `here`, and a namespace `space` whose processes reach it there.
    `unplug` and `plug`. Needs root, and `ip`."""

    def __init__(self, number: int) -> None:
        self.space = f"runwell{os.getpid()}x{number}"
        self.here = f"10.254.{os.getpid() % 250}.{number * 4 + 1}"
        self._there = f"10.254.{os.getpid() % 250}.{number * 4 + 2}"
        self._end = f"rw{os.getpid() % 100_000}x{number}"

    def plug(self) -> None:
        _ip("link", "set", self._end, "up")

    def unplug(self) -> None:
        _ip("link", "set", self._end, "down")

    def lay(self) -> None:
        """Raises `CalledProcessError` or `OSError` where that is not allowed."""
        _ip("netns", "add", self.space)
        _ip("link", "add", self._end, "type", "veth", "peer", "name", "far", "netns", self.space)
        _ip("addr", "add", f"{self.here}/30", "dev", self._end)
        self.plug()
        _ip("-n", self.space, "addr", "add", f"{self._there}/30", "dev", "far")
        _ip("-n", self.space, "link", "set", "far", "up")
        _ip("-n", self.space, "link", "set", "lo", "up")

    def take_away(self) -> None:
        for words in (("link", "del", self._end), ("netns", "del", self.space)):
            with contextlib.suppress(subprocess.CalledProcessError, OSError):
                _ip(*words)


@contextlib.contextmanager
def a_cable(number: int = 0) -> Iterator[Cable]:
    cable = Cable(number)
    try:
        cable.lay()
        yield cable
    finally:
        cable.take_away()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
