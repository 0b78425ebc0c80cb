"""GET /runs/{id}/events: the log by pages and as a stream, from any cut."""

import asyncio
import json
import re

import pytest

from runwell.domain.errors import LogPruned
from runwell.domain.events import StepStarted
from runwell.domain.principal import Scope
from runwell.stream.sse import RECONNECT
from tests.support.asgi import AsgiClient
from tests.support.house import House

SSE = {"accept": "text/event-stream"}


@pytest.fixture(params=["front", "app"])
def client(house: House, request: pytest.FixtureRequest) -> AsgiClient:
    """Through the front, which has a hot route, and through the app alone: there is no difference."""
    if request.param == "front":
        return house.client
    return AsgiClient(house.native_app)


async def a_told_run(house: House):
    """A finished run with a log of nine events."""
    run = await house.a_running_run(input="Straße\n\u2028 end")
    await house.say(run, "one ", "two\n\n")
    await house.say(run, StepStarted(key="s", name="s"), "three\r\n: not a comment", "four")
    return await house.succeed(run, {"words": 4})


def frames_of(stream: bytes) -> list[dict]:
    frames = []
    for block in stream.decode().split("\n\n"):
        if not block or block.startswith((":", "retry:")):
            continue
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        assert list(fields) == ["id", "event", "data"]
        frames.append({"id": int(fields["id"]), "event": fields["event"], "data": json.loads(fields["data"])})
    return frames


async def test_a_page_of_the_log(house: House, client: AsgiClient):
    run = await a_told_run(house)
    page = (await client.get(f"/runs/run_{run.id}/events")).json
    assert [event["seq"] for event in page["events"]] == list(range(1, run.last_seq + 1))
    assert page["next_after"] == run.last_seq
    assert page["final"] is True
    first, last = page["events"][0], page["events"][-1]
    assert list(first) == ["seq", "at", "type", "data"]
    assert (first["type"], first["data"]["input"]) == ("run.created", "Straße\n\u2028 end")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first["at"])
    assert (last["type"], last["data"]) == ("run.succeeded", {"output": {"words": 4}})


async def test_pages_follow_each_other_to_the_end(house: House, client: AsgiClient):
    run = await a_told_run(house)
    after, seen, final = 0, [], False
    while not final:
        page = (await client.get(f"/runs/run_{run.id}/events?after={after}&limit=2")).json
        assert len(page["events"]) <= 2
        seen += [event["seq"] for event in page["events"]]
        after, final = page["next_after"], page["final"]
    assert seen == list(range(1, run.last_seq + 1))


async def test_a_live_log_is_never_final(house: House, client: AsgiClient):
    run = await house.a_running_run()
    page = (await client.get(f"/runs/run_{run.id}/events?after=2")).json
    assert page == {"events": [], "next_after": 2, "final": False}


async def test_a_finished_run_streams_from_every_cut(house: House, client: AsgiClient):
    run = await a_told_run(house)
    whole = await client.get(f"/runs/run_{run.id}/events", headers=SSE)
    assert whole.status == 200
    assert whole.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert whole.body.startswith(RECONNECT)
    frames = frames_of(whole.body)
    page = (await client.get(f"/runs/run_{run.id}/events")).json["events"]
    assert [frame["data"] for frame in frames] == page
    assert [(frame["id"], frame["event"]) for frame in frames] == [(e["seq"], e["type"]) for e in page]
    for cut in range(run.last_seq):
        by_header = await client.get(
            f"/runs/run_{run.id}/events?after=3", headers={**SSE, "last-event-id": str(cut)}
        )
        by_query = await client.get(f"/runs/run_{run.id}/events?after={cut}", headers=SSE)
        assert by_header.body == by_query.body
        assert frames_of(by_header.body) == frames[cut:]
        # The frames of the first events begin the frames of all, byte by byte.
        kept = whole.body.removeprefix(RECONNECT).removesuffix(by_query.body.removeprefix(RECONNECT))
        assert len(frames_of(kept)) == cut


async def test_past_the_end_of_a_final_run_is_204(house: House, client: AsgiClient):
    run = await a_told_run(house)
    for after in (run.last_seq, run.last_seq + 1, 2**63 - 1):
        answer = await client.get(f"/runs/run_{run.id}/events?after={after}", headers=SSE)
        assert (answer.status, answer.body) == (204, b"")
    resumed = await client.get(
        f"/runs/run_{run.id}/events", headers={**SSE, "last-event-id": str(run.last_seq)}
    )
    assert resumed.status == 204


async def test_a_live_run_streams_as_it_happens(house: House, client: AsgiClient):
    run = await house.a_running_run()
    async with client.open("GET", f"/runs/run_{run.id}/events", headers=SSE) as exchange:
        await exchange.started()
        await exchange.until(b"attempt.started")
        assert len(house.closing.streams) == 1
        await house.say(run, "Hel", "lo")
        chunk = await exchange.chunk()
        # One page is one piece.
        assert chunk is not None
        assert [frame["data"]["data"]["text"] for frame in frames_of(chunk)] == ["Hel", "lo"]
        await house.succeed(run)
        await exchange.until(b"run.succeeded")
        assert await exchange.chunk() is None
    assert not house.closing.streams


async def test_a_cut_stream_goes_on_without_a_gap_or_a_double(house: House, client: AsgiClient):
    run = await house.a_running_run()
    seen: list[int] = []
    for turn in range(6):
        headers = {**SSE, **({"last-event-id": str(seen[-1])} if seen else {})}
        async with client.open("GET", f"/runs/run_{run.id}/events", headers=headers) as exchange:
            await exchange.started()
            await house.say(run, f"turn {turn}", "!")
            chunk = await exchange.until(b"!")
            seen += [frame["id"] for frame in frames_of(chunk)]
        # While nobody listens.
        await house.say(run, "unheard")
    await house.succeed(run)
    rest = await client.get(f"/runs/run_{run.id}/events", headers={**SSE, "last-event-id": str(seen[-1])})
    seen += [frame["id"] for frame in frames_of(rest.body)]
    assert seen == list(range(1, len(seen) + 1))


async def test_a_client_that_leaves_leaves_nothing_behind(house: House, client: AsgiClient):
    run = await house.a_running_run()
    tasks = len(asyncio.all_tasks())
    async with client.open("GET", f"/runs/run_{run.id}/events", headers=SSE) as exchange:
        await exchange.started()
        await exchange.until(b"attempt.started")
        exchange.leave()
        await exchange.ended()
    await asyncio.sleep(0)
    assert house.signals._watches == {}
    assert not house.closing.streams
    assert len(asyncio.all_tasks()) == tasks


async def test_the_servers_end_completes_the_stream(house: House, client: AsgiClient):
    run = await house.a_running_run()
    async with client.open("GET", f"/runs/run_{run.id}/events", headers=SSE) as exchange:
        await exchange.started()
        await exchange.until(b"attempt.started")
        house.closing.begin()
        assert await exchange.chunk() is None
        await exchange.ended()
    assert house.signals._watches == {}


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9223372036854775808", "1" * 30, "²", ""])
@pytest.mark.parametrize("accept", [SSE, {}])
async def test_a_cursor_is_a_number(house: House, client: AsgiClient, cursor, accept):
    run = await house.submit()
    answer = await client.get(f"/runs/run_{run.id}/events?after={cursor}", headers=accept)
    assert answer.status == 422
    assert answer.json["path"] == "query.after"


async def test_a_last_event_id_is_a_number(house: House, client: AsgiClient):
    run = await house.submit()
    answer = await client.get(f"/runs/run_{run.id}/events", headers={**SSE, "last-event-id": "seven"})
    assert (answer.status, answer.json["path"]) == (422, "header.Last-Event-ID")


@pytest.mark.parametrize("accept", [SSE, {}])
async def test_foreign_and_unknown_runs_have_no_log(house: House, client: AsgiClient, accept):
    foreign = await house.submit(owner="somebody else")
    answer = await client.get(f"/runs/run_{foreign.id}/events", headers=accept)
    assert (answer.status, answer.json["code"]) == (404, "run_not_found")


@pytest.mark.parametrize("accept", [SSE, {}])
async def test_a_pruned_log_is_gone(house: House, client: AsgiClient, accept, monkeypatch):
    run = await house.a_finished_run()

    async def pruned(run_id, after, limit):
        raise LogPruned(run_id)

    monkeypatch.setattr(house.store.events, "read", pruned)
    answer = await client.get(f"/runs/run_{run.id}/events", headers=accept)
    assert (answer.status, answer.json["code"]) == (410, "log_pruned")


async def test_steps_are_listed(house: House, client: AsgiClient):
    run = await house.a_running_run()
    await house.say(run, StepStarted(key="search", name="search"))
    (step,) = (await client.get(f"/runs/run_{run.id}/steps")).json["steps"]
    assert list(step) == [
        "key", "name", "kind", "parent", "status", "attempt", "started_at", "finished_at", "duration",
        "usage", "error", "output", "inherited",
    ]  # fmt: skip
    assert (step["key"], step["kind"], step["status"], step["inherited"]) == (
        "search", "code", "running", False,
    )  # fmt: skip


async def test_a_list_is_told_what_to_look_at_again(house: House, client: AsgiClient):
    ann = client.with_headers(authorization=f"Bearer {await house.secret('ann', {Scope.RUNS_READ})}")
    boss = client.with_headers(authorization=f"Bearer {await house.secret('boss')}")
    async with (
        ann.open("GET", "/runs/changes") as own,
        boss.open("GET", "/runs/changes?all_owners=true") as every,
    ):
        for exchange in (own, every):
            await (await exchange.started()).until(RECONNECT)
        assert (own.status, own.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        theirs, run = await house.submit(owner="bob"), await house.submit(owner="ann")
        said = await own.until(b"changed")
        assert said == b'event: changed\ndata: {"runs":["run_%b"],"more":false}\n\n' % run.id.encode()
        all_of_them = await every.until(b"changed")
        assert theirs.id.encode() in all_of_them
    refused = await ann.get("/runs/changes?owner=bob")
    assert (refused.status, refused.json["code"]) == (403, "forbidden")


async def test_who_may_not_read_any_more_is_told_no_more(house: House, client: AsgiClient, monkeypatch):
    monkeypatch.setattr("runwell.dialects.native.events.ASK_AGAIN", 0.0)
    ann = client.with_headers(authorization=f"Bearer {await house.secret('ann')}")
    async with ann.open("GET", "/runs/changes") as told:
        await (await told.started()).until(RECONNECT)
        await house.submit(owner="ann")
        await told.until(b"changed")
        (key,) = await house.store.keys.all("ann")
        await house.store.keys.revoke(key.id, "ann", house.clock.now())
        house.clock.move(1.001)
        await house.submit(owner="ann")
        assert await told.chunk() is None


async def test_streams_of_changes_are_counted_and_end_with_the_server(house: House, client: AsgiClient):
    house.closing.most_streams = 1
    async with client.open("GET", "/runs/changes") as first:
        await (await first.started()).until(RECONNECT)
        refused = await client.get("/runs/changes")
        assert (refused.status, refused.json["code"]) == (429, "too_many_streams")
        house.closing.begin()
        assert await first.read() == b""
