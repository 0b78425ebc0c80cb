"""Conversations: kept, listed, talked in one run at a time, watched again under a client's own name."""

import json
from typing import Any

import pytest

from runwell.dialects.letta import ids
from runwell.domain.run import RunStatus
from runwell.engine import control
from tests.dialects.letta.sent import a_conversation, a_sent_run, an_agent, said, types
from tests.support.house import House

FIELDS = [
    "created_by_id", "last_updated_by_id", "created_at", "updated_at", "id", "agent_id", "summary",
    "description", "in_context_message_ids", "isolated_block_ids", "model", "model_settings",
    "context_window_limit", "last_message_at", "archived", "archived_at",
]  # fmt: skip


async def opened(house: House, conversation: str, text: str = "hi", **fields: Any):
    """A run sent into the conversation whose stream nobody watches."""
    house.clock.move(1)
    body = json.dumps(said(text, **fields)).encode()
    path = f"/v1/conversations/{conversation}/messages"
    async with house.client.open("POST", path, body=body) as exchange:
        await exchange.started()
        assert exchange.status == 200, await exchange.read()
        frame = json.loads((await exchange.until(b'"ping"')).removeprefix(b"data: ").split(b"\n")[0])
    return await house.store.runs.get(ids.read(frame["run_id"]) or "")


async def test_a_conversation_is_kept_and_changed_and_deleted(house: House):
    agent = await an_agent(house.client)
    conversation = await a_conversation(house.client, agent, summary="tides")
    one = (await house.client.get(f"/v1/conversations/{conversation}")).json
    assert list(one) == FIELDS
    assert (one["agent_id"], one["summary"], one["archived"]) == (agent, "tides", False)
    house.clock.move(1)
    changed = (await house.client.patch(f"/v1/conversations/{conversation}", {"archived": True})).json
    assert (changed["summary"], changed["archived"]) == ("tides", True)
    assert changed["updated_at"] > one["updated_at"]
    assert (await house.client.delete(f"/v1/conversations/{conversation}")).status == 200
    assert (await house.client.get(f"/v1/conversations/{conversation}")).status == 404
    assert (await house.client.delete(f"/v1/conversations/{conversation}")).status == 404


async def test_a_conversation_needs_an_agent(house: House):
    answer = await house.client.post("/v1/conversations/?agent_id=agent-11111111-1111-4111-8111-111111111111")
    assert answer.status == 404


async def test_lists_of_conversations(house: House):
    agent, other = await an_agent(house.client), await an_agent(house.client)
    made = []
    for number in range(5):
        house.clock.move(1)
        made.append(await a_conversation(house.client, agent, summary=f"talk {number}"))
    house.clock.move(1)
    await a_conversation(house.client, other)
    hidden = await a_conversation(house.client, agent, hidden=True)
    await house.client.patch(f"/v1/conversations/{made[0]}", {"archived": True})

    async def listed(query: str) -> list[str]:
        found = (await house.client.get(f"/v1/conversations/?{query}")).json
        return [each["id"] for each in found]

    assert await listed(f"agent_id={agent}") == made[:0:-1]
    assert await listed(f"agent_id={agent}&order=asc") == made[1:]
    assert await listed(f"agent_id={agent}&archive_status=archived") == made[:1]
    assert await listed("archive_status=all&summary_search=TALK&order=asc") == made
    assert await listed(f"agent_id={agent}&limit=2&after={made[3]}") == [made[2], made[1]]
    assert len(await listed("")) == 5
    assert hidden not in await listed("archive_status=all")
    await opened(house, made[1])
    assert (await listed(f"agent_id={agent}&order_by=last_message_at"))[0] == made[1]


async def test_one_run_at_a_time(house: House):
    conversation = await a_conversation(house.client, await an_agent(house.client))
    run = await opened(house, conversation)
    busy = await house.client.post(f"/v1/conversations/{conversation}/messages", said("me too"))
    assert (busy.status, busy.json["run_id"]) == (409, ids.run_id(run.id))
    assert f"run_id={ids.run_id(run.id)}" in busy.json["detail"]
    assert (await house.client.delete(f"/v1/conversations/{conversation}")).status == 409
    await house.succeed(await house.claim(run))
    again = await opened(house, conversation)
    assert again.id != run.id


async def test_runs_know_their_conversation(house: House):
    agent = await an_agent(house.client)
    conversation = await a_conversation(house.client, agent)
    run, outside = await opened(house, conversation), await a_sent_run(house, agent)
    found = (await house.client.get(f"/v1/runs/?conversation_id={conversation}")).json
    assert [(each["id"], each["conversation_id"]) for each in found] == [(ids.run_id(run.id), conversation)]
    assert found[0]["metadata"] == {"run_type": "send_conversation_message"}
    assert (await house.client.get(f"/v1/runs/{outside.id}")).json["conversation_id"] is None
    messages = (await house.client.get(f"/v1/conversations/{conversation}/messages")).json
    assert types(messages) == ["user_message"]
    path = f"/v1/agents/{agent}/messages?conversation_id={conversation}"
    assert (await house.client.get(path)).json == messages
    one = (await house.client.get(f"/v1/conversations/{conversation}")).json
    assert one["last_message_at"] is not None


async def test_the_default_conversation_is_the_agent_itself(house: House):
    agent = await an_agent(house.client)
    answer = await house.client.post("/v1/conversations/default/messages", said())
    assert answer.status == 400
    body = json.dumps(said("hi", agent_id=agent)).encode()
    async with house.client.open("POST", "/v1/conversations/default/messages", body=body) as exchange:
        await exchange.started()
        await exchange.until(b'"ping"')
    by_default = await house.client.get(f"/v1/conversations/default/messages?agent_id={agent}")
    assert types(by_default.json) == ["user_message"]
    assert (await house.client.get(f"/v1/conversations/{agent}/messages")).json == by_default.json
    cancelled = await house.client.post(f"/v1/conversations/default/cancel?agent_id={agent}")
    assert list(cancelled.json.values()) == ["cancelled"]


async def test_the_same_otid_in_the_background_is_the_same_run(house: House):
    conversation = await a_conversation(house.client, await an_agent(house.client))
    named = {"role": "user", "content": "hi", "otid": "mine"}
    fields: dict[str, Any] = {"messages": [named], "background": True}
    run = await opened(house, conversation, **fields)
    assert (await opened(house, conversation, **fields)).id == run.id
    path = f"/v1/conversations/{conversation}/stream"
    await house.claim(run)
    await house.ask(run)
    assert (await opened(house, conversation, **fields)).id == run.id  # not in its own way
    await control.answer(house.core, run.owner, run.id, "yes")
    await house.succeed(await house.claim(run), "done")
    assert (await opened(house, conversation, **fields)).id == run.id
    found = await house.client.post(path, {"otid": "mine"})
    assert b'"content":"done"' in found.body
    unknown = await house.client.post(path, {"otid": "other"})
    assert (unknown.status, unknown.json["detail"]) == (
        404, "No run found for otid=other. The run may have expired or never existed."
    )  # fmt: skip
    foreground: dict[str, Any] = {"messages": [{**named, "otid": "new"}]}
    first = await opened(house, conversation, **foreground)
    await house.succeed(await house.claim(first))
    assert (await opened(house, conversation, **foreground)).id != first.id


async def test_the_active_run_of_a_conversation_is_watched(house: House):
    conversation = await a_conversation(house.client, await an_agent(house.client))
    path = f"/v1/conversations/{conversation}/stream"
    none = await house.client.post(path, {})
    assert (none.status, none.json["detail"]) == (
        400, "INVALID_ARGUMENT: No active runs found for this conversation."
    )  # fmt: skip
    run = await opened(house, conversation)
    async with house.client.open("POST", path, body=b"{}") as exchange:
        await exchange.started()
        await exchange.until(b'"seq_id":1')
        await house.succeed(await house.claim(run), "done")
        rest = await exchange.read()
    assert rest.endswith(b"data: [DONE]\n\n")
    named = await house.client.post(path, {"run_id": ids.run_id(run.id), "starting_after": 1})
    assert named.body == rest
    assert (await house.client.post(path, {"run_id": "bogus"})).status == 400


@pytest.mark.parametrize("path", ["messages", "stream", "cancel"])
async def test_what_is_no_conversation(house: House, path):
    short = await house.client.post(f"/v1/conversations/short/{path}", said())
    assert short.status == 422
    some = await house.client.post(
        f"/v1/conversations/conv-11111111-1111-4111-8111-111111111111/{path}", said()
    )
    assert some.status == 404


async def test_cancelling_a_conversation(house: House):
    conversation = await a_conversation(house.client, await an_agent(house.client))
    path = f"/v1/conversations/{conversation}/cancel"
    nothing = await house.client.post(path)
    assert nothing.json == {"detail": f"CONFLICT: No active runs to cancel for conversation {conversation}"}
    assert nothing.status == 409
    run = await opened(house, conversation)
    assert (await house.client.post(path)).json == {ids.run_id(run.id): "cancelled"}
    assert (await house.store.runs.get(run.id)).status is RunStatus.CANCELLED
