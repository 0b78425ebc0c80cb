"""A live server with a scripted model, and Letta's own client for it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from runwell.agents.scripted import ScriptedModel
from tests.support.live_server import LiveServer

AGENTS = Path(__file__).with_name("agents.py")
PATIENCE = 20.0


@pytest.fixture(scope="package")
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as model:
        yield model


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory, model: ScriptedModel) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("letta")
    (folder / "runwell.toml").write_text(
        f'callbacks_allow = ["127.0.0.1"]\n[models."scripted/one"]\nmodel = "scripted"\n'
        f'base_url = "{model.base_url}"\n'
    )
    with LiveServer(folder, str(AGENTS), env={"SCRIPTED_URL": model.base_url}) as server:
        yield server


@pytest.fixture
def letta(server: LiveServer) -> Iterator[Any]:
    """The synchronous client; every answer must be exactly of the shape it expects."""
    client = pytest.importorskip("letta_client")
    with client.Letta(
        base_url=server.url, api_key=None, _strict_response_validation=True, timeout=PATIENCE, max_retries=0
    ) as made:
        yield made


class Receiver:
    """Takes posts, and hands them out one by one."""

    def __init__(self) -> None:
        self.posts: Queue[tuple[dict[str, str], Any]] = Queue()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(200)
                self.end_headers()
                receiver.posts.put(({k.lower(): v for k, v in self.headers.items()}, json.loads(body)))

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/told?secret=1"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def next(self) -> tuple[dict[str, str], Any]:
        return self.posts.get(timeout=PATIENCE)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()
