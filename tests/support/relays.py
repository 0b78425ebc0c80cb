"""What stands between two programs in a test: a way that can be cut, and an address that many answer to."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from typing import NamedTuple

from tests.support.loop_thread import LoopThread

CHUNK = 65_536
AGAIN = 0.05


class Place(NamedTuple):
    host: str
    port: int


class Relay:
    """Passes bytes on from `port` to one of the places, in turn; one that does not answer is passed over.
    While none does, whoever comes is kept waiting for `patience` seconds.

    `freeze`: nothing gets through, and nobody is told, as when a cable is pulled; what was sent arrives
    after `mend`. `cut`: all connections break, and new ones are refused until `mend`. Made, used and
    closed from any thread; the bytes are moved on the loop of `LoopThread`.
    """

    def __init__(self, loop: LoopThread, places: Callable[[], list[Place]], *, patience: float = 0.0) -> None:
        self._loop = loop
        self._places = places
        self._patience = patience
        self._turn = itertools.count()
        self._ends: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        loop.run(self._open())

    @property
    def passing(self) -> int:
        """How many connections lead through it now."""
        return len(self._ends) // 2

    def freeze(self) -> None:
        self._loop.run(self._set_flowing(False))

    def cut(self) -> None:
        self._loop.run(self._shut())

    def mend(self) -> None:
        self._loop.run(self._mend())

    def close(self) -> None:
        self._loop.run(self._shut())

    async def _open(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
        await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _set_flowing(self, flowing: bool) -> None:
        if flowing:
            self._flowing.set()
        else:
            self._flowing.clear()

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for end in self._ends:
            end.transport.abort()

    async def _mend(self) -> None:
        self._flowing.set()
        if self._server is None:
            await self._listen()

    async def _serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._ends.add(back)
        try:
            await self._flowing.wait()
            far, there = await self._reach()
            self._ends.add(there)
            try:
                await asyncio.gather(self._pump(near, there), self._pump(far, back))
            finally:
                there.transport.abort()
                self._ends.discard(there)
        except (OSError, TimeoutError):
            return  # one end is gone, and so is the other
        finally:
            back.transport.abort()
            self._ends.discard(back)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        ends_at = asyncio.get_running_loop().time() + self._patience
        while True:
            places, first = self._places(), next(self._turn)
            for n in range(len(places)):
                with contextlib.suppress(OSError):
                    return await asyncio.open_connection(*places[(first + n) % len(places)])
            if asyncio.get_running_loop().time() >= ends_at:
                raise ConnectionRefusedError("nobody answers")
            await asyncio.sleep(AGAIN)  # sleep: nobody tells when a program listens

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(CHUNK):
            await self._flowing.wait()
            sink.write(data)
            await sink.drain()
        await self._flowing.wait()
        if sink.can_write_eof():
            sink.write_eof()
