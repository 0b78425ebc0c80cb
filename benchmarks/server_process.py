"""The servers that are measured, each in a process of its own."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

AGENTS = Path(__file__).with_name("agents.py")
START_LIMIT = 30.0
STOP_LIMIT = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")


class ServerFailed(Exception):
    """A server did not start, or ended by itself."""


class ServerProcess:
    """A running server on a free port; `ready` is the path whose 200 says that it is up.

    Use as a context manager: its end is SIGTERM, and a wait for what the server does then.
    """

    def __init__(self, command: list[str], port: int, folder: Path, ready: str, **settings: str) -> None:
        self.port = port
        self._log = folder / f"server-{port}.log"
        # Nothing from the caller's shell changes what is measured.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RUNWELL_")}
        environment |= {f"RUNWELL_{name.upper()}": value for name, value in settings.items()}
        began = time.perf_counter()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            self._wait_for(ready, began)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        self.started_in = time.perf_counter() - began
        """Seconds from the start of the process to its first answer."""

    def _wait_for(self, ready: str, began: float) -> None:
        request = f"GET {ready} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        while time.perf_counter() - began < START_LIMIT:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as probe:
                probe.sendall(request)
                if b" 200 " in probe.recv(64):
                    return
            # Another process is starting, and nothing tells us when.
            time.sleep(0.002)
        raise ServerFailed(f"no answer from {self._process.args!r}:\n{self._log.read_text()[-4000:]}")

    @property
    def memory(self) -> int:
        """Resident bytes."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise ServerFailed("the server has ended")

    @property
    def processor(self) -> float:
        """Seconds of processor time that it has used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> "ServerProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Runwell(NamedTuple):
    """A Runwell server and the key to it."""

    process: ServerProcess
    key: str

    @property
    def port(self) -> int:
        return self.process.port

    def __enter__(self) -> "Runwell":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()


def runwell(folder: Path, database: Path, *, concurrency: int = 100, **settings: str) -> Runwell:
    """`runwell serve` over the file, with a key in it: so every request is checked. Commits are synced
    to disk before they are acknowledged, which is the default. `settings` are given as variables."""
    key = make_key(database, folder)
    port = free_port()
    command = [
        sys.executable, "-m", "runwell", "serve", str(AGENTS), "--port", str(port), "--db", str(database),
        "--concurrency", str(concurrency), "--log-level", "warning",
    ]  # fmt: skip
    return Runwell(ServerProcess(command, port, folder, "/healthz", **settings), key)


def make_key(database: Path, folder: Path) -> str:
    command = [sys.executable, "-m", "runwell", "keys", "create", "bench", "--db", str(database), "--json"]
    made = subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return str(json.loads(made.stdout)["secret"])


def baseline(folder: Path) -> ServerProcess:
    """uvicorn with the settings that Runwell runs it with, and an app that does nothing."""
    port = free_port()
    command = [
        sys.executable, "-m", "uvicorn", "--factory", "benchmarks.baseline_app:hello",
        "--app-dir", str(Path(__file__).parent.parent), "--port", str(port), "--loop", "uvloop",
        "--http", "httptools", "--ws", "none", "--lifespan", "off", "--no-access-log", "--no-server-header",
        "--no-proxy-headers", "--log-level", "warning", "--backlog", "2048", "--timeout-keep-alive", "75",
    ]  # fmt: skip
    return ServerProcess(command, port, folder, "/2")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
