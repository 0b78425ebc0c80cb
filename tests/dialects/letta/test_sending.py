"""Sending messages: waiting for the answer, watching it, and requests that do not fit."""

import json
from typing import Any

import pytest

from runwell.dialects.letta import ids, streams
from runwell.domain import json_gate
from runwell.domain.events import ToolCalled, ToolReturned
from runwell.domain.json_gate import NULL
from runwell.domain.run import RunStatus
from runwell.ports.store import RunFilter
from runwell.stream import tail
from tests.dialects.letta.sent import a_conversation, a_sent_run, an_agent, said, types
from tests.support.asgi import AsgiClient, Exchange, soon
from tests.support.house import House


async def newest(house: House):
    return (await house.store.runs.page("local", RunFilter(), before=None, after=None, limit=1))[0]


async def started(house: House, exchange: Exchange):
    """The run that a request has made."""
    await soon(lambda: house.closing.polls or house.closing.streams or exchange.sends)
    return await newest(house)


def frames_of(body: bytes) -> list:
    blocks = [block for block in body.decode().split("\n\n") if block and not block.startswith(":")]
    return [block.removeprefix("event: error\n").removeprefix("data: ") for block in blocks]


async def test_a_send_waits_for_the_answer(house: House):
    agent = await an_agent(house.client)
    path = f"/v1/agents/{agent}/messages"
    async with house.client.open("POST", path, body=json.dumps(said("hi")).encode()) as exchange:
        run = await started(house, exchange)
        await house.claim(run)
        await house.say(run, "hello ", "there")
        await house.succeed(run, "hello there")
        await exchange.started()
        body = json.loads(await exchange.read())
    assert list(body) == ["messages", "stop_reason", "usage", "logprobs", "turns"]
    assert [message["content"] for message in body["messages"]] == ["hello there"]
    assert body["stop_reason"] == {"message_type": "stop_reason", "stop_reason": "end_turn"}
    assert body["usage"]["message_type"] == "usage_statistics"
    shown = (await house.client.get(f"/v1/runs/{run.id}")).json
    assert (shown["background"], shown["metadata"]) == (False, {"run_type": "send_message"})


@pytest.mark.parametrize(
    ("reason", "status", "kind"),
    [("model_error", 500, "llm_error"), ("budget_exhausted", 402, "llm_insufficient_credits"),
     ("timed_out", 504, "llm_timeout"), ("error", 500, None)],
)  # fmt: skip
async def test_a_send_whose_run_fails_is_not_to_be_sent_again(house: House, reason, status, kind):
    agent = await an_agent(house.client)
    path = f"/v1/agents/{agent}/messages"
    async with house.client.open("POST", path, body=json.dumps(said("hi")).encode()) as exchange:
        run = await started(house, exchange)
        await house.fail(await house.claim(run), reason)
        await exchange.started()
        body = json.loads(await exchange.read())
    assert (exchange.status, exchange.headers["x-should-retry"]) == (status, "false")
    if kind is None:
        assert body == {"detail": "it broke", "run_id": ids.run_id(run.id)}
    else:
        assert body["error"] == {"type": kind, "message": "it broke", "detail": ids.run_id(run.id)}


async def test_a_send_ends_when_the_run_waits_or_is_cancelled(house: House):
    agent = await an_agent(house.client)
    for end, reason in ((house.ask, "requires_approval"), (None, "cancelled")):
        conversation = await a_conversation(house.client, agent)
        path = f"/v1/conversations/{conversation}/messages"
        body = json.dumps(said("hi", streaming=False)).encode()
        async with house.client.open("POST", path, body=body) as exchange:
            run = await started(house, exchange)
            if end is not None:
                await end(await house.claim(run))
            else:
                await house.client.post(f"/v1/conversations/{conversation}/cancel")
            await exchange.started()
            assert json.loads(await exchange.read())["stop_reason"]["stop_reason"] == reason


async def test_a_run_goes_on_when_its_sender_leaves(house: House):
    agent = await an_agent(house.client)
    path = f"/v1/agents/{agent}/messages"
    async with house.client.open("POST", path, body=json.dumps(said("hi")).encode()) as exchange:
        run = await started(house, exchange)
        exchange.leave()
        await exchange.ended()
    assert (await house.store.runs.get(run.id)).status is RunStatus.QUEUED


async def test_a_server_that_goes_down_says_that_the_run_goes_on(house: House):
    agent = await an_agent(house.client)
    path = f"/v1/agents/{agent}/messages"
    async with house.client.open("POST", path, body=json.dumps(said("hi")).encode()) as exchange:
        run = await started(house, exchange)
        house.closing.begin()
        await exchange.started()
        assert exchange.status == 503
        assert ids.run_id(run.id) in json.loads(await exchange.read())["detail"]


async def test_a_stream_is_watched_as_it_comes_and_ends(house: House):
    agent = await an_agent(house.client)
    body = json.dumps(said("hi", stream_tokens=True, background=True)).encode()
    async with house.client.open("POST", f"/v1/agents/{agent}/messages/stream", body=body) as exchange:
        await exchange.started()
        assert exchange.headers["content-type"] == "text/event-stream; charset=utf-8"
        await exchange.until(b'"ping"')
        run = await newest(house)
        await house.claim(run)
        await house.say(run, "one ")
        await exchange.until(b'"content":"one "')
        await house.say(run, "two")
        await house.succeed(run, "one two")
        rest = frames_of(await exchange.read())
    assert json.loads(rest[0])["seq_id"] == 3
    assert rest[-1] == "[DONE]"
    shown = (await house.client.get(f"/v1/runs/{run.id}")).json
    assert (shown["background"], shown["metadata"]) == (True, {"run_type": "send_message_streaming"})


@pytest.mark.parametrize("background", [True, False])
async def test_a_replay_says_the_same_again_from_any_frame(house: House, background):
    agent = await an_agent(house.client)
    path = f"/v1/agents/{agent}/messages/stream"
    body = json.dumps(said("hi", stream_tokens=True, background=background)).encode()
    async with house.client.open("POST", path, body=body) as exchange:
        await exchange.started()
        await exchange.until(b'"ping"')
        run = await newest(house)
        await house.claim(run)
        call = ToolCalled(call_id="c", name="t", arguments=NULL)
        await house.say(run, "one ", "two ", call, ToolReturned(call_id="c", name="t", result=NULL), "three")
        await house.succeed(run, None)
        live = await exchange.read()
    stream = f"/v1/runs/{run.id}/stream"
    whole = (await house.client.post(stream, {})).body
    if background:
        assert whole.endswith(live)
    frames = frames_of(whole)
    for seen in range(1, 12):
        rest = frames_of((await house.client.post(stream, {"starting_after": seen})).body)
        assert rest == frames[-len(rest) :]
        assert rest[-1] == "[DONE]"
        first = json.loads(rest[0]) if len(rest) > 1 else {}
        assert first.get("seq_id", seen + 1) == seen + 1
    beyond = (await house.client.post(stream, {"starting_after": 1000, "batch_size": 1})).body
    assert beyond == b"data: [DONE]\n\n"
    assert (await house.client.post(stream)).body == whole
    assert frames_of((await house.client.post(stream, {"include_pings": False})).body) == frames[1:]


async def test_a_stream_of_a_waiting_run_ends(house: House):
    run = await a_sent_run(house, await an_agent(house.client))
    await house.claim(run)
    await house.say(run, "may I")
    await house.ask(run, "sure?")
    frames = frames_of((await house.client.post(f"/v1/runs/{run.id}/stream", {})).body)
    assert [json.loads(frame)["message_type"] for frame in frames[:-1]] == [
        "ping", "assistant_message", "approval_request_message", "stop_reason", "usage_statistics"
    ]  # fmt: skip
    assert frames[-1] == "[DONE]"


async def test_a_stream_of_a_run_without_a_worker_waits_for_it(house: House):
    run = await house.submit()
    async with house.client.open("POST", f"/v1/runs/{run.id}/stream", body=b"{}") as exchange:
        await exchange.started()
        await exchange.until(b'"ping"')
        await house.succeed(await house.claim(run), "done")
        assert b'"content":"done"' in await exchange.read()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "Must specify either 'input' or 'messages'."),
        ({"messages": [], "input": "x"}, "Cannot specify both 'input' and 'messages'"),
        ({"messages": []}, "Messages must not be empty"),
        ({"messages": [{"role": "user"}]}, "content"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "Input should be 'user'"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "parts with text"),
        ({"messages": [{"type": "riddle"}]}, "must be message, approval or tool_return"),
        ({"messages": [{"type": "approval"}]}, "must be a list of approvals"),
        ({"messages": [{"type": "approval", "approvals": []}]}, "must not be empty"),
        ({"messages": [{"type": "approval", "approvals": [{"approve": True}]}]}, "Field required"),
        ({"messages": [{"type": "approval", "approvals": [{"tool_call_id": "c"}]}]}, "true or false"),
        ({"messages": [{"type": "tool_return", "tool_returns": [{"tool_call_id": "c"}]}]}, "tool_return"),
        ({"messages": "x"}, "('body', 'messages')"),
        ({"messages": [{"role": "user", "content": "a\u0000b"}]}, "NUL"),
    ],
)  # fmt: skip
async def test_requests_that_do_not_fit(house: House, body, words):
    agent = await an_agent(house.client)
    for path in ("messages", "messages/stream"):
        answer = await house.client.post(f"/v1/agents/{agent}/{path}", body)
        assert answer.status == 422, answer.text
        assert words in answer.json["detail"]


async def test_a_type_that_there_is_not(house: House):
    agent = await an_agent(house.client)
    sent = await house.client.post(
        f"/v1/agents/{agent}/messages", said(include_return_message_types=["riddle"])
    )
    assert (sent.status, "include_return_message_types" in sent.json["detail"]) == (422, True)
    listed = await house.client.get(f"/v1/agents/{agent}/messages?include_return_message_types=riddle")
    assert listed.status == 422


@pytest.mark.parametrize("pings", [True, False])
async def test_a_silent_stream_is_kept_alive(house: House, monkeypatch, pings):
    monkeypatch.setattr(tail, "LOOKS", (0.001,))
    monkeypatch.setattr(streams, "PING_AFTER", 0.0)
    monkeypatch.setattr(streams, "SILENCE", 0.0)
    run = await house.submit()
    body = json.dumps({"include_pings": pings}).encode()
    async with house.client.open("POST", f"/v1/runs/{run.id}/stream", body=body) as exchange:
        await exchange.started()
        first = await exchange.until(b'"seq_id":null' if pings else b": keep-alive")
    assert (b'"message_type":"ping"' in first) == pings


async def test_a_body_that_is_no_json(house: House):
    agent = await an_agent(house.client)
    answer = await house.client.post(f"/v1/agents/{agent}/messages", body=b"{")
    assert (answer.status, answer.json["trace_id"]) == (422, "")
    assert "json_invalid" in answer.json["detail"]


async def test_options_of_a_stream_that_is_none(house: House):
    agent = await an_agent(house.client)
    answer = await house.client.post(f"/v1/agents/{agent}/messages", said(background=True))
    assert answer.status == 422
    assert answer.json["detail"].startswith("Streaming options set without streaming enabled.")


async def test_an_unknown_agent(house: House):
    some = "agent-11111111-1111-4111-8111-111111111111"
    for path in ("messages", "messages/async", "messages/stream"):
        answer = await house.client.post(f"/v1/agents/{some}/{path}", said())
        assert (answer.status, answer.json) == (404, {"detail": "Agent not found"})


async def test_an_agent_that_takes_no_text_says_so(house: House):
    counter = await house.store.agents.get("counter", "local")
    answer = await house.client.post(f"/v1/agents/{ids.agent_id(counter.id)}/messages/async", said("three"))
    assert answer.status == 422


async def test_several_messages_are_one_input(house: House):
    agent = await an_agent(house.client)
    body = {
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "hi"}], "otid": "o-1", "name": "Ann"},
        ],
        "include_return_message_types": ["user_message", "assistant_message"],
    }
    answer = await house.client.post(f"/v1/agents/{agent}/messages/async", body)
    run = await house.store.runs.get(ids.read(answer.json["id"]) or "")
    created = (await house.store.events.read(run.id, 0, 1))[0].event
    assert json_gate.decode(created.input) == "be brief\n\nhi"
    assert (
        answer.json["request_config"]["include_return_message_types"] == body["include_return_message_types"]
    )
    messages = (await house.client.get(f"/v1/runs/{run.id}/messages")).json
    assert [(message["otid"], message["name"]) for message in messages] == [("o-1", "Ann")]


async def test_an_input_is_a_user_s_message_and_nothing_is_nothing(house: House):
    agent = await an_agent(house.client)
    sent = await house.client.post(f"/v1/agents/{agent}/messages/async", {"input": "hi"})
    assert types((await house.client.get(f"/v1/runs/{sent.json['id']}/messages")).json) == ["user_message"]
    empty = await house.client.post(f"/v1/agents/{agent}/messages/async", {"messages": []})
    assert empty.status == 200
    assert (await house.client.get(f"/v1/runs/{empty.json['id']}/messages")).json == []


async def test_runs_of_an_agent_work_together_and_see_what_was_said_before(house: House):
    agent = await an_agent(house.client)
    first, second = await a_sent_run(house, agent, "one"), await a_sent_run(house, agent, "two")
    assert not first.in_order
    await house.claim(first)
    await house.claim(second)
    seen = await house.store.threads.seen_by(second, 100)
    assert [json_gate.decode(message.content) for message in seen] == ["one", "two"]


async def test_messages_of_an_agent_across_runs(house: House):
    agent = await an_agent(house.client)
    for number in range(3):
        run = await a_sent_run(house, agent, f"q{number}")
        await house.succeed(await house.claim(run), f"a{number}")
    path = f"/v1/agents/{agent}/messages"
    newest_first = [message["content"] for message in (await house.client.get(path)).json]
    assert newest_first == ["a2", "q2", "a1", "q1", "a0", "q0"]
    for order, whole in (("desc", newest_first), ("asc", newest_first[::-1])):
        seen: list = []
        query = f"{path}?order={order}&limit=2"
        while page := (await house.client.get(query + (f"&after={seen[-1]['id']}" if seen else ""))).json:
            seen += page
        assert [message["content"] for message in seen] == whole
        edge: Any = seen[-1]
        back: list = []
        while page := (await house.client.get(f"{query}&before={edge['id']}")).json:
            back, edge = page + back, page[0]
        assert [message["content"] for message in back] == whole[:-1]
        between = (
            await house.client.get(f"{path}?order={order}&after={seen[0]['id']}&before={seen[-1]['id']}")
        ).json
        assert [message["content"] for message in between] == whole[1:-1]
    only = (await house.client.get(f"{path}?include_return_message_types=user_message")).json
    assert [message["content"] for message in only] == ["q2", "q1", "q0"]
    other = await a_sent_run(house, await an_agent(house.client), "x")
    foreign = ids.message_id(ids.spoken_id(other.id, 1))
    missing = await house.client.get(f"{path}?after={foreign}")
    assert (missing.status, missing.json["detail"]) == (
        404, f"No message found with id '{foreign}' for agent '{agent}'."
    )  # fmt: skip


async def test_a_streaming_send_is_a_stream(house: House):
    agent = await an_agent(house.client)
    body = json.dumps(said("hi", streaming=True, include_pings=False)).encode()
    async with house.client.open("POST", f"/v1/agents/{agent}/messages", body=body) as exchange:
        await exchange.started()
        run = await started(house, exchange)
        await house.succeed(await house.claim(run), "done")
        frames = frames_of(await exchange.read())
    assert json.loads(frames[0])["content"] == "done"
    assert json.loads(frames[0])["seq_id"] is None


async def test_the_same_under_the_dialect_s_name(house: House):
    client = AsgiClient(house.app)
    agent = (await client.post("/letta/v1/agents/", {"name": "n"})).json["id"]
    sent = await client.post(f"/letta/v1/agents/{agent}/messages/async", said())
    assert (await client.get(f"/letta/v1/runs/{sent.json['id']}")).json == sent.json
