"""Runs the scripted model: in a thread of its own for tests, or as a process."""

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any, Self

import uvicorn

from runwell.agents.scripted.server import ScriptedServer, Stats


class ScriptedModel:
    """A scripted model on a port of this machine; a context manager, or `start` and `stop`.

    The port is open when the constructor returns; requests are answered from `start` on.
    """

    def __init__(self, *, port: int = 0, host: str = "127.0.0.1", seed: int = 0) -> None:
        self._app = ScriptedServer(seed)
        self._socket = socket.create_server((host, port))
        name = self._socket.getsockname()
        self.base_url = f"http://{host}:{name[1]}/v1"
        config = uvicorn.Config(
            self._app, lifespan="off", log_config=None, log_level="critical", access_log=False,
            timeout_graceful_shutdown=1, timeout_keep_alive=60,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Serve in this thread until a signal, or until `stop` is called in another."""
        self._server.run(sockets=[self._socket])

    def start(self) -> Self:
        self._thread = threading.Thread(target=self.run, name="scripted-model", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close all connections, also those that hang, and wait for the thread. Idempotent."""
        self._server.should_exit = True
        self._server.force_exit = True
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def stats(self) -> Stats:
        return self._app.ledger.stats

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The newest chat completion requests, oldest first, as they came."""
        return list(self._app.ledger.bodies)

    @property
    def authorizations(self) -> list[str]:
        """The Authorization headers of the newest requests, oldest first."""
        return list(self._app.ledger.authorizations)

    def wait_for(self, reached: Callable[[Stats], bool], timeout: float = 10) -> Stats:
        """Block until the counters are as wanted; raises `TimeoutError` after `timeout` seconds."""
        return self._app.ledger.wait_for(reached, timeout)

    async def until(self, reached: Callable[[Stats], bool], timeout: float = 10) -> Stats:
        """`wait_for` for a coroutine."""
        return await asyncio.to_thread(self.wait_for, reached, timeout)
