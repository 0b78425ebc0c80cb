"""A real `runwell serve` for tests, in a process of its own. Nothing here sleeps: it reads its log."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from runwell.client import Client
from tests.support.backends import database_of, on_postgres

LIMIT = 30.0
AGENTS = Path(__file__).with_name("live_agents.py")
LISTENING = re.compile(r"listening on (http://\S+:(\d+))")


def without_settings(environ: Iterable[tuple[str, str]] = ()) -> dict[str, str]:
    """The environment without the developer's own Runwell settings, and plain words from the CLI."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RUNWELL_")}
    return clean | dict(environ)


def settings_of(folder: Path) -> dict[str, str]:
    """The variables by which a command in the folder finds the database of its server."""
    if not on_postgres():
        return {}
    return {"RUNWELL_DB": database_of(folder / "runwell.db"), "RUNWELL_LAPSE": "2"}


class LiveServer:
    """Starts, stops, kills and restarts one server: same database, and from the first start on the same port.

    `args` follow `runwell serve`, `env` is added to the environment. The database is
    `folder/runwell.db`, the current folder `folder`. `port` 0 takes a free one.
    """

    def __init__(self, folder: Path, *args: str, env: Mapping[str, str] | None = None, port: int = 0) -> None:
        self.folder = folder
        self.url = ""
        self._env = {**settings_of(folder), **(env or {})}
        self._args = args or (str(AGENTS),)
        self._port = str(port)
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._heard = threading.Condition()
        self._lines: list[str] = []

    @property
    def log(self) -> str:
        """What all its processes said so far, lines joined."""
        return "\n".join(self._lines)

    def start(self) -> None:
        """Returns when it listens. Raises `AssertionError` with its log when it ends instead."""
        before = len(self._lines)
        self.launch()
        listening = LISTENING.search(self.wait_for(LISTENING.pattern, after=before))
        assert listening is not None
        self.url, self._port = listening[1], listening[2]

    def launch(self) -> None:
        """Begin to start, for a process that may end before it listens."""
        self._launch([sys.executable, "-m", "runwell", "serve", *self._args, "--port", self._port])

    def _launch(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=without_settings(self._env.items()),
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def database(self) -> Path:
        return self.folder / "runwell.db"

    def wait_end(self) -> int:
        """Until the process ends by itself; its exit code."""
        return self._reap()

    def wait_for(self, pattern: str, after: int = 0) -> str:
        """The first line behind line `after` of the log in which `pattern` is found."""
        with self._heard:
            ended = not self._heard.wait_for(lambda: self._find(pattern, after) or self._silent(), LIMIT)
            line = self._find(pattern, after)
        assert line, f"no line {pattern!r} {'in time' if ended else 'before it ended'}:\n{self.log}"
        return line

    def mark(self) -> int:
        """For `wait_for(…, after=mark)`."""
        return len(self._lines)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._reap()

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        assert self._process is not None
        self._process.kill()
        self._reap()

    def client(self) -> Client:
        return Client(self.url)

    def _find(self, pattern: str, after: int) -> str:
        return next((line for line in self._lines[after:] if re.search(pattern, line)), "")

    def _silent(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stderr is not None
        for line in process.stderr:
            with self._heard:
                self._lines.append(line.rstrip("\n"))
                self._heard.notify_all()
        process.wait()
        with self._heard:
            self._heard.notify_all()

    def _reap(self) -> int:
        assert self._process is not None
        assert self._reader is not None
        code = self._process.wait(LIMIT)
        self._reader.join(LIMIT)
        assert self._process.stderr is not None
        self._process.stderr.close()
        return code

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
