"""Event streams over ASGI: what is sent, when, and how they end."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from runwell.domain.errors import TooManyStreams
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


def one_more(closing: Closing) -> EventStream:
    """A stream of the one caller; raises when it is one too many."""
    return EventStream(Source().chunks(), closing, who="ann")


async def ends_by_itself(exchange, source, closing):
    source.queue.put_nowait(None)
    await exchange.read()


async def client_leaves(exchange, source, closing):
    exchange.leave()


async def server_closes(exchange, source, closing):
    closing.begin()


async def task_is_cancelled(exchange, source, closing):
    exchange.task.cancel()


@pytest.mark.parametrize("end", [ends_by_itself, client_leaves, server_closes, task_is_cancelled])
async def test_a_stream_takes_a_place_of_its_caller_until_it_ends(source, end):
    closing = Closing(most_streams=1)
    async with client_of(source, closing, who="ann").open("GET", "/") as exchange:
        await exchange.started()
        await exchange.chunk()
        with pytest.raises(TooManyStreams) as refused:
            one_more(closing)
        assert (refused.value.code, refused.value.retry_after) == ("too_many_streams", 5.0)
        EventStream(Source().chunks(), closing, who="bob")
        EventStream(Source().chunks(), closing)
        await end(exchange, source, closing)
        await asyncio.wait([exchange.task])
        one_more(closing)
        exchange.task = asyncio.ensure_future(asyncio.sleep(0))


@pytest.mark.parametrize("fails_at", ["http.response.start", "http.response.body"])
async def test_a_stream_that_cannot_be_sent_gives_its_place_back(source, fails_at):
    closing = Closing(most_streams=1)

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        if message["type"] == fails_at:
            raise OSError("the socket is gone")

    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            await one_more(closing)({}, receive, send)
    assert not closing.streams


async def test_a_failing_source_gives_the_place_back():
    closing = Closing(most_streams=1)

    async def chunks() -> AsyncGenerator[bytes, None]:
        raise RuntimeError("the store is gone")
        yield b""

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        return None

    for _ in range(2):
        with pytest.raises(RuntimeError, match="the store is gone"):
            await EventStream(chunks(), closing, who="ann")({}, receive, send)
    assert not closing.streams


async def test_it_counts_before_anything_is_sent(source):
    """A client whose connection takes nothing holds a stream all the same."""
    closing, may_send = Closing(most_streams=1), asyncio.Event()

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        await may_send.wait()

    stream = asyncio.ensure_future(EventStream(source.chunks(), closing, who="ann")({}, receive, send))
    await asyncio.sleep(0)
    with pytest.raises(TooManyStreams):
        one_more(closing)
    source.queue.put_nowait(None)
    may_send.set()
    await stream
    one_more(closing)


def test_a_stream_that_was_made_and_never_sent_holds_no_place():
    closing = Closing(most_streams=1)
    for _ in range(3):
        one_more(closing)
    assert not closing.streams


async def test_without_a_limit_there_may_be_any_number():
    closing = Closing()
    async with AsyncExitStack() as stack:
        for _ in range(50):
            exchange = await stack.enter_async_context(AsgiClient(one_more(closing)).open("GET", "/"))
            await exchange.started()
        assert len(closing.streams) == 50
    assert len(closing.streams) == 0


async def test_the_usual_headers_can_be_others(source, closing):
    base = ((b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"))
    given = client_of(source, closing, base=base, headers=[(b"x-run", b"1")])
    async with given.open("GET", "/") as exchange:
        await exchange.started()
    assert exchange.headers == {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-run": "1",
    }


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
