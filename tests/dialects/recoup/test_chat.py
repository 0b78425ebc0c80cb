"""R3, R4 and R5: say, watch, stop."""

import json
from dataclasses import replace
from urllib.parse import quote

import pytest

from runwell.dialects.dialect import Options
from runwell.dialects.native.dialect import build_native
from runwell.dialects.recoup.dialect import build_recoup
from runwell.dialects.recoup.routes import chat as chat_routes
from runwell.dialects.recoup.words import run_word
from runwell.domain.commands import Stop
from runwell.domain.errors import LogPruned
from runwell.domain.events import OutputRestarted, StepStarted, ToolCalled
from runwell.domain.ids import parse_id
from runwell.domain.json_gate import encode
from runwell.domain.principal import LOCAL_OWNER
from runwell.domain.run import RunStatus
from runwell.domain.step import StepKind
from runwell.domain.thread import IfBusy
from runwell.engine import control
from runwell.ports.store import RunFilter
from runwell.server.app import build_app
from tests.dialects.recoup.turns import check_turn, stream_chunks
from tests.dialects.recoup.wire import (
    CORS,
    UNKNOWN,
    a_headless_run,
    a_message,
    a_session,
    check_refused,
    send_body,
    sent,
    the_run,
)
from tests.support.asgi import AsgiClient
from tests.support.house import House

STREAM_HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache",
    "connection": "keep-alive",
    "x-vercel-ai-ui-message-stream": "v1",
    "x-accel-buffering": "no",
}


def with_options(house: House, **options) -> AsgiClient:
    """A client of the same house, set otherwise."""
    services = replace(house.services, options=Options(**options))
    return AsgiClient(build_app(services, dialects=[build_native, build_recoup]))


async def test_a_message_is_answered_with_its_stream(house: House):
    session, chat = await a_session(house.client)
    body = json.dumps(send_body(session, chat, "tides", id="u-1")).encode()
    headers = {"content-type": "text/plain;charset=UTF-8"}
    async with house.client.open("POST", "/api/chat", body=body, headers=headers) as exchange:
        await exchange.started()
        assert exchange.status == 200
        assert (STREAM_HEADERS | CORS).items() <= exchange.headers.items()
        assert "x-workflow-stream-tail-index" not in exchange.headers
        run = await house.claim(await house.the_only_run())
        assert parse_id(exchange.headers["x-workflow-run-id"]) == run.id
        assert run.thread_id == parse_id(chat)
        await house.say(run, "high ", "low")
        await exchange.until(b"low")
        await house.succeed(run, "high low")
        rest = await exchange.read()
    assert rest.endswith(b'data: {"type":"finish"}\n\ndata: [DONE]\n\n')
    whole = (await house.client.get(f"/api/chat/{chat}/stream?startIndex=0")).body
    check_turn(stream_chunks(whole), ended=True)
    assert whole.endswith(rest)


async def test_a_chat_answers_one_message_at_a_time(house: House):
    session, chat = await a_session(house.client)
    run = await sent(house, send_body(session, chat))
    busy = await house.client.post("/api/chat", send_body(session, chat, "again", id="u2"))
    check_refused(busy, 409, "Another workflow is already running for this chat")
    await house.succeed(await house.claim(run))
    await sent(house, send_body(session, chat, "again", id="u2"))


async def test_a_reader_that_leaves_does_not_end_the_run(house: House):
    session, chat = await a_session(house.client)
    run = await sent(house, send_body(session, chat))
    assert (await house.store.runs.get(run.id)).status is RunStatus.QUEUED


async def test_unless_the_server_is_set_so(house: House):
    client = with_options(house, recoup_cancel_on_leave=True)
    session, chat = await a_session(client)
    async with client.open(
        "POST", "/api/chat", body=json.dumps(send_body(session, chat)).encode()
    ) as exchange:
        await exchange.started()
        await exchange.until(b"start")
        run = await house.claim(await house.the_only_run())
    asked = await house.store.runs.get(run.id)
    assert asked.cancel_requested_at is not None
    await house.do(asked, Stop())
    for _ in range(2):  # who has seen all of it has left nothing
        whole = await client.get(f"/api/chat/{chat}/stream?startIndex=0")
        check_turn(stream_chunks(whole.body), ended=True)


async def test_a_message_that_comes_again_is_stored_once_and_answered_anew(house: House):
    session, chat = await a_session(house.client)
    first = await sent(house, send_body(session, chat, "tides", id="u1"))
    await house.succeed(await house.say(await house.claim(first), "old"), "old")
    again = await sent(house, send_body(session, chat, "tides", id="u1"))
    assert again.retry_of == first.id
    await house.succeed(await house.say(await house.claim(again), "new"), "new")
    edited = await sent(house, send_body(session, chat, "moons", id="u1"))
    assert edited.retry_of is None
    shown = (await house.client.get(f"/api/sessions/{session}/chats/{chat}")).json["messages"]
    assert [message["parts"][-1]["text"] for message in shown] == ["tides", "new", "moons"]
    assert len(await house.store.threads.messages(parse_id(chat), limit=10)) == 2


async def test_the_first_message_names_the_chat(house: House):
    session, chat = await a_session(house.client)
    await sent(house, send_body(session, chat, "word " * 40))
    title = (await house.client.get(f"/api/sessions/{session}/chats/{chat}")).json["chat"]["title"]
    assert len(title) == 80
    assert title.startswith("word word")
    assert title.endswith("…")


@pytest.mark.parametrize(
    ("change", "path", "text"),
    [
        ({"messages": ...}, ["messages"], "Invalid input: expected array, received undefined"),
        ({"messages": "x"}, ["messages"], "Invalid input: expected array, received string"),
        ({"messages": []}, ["messages"], "messages must contain a message of the user with text"),
        (
            {"messages": [a_message(" ")]},
            ["messages"],
            "messages must contain a message of the user with text",
        ),
        ({"chatId": ...}, ["chatId"], "Invalid input: expected string, received undefined"),
        ({"chatId": ""}, ["chatId"], "chatId must not be empty"),
        ({"sessionId": 5}, ["sessionId"], "Invalid input: expected string, received number"),
    ],
)
async def test_a_faulty_message_is_told(house: House, change, path, text):
    body = {**send_body(UNKNOWN, UNKNOWN), **change}
    given = {name: value for name, value in body.items() if value is not ...}
    check_refused(await house.client.post("/api/chat", given), 400, text, missing_fields=path)


async def test_a_message_needs_its_session_and_its_chat(house: House):
    session, chat = await a_session(house.client)
    other, _ = await a_session(house.client)
    for given, text in (
        ((UNKNOWN, chat), "Session not found"),
        (("no uuid", chat), "Session not found"),
        ((session, UNKNOWN), "Chat not found"),
        ((session, "no uuid"), "Chat not found"),
        ((other, chat), "Chat not found"),
    ):
        check_refused(await house.client.post("/api/chat", send_body(*given)), 404, text)


async def test_a_stream_goes_on_from_any_frame(house: House):
    started = await a_headless_run(house.client)
    run = await house.claim(await the_run(house, started))
    model = StepStarted(key="m", name="m", kind=StepKind.MODEL)
    await house.say(run, model, "a", "b", ToolCalled(call_id="c", name="n", arguments=encode(1)))
    await house.succeed(run, "ab")
    url = f"/api/chat/{started['chatId']}/stream"
    whole = await house.client.get(f"{url}?startIndex=0")
    assert (STREAM_HEADERS | CORS).items() <= whole.headers.items()
    chunks = stream_chunks(whole.body)
    check_turn(chunks, ended=True)
    assert whole.headers["x-workflow-stream-tail-index"] == str(len(chunks) - 1)
    assert whole.headers["x-workflow-run-id"] == started["runId"]
    for start in range(len(chunks)):
        part = await house.client.get(f"{url}?startIndex={start}")
        assert stream_chunks(part.body) == chunks[start:]
    by_run = await house.client.get(f"/api/chat/{started['runId']}/stream?startIndex=0")
    assert by_run.body == whole.body


async def test_a_start_beyond_the_tail_waits_for_what_comes(house: House):
    started = await a_headless_run(house.client)
    run = await house.claim(await the_run(house, started))
    await house.say(run, "a")
    async with house.client.open("GET", f"/api/chat/{started['chatId']}/stream?startIndex=6") as exchange:
        await exchange.started()
        # start, start-step, text-start, one delta
        assert exchange.headers["x-workflow-stream-tail-index"] == "3"
        await house.say(run, "b", "c", "d")
        assert b'"delta":"d"' in await exchange.until(b"delta")
        await house.succeed(run, "abcd")
        rest = stream_chunks(await exchange.read())
    assert [chunk["type"] for chunk in rest] == ["text-end", "finish-step", "finish"]


async def test_a_takeover_that_says_otherwise_keeps_the_stream_in_step(house: House):
    started = await a_headless_run(house.client)
    run = await house.claim(await the_run(house, started))
    await house.say(run, "void")
    async with house.client.open("GET", f"/api/chat/{started['chatId']}/stream") as exchange:
        await exchange.started()
        first = await exchange.until(b"void")
        await house.say(run, OutputRestarted(attempt=2), "new")
        await house.fail(run)
        chunks = stream_chunks(first + await exchange.read())
    check_turn(chunks, ended=True)
    assert [chunk["delta"] for chunk in chunks if "delta" in chunk] == ["void", "new"]
    path = f"/api/sessions/{started['sessionId']}/chats/{started['chatId']}"
    assert (await house.client.get(path)).json["messages"][-1]["parts"][-1]["text"] == "new"


async def test_a_run_deleted_while_it_is_watched_finishes_for_the_client(house: House, monkeypatch):
    started = await a_headless_run(house.client)
    run = await house.claim(await the_run(house, started))
    await house.say(run, "a")
    async with house.client.open("GET", f"/api/chat/{started['chatId']}/stream") as exchange:
        await exchange.started()
        first = await exchange.until(b'"a"')

        async def gone(*args, **kwargs):
            return []

        monkeypatch.setattr(house.store.events, "read", gone)
        await house.succeed(run)
        await house.store.runs.delete(run.id, LOCAL_OWNER)
        check_turn(stream_chunks(first + await exchange.read()), ended=True)


async def test_nothing_to_watch_is_204_or_as_the_server_is_set_a_finish(house: House, monkeypatch):
    _, chat = await a_session(house.client)
    finish = with_options(house, recoup_empty_stream="finish")
    started = await a_headless_run(house.client)
    await house.succeed(await house.claim(await the_run(house, started)))
    ended = started["chatId"]
    urls = [
        f"{chat}/stream",
        f"{chat}/stream?startIndex=0",
        f"{ended}/stream",
        f"{ended}/stream?startIndex=99",
    ]
    for url in urls:
        answer = await house.client.get(f"/api/chat/{url}")
        assert (answer.status, answer.body) == (204, b"")
        assert CORS.items() <= answer.headers.items()
        answer = await finish.get(f"/api/chat/{url}")
        assert (answer.status, answer.text) == (200, 'data: {"type":"finish"}\n\ndata: [DONE]\n\n')
        assert "x-workflow-run-id" not in answer.headers
        assert (STREAM_HEADERS | CORS).items() <= answer.headers.items()

    async def pruned(run_id, after, limit):
        raise LogPruned(run_id)

    monkeypatch.setattr(house.store.events, "read", pruned)
    assert (await house.client.get(f"/api/chat/{ended}/stream?startIndex=0")).status == 204


@pytest.mark.parametrize("index", ["", "abc", "-3", "1.5", "²", "1" * 16])
async def test_a_start_index_is_a_number(house: House, index):
    _, chat = await a_session(house.client)
    answer = await house.client.get(f"/api/chat/{chat}/stream?startIndex={quote(index)}")
    text = "startIndex must be a non-negative integer"
    check_refused(answer, 400, text, missing_fields=["startIndex"])


@pytest.mark.parametrize(("method", "what"), [("GET", "stream"), ("POST", "stop")])
async def test_a_chat_is_named_by_its_uuid(house: House, method, what):
    _, chat = await a_session(house.client)
    answer = await house.client.request(method, f"/api/chat/nope/{what}")
    check_refused(answer, 400, "chatId must be a valid UUID", missing_fields=[])
    check_refused(await house.client.request(method, f"/api/chat/{UNKNOWN}/{what}"), 404, "Chat not found")
    assert (await house.client.request(method, f"/api/chat/{chat.upper()}/{what}")).status in (200, 204)
    foreign = await house.client.request(method, f"/api/chat/{chat}/{what}?account_id={UNKNOWN}")
    check_refused(foreign, 403, "Access denied to specified account_id")
    faulty = await house.client.request(method, f"/api/chat/{chat}/{what}?account_id=x")
    check_refused(faulty, 400, "account_id must be a valid UUID", missing_fields=["account_id"])


async def test_a_run_is_watched_by_its_own_id_only_by_its_owner(house: House):
    foreign = await house.submit(owner="eve")
    for id in (run_word(foreign.id), "wrun_x"):
        check_refused(await house.client.get(f"/api/chat/{id}/stream"), 404, "Chat not found")


async def test_a_stop_answers_when_the_run_has_stopped(house: House):
    started = await a_headless_run(house.client)
    run = await house.claim(await the_run(house, started))
    async with house.client.open("POST", f"/api/chat/{started['chatId']}/stop") as exchange:
        with house.signals.watch(run.id) as watch:
            while (await house.store.runs.get(run.id)).cancel_requested_at is None:
                assert await watch.wait(20)
        assert exchange.sends == []
        await house.do(run, Stop())
        await exchange.started()
        assert json.loads(await exchange.read()) == {"success": True, "stopped": True}
    assert (await house.client.get(f"/api/chat/runs/{started['runId']}")).json["status"] == "cancelled"
    again = await house.client.post(f"/api/chat/{started['chatId']}/stop", {"assistantMessage": {}})
    assert (again.status, again.json) == (200, {"success": True, "stopped": False})


async def test_a_stop_ends_everything_that_is_live_in_the_chat(house: House):
    started = await a_headless_run(house.client)
    thread_id = parse_id(started["chatId"])
    await house.submit(thread_id=thread_id, if_busy=IfBusy.TOGETHER)
    answer = await house.client.post(f"/api/chat/{started['chatId']}/stop")
    assert answer.json == {"success": True, "stopped": True}
    assert not [run for run in await _runs(house) if not run.final]


async def test_what_does_not_stop_in_time_is_504(house: House, monkeypatch):
    monkeypatch.setattr(chat_routes, "STOP_WITHIN", 0.0)
    started = await a_headless_run(house.client)
    await house.claim(await the_run(house, started))
    answer = await house.client.post(f"/api/chat/{started['chatId']}/stop")
    check_refused(answer, 504, "Workflow did not terminate in time")


async def test_a_run_that_ends_by_itself_was_not_stopped(house: House, monkeypatch):
    started = await a_headless_run(house.client)
    run = await house.claim(await the_run(house, started))
    cancel = control.cancel

    async def late(core, owner, run_id, by=None):
        await house.succeed(run)
        return await cancel(core, owner, run_id, by)

    monkeypatch.setattr(control, "cancel", late)
    answer = await house.client.post(f"/api/chat/{started['chatId']}/stop")
    assert answer.json == {"success": True, "stopped": False}


async def test_a_server_that_closes_lets_go_of_who_waits_for_a_stop(house: House):
    started = await a_headless_run(house.client)
    await house.claim(await the_run(house, started))
    async with house.client.open("POST", f"/api/chat/{started['chatId']}/stop") as exchange:
        house.closing.begin()
        await exchange.started()
        assert exchange.status == 503


async def test_streams_are_limited_before_a_run_is_started(house: House):
    house.closing.most_streams = 1
    session, chat = await a_session(house.client)
    async with house.client.open(
        "POST", "/api/chat", body=json.dumps(send_body(session, chat)).encode()
    ) as exchange:
        await exchange.started()
        count = len(await _runs(house))
        answer = await house.client.post("/api/chat", send_body(session, chat, "again", id="u2"))
        assert answer.status == 429
        assert answer.headers["retry-after"] == "5"
        assert (await house.client.get(f"/api/chat/{chat}/stream")).status == 429
        assert len(await _runs(house)) == count


async def _runs(house: House):
    return await house.store.runs.page(LOCAL_OWNER, RunFilter(), before=None, after=None, limit=100)
