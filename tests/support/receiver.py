"""Somebody who is called back: a real HTTP server on loopback that answers as it is told to."""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from tests.support.asgi import PATIENCE

Fault = Literal["hang", "reset", "close"]
Notice = Callable[["Got"], Awaitable[None]]


@dataclass(frozen=True)
class Says:
    """A whole answer."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"


@dataclass(frozen=True)
class Got:
    """A post as it came. Header names are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Use as an async context manager. Answers with `answers` in turn, the last one again and again;
    `hang` never answers until `let_go`, `reset` and `close` end the connection instead.
    `before` and `after` are called with each post, before and after it is answered."""

    def __init__(self, answers: Iterable[Says | int | Fault] = (200,)) -> None:
        self.answers = list(answers)
        self.before: Notice | None = None
        self.after: Notice | None = None
        self.got: list[Got] = []
        self._more = asyncio.Condition()
        self._free = asyncio.Event()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def posts(self, count: int) -> list[Got]:
        """All of them, once there are at least so many."""
        async with asyncio.timeout(PATIENCE), self._more:
            await self._more.wait_for(lambda: len(self.got) >= count)
        return self.got

    def let_go(self) -> None:
        """Answer 200 to whoever hangs, and to all to come."""
        self.answers = [200]
        self._free.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            got = await _read(reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            return
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        async with self._more:
            self.got.append(got)
            self._more.notify_all()
        if self.before is not None:
            await self.before(got)
        if answer == "hang":
            await self._free.wait()
            answer = 200
        if answer == "reset":
            # A linger of zero makes the close a reset.
            peer = writer.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif not isinstance(answer, str):
            writer.write(_answer(answer))
        writer.close()
        if self.after is not None:
            await self.after(got)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go()
        assert self._server is not None
        self._server.close()


async def _read(reader: asyncio.StreamReader) -> Got:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Got(first.split(" ")[1], headers, body)


def _answer(answer: Says | int) -> bytes:
    says = Says(answer) if isinstance(answer, int) else answer
    lines = [f"HTTP/1.1 {says.status} Said", f"Content-Length: {len(says.body)}"]
    lines += [f"{name}: {value}" for name, value in says.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + says.body
