"""Servers on loopback that take a post as a test wants it, and the way a delivery gets there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec

from runwell.callbacks.guard import AddressGuard
from runwell.callbacks.post import Posted, new_client, post
from runwell.domain.instant import from_iso

NOW = from_iso("2026-11-22T22:28:00Z")
BODY = b'{"type":"run.succeeded"}'
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Received(msgspec.Struct):
    """What a server has got: the heads and bodies of requests, and how many connections."""

    heads: list[str] = []
    bodies: list[bytes] = []
    connections: int = 0


@asynccontextmanager
async def serving(handler: Handler, received: Received | None = None) -> AsyncIterator[int]:
    """A server on 127.0.0.1 that reads a request and gives the rest to `handler`; its port."""
    got = Received() if received is None else received

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
            got.heads.append(head)
            got.bodies.append(await reader.readexactly(length))
            await handler(reader, writer)
        except ConnectionError:
            got.heads.append("the client hung up")
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def answering(status: int, *headers: str, body: bytes = b"") -> Handler:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()

    return answer


async def until_hung_up(reader: asyncio.StreamReader) -> None:
    await reader.read()


async def read_a_little(reader: asyncio.StreamReader) -> None:
    """Until the client hangs up, at most a twentieth of a second."""
    try:
        await asyncio.wait_for(reader.read(1), 0.05)
    except TimeoutError:
        return


async def send(
    url: str, *addresses: str, timeout: float = 10.0, headers: Mapping[str, str] | None = None
) -> Posted:
    """What a delivery does: resolve (every name is at `addresses`, and allowed), then post."""

    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    target = AddressGuard().check_shape(url) if "127.0.0.1" not in url else None
    allowed = target.host if target else "127.0.0.1"
    checked = await AddressGuard([allowed], resolve).resolve(url)
    async with new_client() as client:
        return await post(client, checked, BODY, headers or {}, now=NOW, timeout=timeout)
