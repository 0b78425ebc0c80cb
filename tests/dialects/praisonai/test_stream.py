"""GET …/stream as it happens: heartbeats, reconnects, deletion, limits."""

import json
from collections.abc import AsyncGenerator

import pytest

from runwell.dialects.praisonai.frames import JobFrames
from runwell.dialects.praisonai.stream import written
from runwell.domain.errors import LogPruned
from runwell.domain.events import LoggedEvent, ProgressNoted
from runwell.domain.run import Progress
from tests.support.house import HandClock, House

ID = "0190c3b1000040008000000000000001"


async def test_a_viewer_sees_changes_as_they_happen(house: House):
    run = await house.submit()
    async with house.client.open("GET", f"/api/v1/runs/run_{run.id}/stream") as exchange:
        await exchange.started()
        assert b'"queued"' in await exchange.until(b"event: progress")
        await house.claim(run)
        assert b'"running"' in await exchange.until(b"id: 2")
        await house.say(run, "silent", ProgressNoted(progress=Progress(50.0, "half")))
        assert b'"current_step": "half"' in await exchange.until(b"id: 4")
        await house.succeed(run)
        last = await exchange.read()
    assert last.endswith(b"data: [DONE]\r\n\r\n")
    assert b"event: result" in last


async def test_silence_is_broken_every_five_seconds_and_not_before():
    clock = HandClock()

    async def pages() -> AsyncGenerator[list[LoggedEvent], None]:
        yield [LoggedEvent(1, 0, "run.created", b'{"agent":"echo","input":1}')]
        for seconds in (1, 4, 5, 1):
            clock.move(seconds)
            yield []
        clock.move(5)
        yield [LoggedEvent(2, 0, "output.text_delta", b'{"text":"x"}')]
        yield [LoggedEvent(3, 0, "run.cancelled", b'{"reason":"requested"}')]

    told = [chunk async for chunk in written(pages(), JobFrames(ID, None), 0, clock)]
    beats = [b"heartbeat" in chunk for chunk in told]
    assert beats == [False, False, True, True, False, True, False]
    assert told[1] == told[4] == b""
    data = told[2].decode().partition("data: ")[2]
    assert json.loads(data)["timestamp"] == "2027-01-15T08:00:05.000000+00:00"


async def test_a_job_that_is_deleted_while_it_is_watched():
    async def pages() -> AsyncGenerator[list[LoggedEvent], None]:
        yield [LoggedEvent(1, 0, "run.created", b'{"agent":"echo","input":1}')]

    told = [chunk async for chunk in written(pages(), JobFrames(ID, None), 0, HandClock())]
    assert b'{"error": "Job not found"' in told[-1]
    assert told[-1].endswith(b"data: [DONE]\r\n\r\n")


@pytest.mark.parametrize("last", ["", "nonsense", "-1", "99", "1" * 30, "²"])
async def test_a_cursor_that_is_none_begins_at_the_beginning(house: House, last: str):
    run = await house.a_finished_run()
    headers = {"last-event-id": last.encode().decode("latin-1")}
    answer = await house.client.get(f"/api/v1/runs/run_{run.id}/stream", headers=headers)
    assert answer.status == 200
    assert answer.text.startswith("event: status\r\n")


async def test_a_log_that_was_pruned_leaves_the_end(house: House, monkeypatch):
    run = await house.a_finished_run()

    async def pruned(run_id, after, limit):
        raise LogPruned(run_id)

    monkeypatch.setattr(house.store.events, "read", pruned)
    answer = await house.client.get(f"/api/v1/runs/run_{run.id}/stream")
    assert answer.status == 200
    assert '"result": "done"' in answer.text
    assert answer.text.endswith("data: [DONE]\r\n\r\n")


async def test_streams_of_one_caller_are_limited(house: House):
    house.closing.most_streams = 1
    run = await house.submit()
    path = f"/api/v1/runs/run_{run.id}/stream"
    async with house.client.open("GET", path) as exchange:
        await exchange.started()
        second = await house.client.get(path)
    assert second.status == 429
    assert int(second.headers["retry-after"]) >= 1


async def test_a_closing_server_ends_the_stream_without_an_end_of_the_story(house: House):
    run = await house.submit()
    async with house.client.open("GET", f"/api/v1/runs/run_{run.id}/stream") as exchange:
        await exchange.started()
        await exchange.until(b"event: progress")
        house.closing.begin()
        assert b"[DONE]" not in await exchange.read()
