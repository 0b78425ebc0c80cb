"""A real `runwell serve`, in a process of its own, that can really be killed."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

START_LIMIT = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ServerProcess:
    """Starts, kills and restarts one server on one port and one database file."""

    def __init__(
        self, folder: Path, *agents: str, env: dict[str, str] | None = None, args: tuple[str, ...] = ()
    ) -> None:
        self.folder = folder
        self.database = folder / "runwell.db"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [
            sys.executable, "-m", "runwell", "serve", *agents,
            "--port", str(self.port), "--db", str(self.database), *args,
        ]  # fmt: skip
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self.log = folder / "server.log"

    async def start(self) -> float:
        """Start it; seconds until its first answer."""
        began = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._env, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT
            )
        async with httpx.AsyncClient() as client:
            while True:
                if self._process.poll() is not None:
                    raise AssertionError(f"the server ended at once:\n{self.log.read_text()[-4000:]}")
                if time.monotonic() - began > START_LIMIT:
                    raise AssertionError(f"no answer after {START_LIMIT} s:\n{self.log.read_text()[-4000:]}")
                try:
                    if (await client.get(f"{self.url}/healthz")).status_code == 200:
                        return time.monotonic() - began
                except httpx.TransportError:
                    await asyncio.sleep(0.01)  # sleep: another process is starting; nothing tells us when

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        """SIGTERM, and wait; the exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=30)

    async def __aenter__(self) -> "ServerProcess":
        await self.start()
        return self

    async def __aexit__(self, *_: Any) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
