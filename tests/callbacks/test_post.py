"""One post, to real servers on loopback that behave, misbehave, or are not there."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runwell.callbacks.guard import AddressGuard, CheckedTarget
from runwell.callbacks.post import LONGEST_RETRY_AFTER, MOST_READ, _retry_after, new_client, post
from runwell.domain.instant import SECOND
from tests.callbacks.receivers import (
    BODY,
    NOW,
    Received,
    answering,
    read_a_little,
    send,
    serving,
    until_hung_up,
)

SHORT = 0.3
"""Seconds: for servers that never end."""


@pytest.mark.parametrize(
    ("status", "delivered"),
    [(200, True), (204, True), (302, False), (410, False), (500, False), (503, False)],
)
async def test_an_answer_is_its_status(status, delivered):
    async with serving(answering(status)) as port:
        posted = await send(f"http://127.0.0.1:{port}/hook")
    assert (posted.status_code, posted.error, posted.delivered) == (status, None, delivered)
    assert 0 <= posted.duration < 10


async def test_the_body_the_headers_and_the_query_arrive_as_they_are():
    received = Received()
    async with serving(answering(200), received) as port:
        await send(
            f"http://hooks.test:{port}/a/ü?token=x%2Fy&z#part",
            "127.0.0.1",
            headers={"Content-Type": "application/json", "webhook-id": "msg_1", "host": "evil.test"},
        )
    head = received.heads[0].split("\r\n")
    assert received.bodies == [BODY]
    assert head[0] == "POST /a/%C3%BC?token=x%2Fy&z HTTP/1.1"
    assert [line for line in head if line.lower().startswith("host:")] == [f"Host: hooks.test:{port}"]
    assert {"webhook-id: msg_1", "Content-Type: application/json"} <= set(head)


async def test_a_redirect_is_not_followed():
    elsewhere, received = Received(), Received()
    async with serving(answering(200), elsewhere) as other:
        location = f"Location: http://127.0.0.1:{other}/"
        async with serving(answering(307, location), received) as port:
            posted = await send(f"http://127.0.0.1:{port}/")
    assert posted.status_code == 307 and not posted.delivered
    assert (len(received.heads), elsewhere.connections) == (1, 0)


async def test_a_server_that_hangs_is_left_in_time():
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await until_hung_up(reader)

    async with serving(hang) as port:
        posted = await send(f"http://127.0.0.1:{port}/secret?token=secret", timeout=SHORT)
    assert posted.error == f"http://127.0.0.1:{port} did not answer within 0.3 s"
    assert posted.status_code is None and 0.9 * SHORT <= posted.duration < 5


async def test_a_head_that_drips_does_not_hold_a_post():
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while not reader.at_eof():
            writer.write(b"x: y\r\n")
            await writer.drain()
            await read_a_little(reader)

    async with serving(drip) as port:
        posted = await send(f"http://127.0.0.1:{port}/", timeout=SHORT)
    assert posted.error is not None and "did not answer within" in posted.error


async def test_a_body_that_drips_does_not_hold_a_post_and_its_status_counts():
    hung_up = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while not reader.at_eof():
            writer.write(b"x")
            await writer.drain()
            await read_a_little(reader)
        hung_up.set()

    async with serving(drip) as port:
        posted = await send(f"http://127.0.0.1:{port}/", timeout=SHORT)
        await asyncio.wait_for(hung_up.wait(), 10)
    assert posted.delivered and posted.duration < SHORT


async def test_a_huge_body_is_left_after_a_little():
    sent, hung_up = [0], asyncio.Event()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * MOST_READ)
                await writer.drain()
                sent[0] += MOST_READ
        except ConnectionError:
            hung_up.set()

    async with serving(flood) as port:
        posted = await send(f"http://127.0.0.1:{port}/", timeout=30)
        await asyncio.wait_for(hung_up.wait(), 10)
    # The rest lies in the buffers of two sockets.
    assert posted.delivered and sent[0] < 64 * 2**20


async def test_no_more_than_a_little_of_an_answer_is_read_and_nothing_is_unpacked():
    pulled = [0]

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                pulled[0] += 4096
                yield b"\xff" * 4096

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Endless())

    checked = CheckedTarget(
        target=AddressGuard().check_shape("http://hooks.example.com/"), addresses=("1.1.1.1",)
    )
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        posted = await post(client, checked, BODY, {}, now=NOW)
    assert posted.delivered and pulled[0] == MOST_READ


async def test_an_answer_that_breaks_off_after_its_head_is_an_answer():
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 201 Created\r\ncontent-length: 1000\r\n\r\nx")
        await writer.drain()

    async with serving(break_off) as port:
        posted = await send(f"http://127.0.0.1:{port}/")
    assert (posted.status_code, posted.error) == (201, None)


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        (b"", "closed the connection without an answer"),
        (b"HTTP/1.1 20", "closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH_9.9 secret banner\r\n\r\n", "its answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nbad header secret\r\n\r\n", "its answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 500_000, "its answer is not HTTP"),
    ],
)
async def test_what_is_no_answer_is_a_fault_that_repeats_nothing(sent, fault):
    async def blurt(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await writer.drain()

    async with serving(blurt) as port:
        posted = await send(f"http://127.0.0.1:{port}/")
    assert posted.error is not None and fault in posted.error and "secret" not in posted.error
    assert posted.status_code is None


async def test_a_reset_is_a_fault():
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        linger = writer.get_extra_info("socket")
        linger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        writer.transport.abort()

    async with serving(reset) as port:
        posted = await send(f"http://127.0.0.1:{port}/hook?token=secret")
    assert posted.error == f"the connection to http://127.0.0.1:{port} was lost before an answer"


async def test_nobody_listening_is_a_fault_with_the_reason_and_without_secrets():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        posted = await send(f"{url}/services/secret?token=secret")
    assert posted.error == f"could not connect to {url}: connection refused"


async def test_a_server_without_tls_is_a_fault_of_tls():
    async def blurt(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(blurt, "127.0.0.1", 0)
    async with server:
        url = f"https://hooks.test:{server.sockets[0].getsockname()[1]}"
        posted = await send(f"{url}/secret", "127.0.0.1")
    assert posted.error.startswith(f"could not connect to {url}: TLS failed: ")


async def test_proxies_of_the_environment_are_ignored(monkeypatch):
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{dead.getsockname()[1]}"
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
            monkeypatch.setenv(name.lower(), proxy)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        async with serving(answering(200)) as port:
            posted = await send(f"http://hooks.test:{port}/", "127.0.0.1")
    assert posted.delivered


async def test_nothing_is_carried_from_one_post_to_the_next():
    received = Received()
    checked_at = AddressGuard(["127.0.0.1"])
    async with serving(answering(200, "Set-Cookie: a=b; Path=/"), received) as port, new_client() as client:
        checked = await checked_at.resolve(f"http://127.0.0.1:{port}/")
        for _ in range(2):
            assert (await post(client, checked, BODY, {}, now=NOW)).delivered
    assert received.connections == 2
    assert all("cookie" not in head.lower() for head in received.heads)
    assert all("connection: close" in head.lower() for head in received.heads)


async def test_no_connection_is_kept_even_if_both_sides_would_like_to():
    hung_up = asyncio.Event()

    async def linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(200, "Connection: keep-alive")(reader, writer)
        await until_hung_up(reader)
        hung_up.set()

    async with serving(linger) as port, new_client() as client:
        checked = await AddressGuard(["127.0.0.1"]).resolve(f"http://127.0.0.1:{port}/")
        assert (await post(client, checked, BODY, {"Connection": "keep-alive"}, now=NOW)).delivered
        await asyncio.wait_for(hung_up.wait(), 10)


async def test_a_certificate_is_wanted():
    async with new_client() as client:
        transport = client._transport
        assert isinstance(transport, httpx.AsyncHTTPTransport)
        tls = transport._pool._ssl_context
        assert tls is not None and tls.verify_mode is ssl.CERT_REQUIRED and tls.check_hostname


async def test_a_post_that_is_cancelled_is_cancelled():
    reached = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await until_hung_up(reader)

    async with serving(hang) as port:
        task = asyncio.create_task(send(f"http://127.0.0.1:{port}/"))
        await asyncio.wait_for(reached.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("86401", LONGEST_RETRY_AFTER),
        ("9" * 5000, LONGEST_RETRY_AFTER),
        ("Sun, 22 Nov 2026 22:30:00 GMT", 120.0),
        ("Sun, 22 Nov 2026 22:30:00 -0000", 120.0),
        ("Sun, 22 Nov 2026 22:00:00 GMT", 0.0),
        ("Sun, 22 Nov 2099 22:00:00 GMT", LONGEST_RETRY_AFTER),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
    ],
)
async def test_retry_after_is_seconds_or_a_date_and_at_most_a_day(header, seconds):
    async with serving(answering(503, f"Retry-After: {header}")) as port:
        posted = await send(f"http://127.0.0.1:{port}/")
    assert (posted.status_code, posted.retry_after) == (503, seconds)


async def test_without_the_header_nothing_is_asked():
    async with serving(answering(503)) as port:
        assert (await send(f"http://127.0.0.1:{port}/")).retry_after is None


@given(st.one_of(st.text(), st.from_regex(r"\w{3}, \d{1,3} \w{3} \d{1,5} \d\d:\d\d:\d\d [+-]?\w{1,5}")))
def test_no_header_is_too_odd(header):
    seconds = _retry_after(header, 1_700_000_000 * SECOND)
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER
