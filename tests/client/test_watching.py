"""Following a run: nothing twice, nothing left out, whatever the connection does."""

import random
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import msgspec
import pytest

from runwell.client import ApiError, AsyncClient, ConnectionFailed, Patience
from runwell.client.errors import ServerUnavailable
from runwell.domain.events import RunSucceeded, TextDelta
from tests.client.scripted import (
    AT,
    EVENT_STREAM,
    Answer,
    FlakyLog,
    Message,
    Receive,
    Script,
    Seen,
    Send,
    frame,
    listen,
    log_of,
    serving,
)

QUICK = Patience(total=5.0, shortest=0.001, longest=0.01)
SSE = {"content-type": "text/event-stream"}


def run_in(status: str, **fields: Any) -> dict[str, Any]:
    return {"id": "run_1", "status": status, "agent": "a", "created_at": AT} | fields


async def read_all(client: AsyncClient, after: int = 0) -> list[int]:
    return [event.seq async for event in client.runs.events("run_1", after)]


@pytest.mark.parametrize("seed", range(8))
async def test_no_event_twice_and_none_left_out(seed: int) -> None:
    log = FlakyLog(log_of(120), random.Random(seed), cuts=25)
    with serving(log) as url:
        async with AsyncClient(url, patience=QUICK) as client:
            events = [event async for event in client.runs.events("run_1")]
    assert [event.seq for event in events] == list(range(1, 121))
    assert [frame(e.seq, e.type, **e.data) for e in events] == log.frames
    assert log.cursors == sorted(log.cursors)
    assert len(log.cursors) == 26


@pytest.mark.parametrize("after", [0, 1, 57, 119, 120, 500])
async def test_starts_behind_the_cursor(after: int) -> None:
    with serving(FlakyLog(log_of(120), random.Random(after), cuts=3)) as url:
        async with AsyncClient(url, patience=QUICK) as client:
            assert await read_all(client, after) == list(range(after + 1, 121))


async def test_survives_a_server_that_is_gone_for_a_while() -> None:
    frames = log_of(40)
    with listen() as sock:
        port = sock.getsockname()[1]
    servers: list[Any] = []

    def lives(count: int) -> None:
        servers.append(serving(FlakyLog(frames, random.Random(count), cuts=3), port))
        servers[-1].__enter__()

    told: list[bool] = []

    def restart(error: ApiError, wait: float) -> None:
        """Now and then the whole server goes away; it is back two failures later."""
        told.append(isinstance(error, ConnectionFailed) and not error.sent)
        if told[-2:] == [True, True]:
            lives(len(told))
        elif not told[-1] and len(servers) < 4:
            servers[-1].__exit__(None, None, None)

    lives(0)
    try:
        async with AsyncClient(f"http://127.0.0.1:{port}", patience=QUICK, notice=restart) as client:
            assert await read_all(client) == list(range(1, 41))
    finally:
        servers[-1].__exit__(None, None, None)
    assert len(servers) == 4
    assert told.count(True) == 6


async def test_events_are_typed_and_tolerant() -> None:
    frames = [
        frame(1, "output.text_delta", text="hi", new_field=1),
        frame(2, "output.sung", song="la"),
        frame(3, "run.succeeded", output={"n": 1}),
    ]
    with serving(Script(Answer(200, b"".join(frames), SSE))) as url:
        async with AsyncClient(url) as client:
            delta, sung, end = [event async for event in client.runs.events("run_1")]
    assert delta.fact == TextDelta(text="hi")
    assert (delta.data, delta.final) == ({"text": "hi", "new_field": 1}, False)
    assert delta.at.isoformat() == "2026-11-22T22:28:00.000123+00:00"
    assert (sung.fact, sung.data) == (None, {"song": "la"})
    assert isinstance(end.fact, RunSucceeded)
    assert msgspec.json.decode(end.fact.output) == {"n": 1}
    assert end.final


async def test_a_stream_with_a_hole_is_asked_again_then_refused() -> None:
    hole = frame(1, "run.created", agent="a", input=1) + frame(3, "run.succeeded", output=1)
    script = Script(Answer(200, hole, SSE), Answer(200, b"".join(log_of(5)), SSE))
    with serving(script) as url:
        async with AsyncClient(url, patience=QUICK) as client:
            assert await read_all(client) == [1, 2, 3, 4, 5]
            script.answers = [Answer(200, hole, SSE)]
            with pytest.raises(ApiError, match="event 2 is missing"):
                await read_all(client)
    assert [seen.headers["last-event-id"] for seen in script.seen] == ["0", "1", "0", "1"]


async def test_the_pause_the_stream_asked_for_is_kept() -> None:
    pauses: list[float] = []
    start = b"retry: 20\n\n" + frame(1, "run.created", agent="a", input=1)
    with serving(Script(Answer(200, start, SSE), Answer(200, b"".join(log_of(3)), SSE))) as url:
        async with AsyncClient(url, patience=QUICK, notice=lambda error, wait: pauses.append(wait)) as client:
            assert await read_all(client) == [1, 2, 3]
    assert len(pauses) == 1
    assert 0.020 <= pauses[0] <= 0.022


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (Answer(410, {"code": "log_pruned", "detail": "x"}), ApiError, "log_pruned"),
        (Answer(404, {"code": "run_not_found", "detail": "x"}), ApiError, "run_not_found"),
        (Answer(503, {"code": "store_unavailable"}), ServerUnavailable, "store_unavailable"),
        (Answer(200, b"", SSE), ConnectionFailed, "connection_failed"),
        (Answer(200, b"<html>", {"content-type": "text/html"}), ApiError, "unexpected_answer"),
        (Answer(200, b"data: {}\n\n", SSE), ApiError, "unexpected_answer"),
    ],
)
async def test_what_cannot_be_followed_is_an_error(answer: Answer, kind: type[ApiError], code: str) -> None:
    patience = Patience(total=0.05, shortest=0.001, longest=0.01)
    with serving(Script(answer)) as url:
        async with AsyncClient(url, patience=patience) as client:
            with pytest.raises(kind) as caught:
                await read_all(client)
    assert caught.value.code == code


async def test_text_is_the_deltas() -> None:
    error = {"code": "c", "message": "m"}
    frames = [
        frame(1, "output.text_delta", text="a"),
        frame(2, "output.restarted", attempt=2),
        frame(3, "output.text_delta", text="b"),
        frame(4, "run.failed", reason="error", error=error),
    ]
    with serving(Script(Answer(200, b"".join(frames), SSE))) as url:
        async with AsyncClient(url) as client:
            assert [piece async for piece in client.runs.text("run_1")] == ["a", "b"]


async def test_leaving_early_closes_the_connection() -> None:
    left: list[str] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(EVENT_STREAM)
        await send({"type": "http.response.body", "body": b"".join(log_of(9)[:3]), "more_body": True})
        while (message := await receive())["type"] != "http.disconnect":
            continue
        left.append(message["type"])

    with serving(app) as url:
        async with AsyncClient(url) as client, aclosing(client.runs.events("run_1")) as events:
            assert (await anext(events)).seq == 1
    assert left == ["http.disconnect"]


async def test_watch_shows_each_change_once() -> None:
    script = Script(
        Answer(200, run_in("queued", queue_position=3), {"etag": '"1.3"'}),
        Answer(304, headers={"etag": '"1.3"'}),
        Answer(200, run_in("running"), {"etag": '"2.-"'}),
        Answer(drop=True),
        Answer(503, {"code": "x"}),
        Answer(200, run_in("succeeded", output=[1]), {"etag": '"3.-"'}),
    )
    with serving(script) as url:
        async with AsyncClient(url, patience=QUICK) as client:
            states = [run async for run in client.runs.watch("run_1")]
    assert [run.status for run in states] == ["queued", "running", "succeeded"]
    assert (states[0].queue_position, states[-1].output, states[-1].final) == (3, [1], True)
    tags = [(seen.headers.get("if-none-match"), seen.headers.get("prefer")) for seen in script.seen]
    assert tags[:4] == [(None, None), ('"1.3"', "wait=30"), ('"1.3"', "wait=30"), ('"2.-"', "wait=30")]


async def test_watch_without_an_etag_is_refused_instead_of_asking_without_a_pause() -> None:
    with serving(Script(Answer(200, run_in("queued")))) as url:
        async with AsyncClient(url) as client:
            with pytest.raises(ApiError, match="no ETag"):
                await anext(client.runs.watch("run_1"))


async def test_wait_polls_until_the_end_through_restarts() -> None:
    script = Script(
        Answer(200, run_in("running")), Answer(drop=True), Answer(502), Answer(200, run_in("failed"))
    )
    with serving(script) as url:
        async with AsyncClient(url, patience=QUICK) as client:
            run = await client.runs.wait("run_1")
    assert run.status == "failed"
    assert {seen.headers["prefer"] for seen in script.seen} == {"wait=30"}


async def test_wait_ends_at_its_timeout() -> None:
    with serving(Script(Answer(200, run_in("waiting")))) as url:
        async with AsyncClient(url) as client:
            with pytest.raises(TimeoutError, match="run_1 is still waiting after 0"):
                await client.runs.wait("run_1", timeout=0.05)


async def test_create_can_wait_for_the_end() -> None:
    script = Script(Answer(202, run_in("queued")), Answer(200, run_in("succeeded", output="done")))
    with serving(script) as url:
        async with AsyncClient(url) as client:
            run = await client.runs.create("a", "x", wait=90)
            assert (run.status, run.output) == ("succeeded", "done")
            script.answers = [Answer(202, run_in("queued")), Answer(200, run_in("running"))]
            assert (await client.runs.create("a", "x", wait=0.02)).status == "running"
    assert [seen.headers.get("prefer") for seen in script.seen[:2]] == ["wait=60", "wait=30"]


def page(runs: range, cursor: str | None) -> Callable[[Seen], Answer]:
    body = {"runs": [run_in("queued", id=f"run_{n}") for n in runs], "next_cursor": cursor}
    return lambda seen: Answer(200, body)


async def test_list_turns_the_pages() -> None:
    script = Script(page(range(3), "c1"), page(range(3, 6), "c2"), page(range(6, 7), None))
    with serving(script) as url:
        async with AsyncClient(url) as client:
            runs = client.runs.list(status=["queued", "running"], agent="a&b")
            assert [run.id async for run in runs] == [f"run_{n}" for n in range(7)]
    assert [seen.query for seen in script.seen] == [
        "status=queued&status=running&agent=a%26b&limit=100",
        "status=queued&status=running&agent=a%26b&limit=100&cursor=c1",
        "status=queued&status=running&agent=a%26b&limit=100&cursor=c2",
    ]


async def test_list_stops_at_its_limit() -> None:
    script = Script(page(range(3), "c1"), page(range(3, 6), "c2"))
    with serving(script) as url:
        async with AsyncClient(url) as client:
            assert len([run async for run in client.runs.list(limit=5)]) == 5
            assert [run async for run in client.runs.list(limit=0)] == []
    assert [seen.query for seen in script.seen] == ["limit=5", "limit=2&cursor=c1"]
