"""Event streams over ASGI: what is sent, when, and how they end."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from runwell.stream.presence import Closing
from runwell.stream.sse import KEEP_ALIVE, RECONNECT, EventStream, rendered
from tests.support.asgi import AsgiClient, soon


class Source:
    """Chunks handed out one by one; knows whether it was closed."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.closed = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            while (chunk := await self.queue.get()) is not None:
                yield chunk
        finally:
            self.closed = True


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def closing() -> Closing:
    return Closing()


def client_of(source: Source, closing: Closing, **given) -> AsgiClient:
    return AsgiClient(EventStream(source.chunks(), closing, **given))


async def test_chunks_are_sent_as_they_come(source, closing):
    async with client_of(source, closing).open("GET", "/") as exchange:
        await exchange.started()
        assert exchange.status == 200
        assert exchange.headers["content-type"].startswith("text/event-stream")
        assert exchange.headers["cache-control"] == "no-cache"
        assert await exchange.chunk() == RECONNECT
        for chunk in (b"id: 1\n\n", b"id: 2\n\nid: 3\n\n"):
            source.queue.put_nowait(chunk)
            assert await exchange.chunk() == chunk
        source.queue.put_nowait(None)
        assert await exchange.chunk() is None
    assert exchange.sends[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert source.closed


async def test_a_client_that_leaves_ends_it_at_once(source, closing):
    async with client_of(source, closing).open("GET", "/") as exchange:
        await exchange.started()
        await exchange.chunk()
        assert len(closing.streams) == 1
        exchange.leave()
        await exchange.ended()
        assert source.closed
        assert len(closing.streams) == 0
        assert exchange.sends[-1]["body"] == RECONNECT


async def test_the_servers_end_completes_the_answer(source, closing):
    async with client_of(source, closing).open("GET", "/") as exchange:
        await exchange.started()
        await exchange.chunk()
        closing.begin()
        assert await exchange.chunk() is None
        await exchange.ended()
    assert source.closed
    assert exchange.sends[-1]["more_body"] is False


async def test_a_stream_that_begins_after_the_servers_end_is_complete_at_once(source, closing):
    closing.begin()
    async with client_of(source, closing).open("GET", "/") as exchange:
        await exchange.started()
        await exchange.read()
        await exchange.ended()
    assert exchange.sends[-1]["more_body"] is False


async def test_silence_is_broken_by_a_comment(source, closing):
    async with client_of(source, closing, silence=0).open("GET", "/") as exchange:
        await exchange.started()
        await exchange.chunk()
        source.queue.put_nowait(b"")
        assert await exchange.chunk() == KEEP_ALIVE


async def test_there_is_no_comment_right_after_an_event(source, closing):
    async with client_of(source, closing).open("GET", "/") as exchange:
        await exchange.started()
        await exchange.chunk()
        for chunk in (b"", b"", b"id: 1\n\n"):
            source.queue.put_nowait(chunk)
        assert await exchange.chunk() == b"id: 1\n\n"


async def test_the_next_chunk_is_read_when_the_last_is_taken(source, closing):
    """Backpressure: while the server cannot send, nothing is read from the log."""
    taken, may_send = [], asyncio.Event()

    async def chunks() -> AsyncGenerator[bytes, None]:
        for number in range(3):
            taken.append(number)
            yield b"%d" % number

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        if message.get("body") == b"0":
            await may_send.wait()

    stream = asyncio.ensure_future(EventStream(chunks(), closing)({}, receive, send))
    await soon(lambda: taken)
    for _ in range(10):
        await asyncio.sleep(0)
    assert taken == [0]
    may_send.set()
    await stream
    assert taken == [0, 1, 2]


async def test_a_failing_source_breaks_the_answer_off(closing):
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"id: 1\n\n"
        raise RuntimeError("the store is gone")

    async with AsgiClient(EventStream(chunks(), closing)).open("GET", "/") as exchange:
        await exchange.started()
        assert await exchange.read() == RECONNECT + b"id: 1\n\n"
        with pytest.raises(RuntimeError, match="the store is gone"):
            await exchange.ended()
        # The last piece is missing, so the client knows that this was not the end.
        assert exchange.sends[-1]["more_body"] is True
        exchange.task = asyncio.ensure_future(asyncio.sleep(0))
    assert len(closing.streams) == 0


async def test_cancelling_the_whole_task_is_not_taken_for_a_client_that_left(source, closing):
    async with client_of(source, closing).open("GET", "/") as exchange:
        await exchange.started()
        await exchange.chunk()
        exchange.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exchange.ended()
        assert source.closed
        exchange.task = asyncio.ensure_future(asyncio.sleep(0))


async def test_pages_are_rendered_in_one_piece_and_empty_ones_stay_empty():
    closed = False

    async def pages() -> AsyncGenerator[Any, None]:
        nonlocal closed
        try:
            for page in ([1, 2], [], [3]):
                yield page
        finally:
            closed = True

    chunks = rendered(pages(), lambda page: b"%d" % len(page))
    assert await anext(chunks) == b"2"
    assert await anext(chunks) == b""
    await chunks.aclose()
    assert closed
