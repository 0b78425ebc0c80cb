"""Runs that ask: answered in a new run that goes on from there, and in the way of everything else."""

import json

import pytest

from runwell.dialects.letta import ids
from runwell.domain import json_gate
from runwell.domain.events import RunCreated
from runwell.domain.run import Reason, Run, RunStatus
from tests.dialects.letta.sent import a_conversation, a_sent_run, an_agent, said, shown, types
from tests.support.house import House

APPROVAL = {"kind": "approval", "tool": "rm", "arguments": {"path": "/"}, "call_id": "c1"}
EXTERNAL = {"kind": "external", "tool": "look", "arguments": {}, "call_id": "c1"}


def approval(approve: bool, call_id: str = "c1", **fields) -> dict:
    given = {"type": "approval", "approve": approve, "tool_call_id": call_id, **fields}
    return {"messages": [{"type": "approval", "approvals": [given]}]}


def brought(text: str, call_id: str = "c1", status: str = "success") -> dict:
    given = {"type": "tool", "tool_call_id": call_id, "tool_return": text, "status": status}
    return {"messages": [{"type": "tool_return", "tool_returns": [given]}]}


async def an_asking_run(house: House, question) -> tuple[str, Run]:
    agent = await an_agent(house.client)
    run = await a_sent_run(house, agent)
    return agent, await house.ask(await house.claim(run), question)


async def test_new_words_are_refused_while_a_run_asks(house: House):
    agent, run = await an_asking_run(house, APPROVAL)
    for path in ("messages", "messages/async", "messages/stream"):
        answer = await house.client.post(f"/v1/agents/{agent}/{path}", said("hello?"))
        detail = answer.json["detail"]
        assert (answer.status, answer.headers["x-should-retry"]) == (409, "false")
        assert detail["code"] == "PENDING_APPROVAL"
        assert detail["message"].startswith("CONFLICT: ")
    messages = (await house.client.get(f"/v1/runs/{run.id}/messages")).json
    assert detail["pending_request_id"] == messages[-1]["id"]
    assert types(messages) == ["user_message", "approval_request_message"]


@pytest.mark.parametrize(
    ("question", "body", "value", "returned"),
    [
        (APPROVAL, approval(True), {"approved": True}, None),
        (APPROVAL, approval(False), {"approved": False}, "Error: request to call tool denied."),
        (APPROVAL, approval(False, reason="no"), {"approved": False, "message": "no"},
         "Error: request to call tool denied. User reason: no"),
        (APPROVAL, {"messages": [{"type": "approval", "approve": True, "approval_request_id": "m"}]},
         {"approved": True}, None),
        (EXTERNAL, brought("found it"), "found it", "found it"),
        (EXTERNAL, {"messages": [{"type": "approval", "approvals": [
            {"type": "tool", "tool_call_id": "c1", "tool_return": [{"type": "text", "text": "it"}],
             "status": "success"}]}]}, "it", "it"),
        (EXTERNAL, approval(False), "Error: request to call tool denied.",
         "Error: request to call tool denied."),
        ("May I?", approval(True, "q"), "yes", "yes"),
        ("May I?", approval(False, "q"), "no", "no"),
        ("Which?", approval(True, "q", reason="the left one"), "the left one", "the left one"),
        ("Which?", brought("the left one", "q"), "the left one", "the left one"),
    ],
)  # fmt: skip
async def test_an_answer_goes_on_in_a_new_run(house: House, question, body, value, returned):
    agent, asked = await an_asking_run(house, question)
    answer = await house.client.post(f"/v1/agents/{agent}/messages/async", body)
    assert answer.status == 200, answer.text
    run = await house.store.runs.get(ids.read(answer.json["id"]) or "")
    assert run.continues == asked.id
    created = (await house.store.events.read(run.id, 0, 1))[0].event
    assert isinstance(created, RunCreated)
    assert [json_gate.decode(each) for each in created.answers.values()] == [value]
    before = await house.store.runs.get(asked.id)
    assert (before.status, before.reason) == (RunStatus.SUCCEEDED, Reason.CONTINUED)
    messages = (await house.client.get(f"/v1/runs/{run.id}/messages")).json
    assert [message["tool_return"] for message in messages] == ([] if returned is None else [returned])
    assert answer.json["metadata"]["run_type"] == "send_message_async"
    assert (await house.client.post(f"/v1/agents/{agent}/messages/async", said("next"))).status == 200


@pytest.mark.parametrize(
    ("question", "body", "words"),
    [
        (APPROVAL, approval(True, "other"),
         "Invalid tool call IDs. Expected '['c1']', but received '['other']'."),
        (APPROVAL, brought("x"), "waits for an approval"),
        (EXTERNAL, approval(True), "is made by the client"),
    ],
)  # fmt: skip
async def test_answers_to_something_else(house: House, question, body, words):
    agent, asked = await an_asking_run(house, question)
    answer = await house.client.post(f"/v1/agents/{agent}/messages", body)
    assert answer.status == 400
    assert words in answer.json["detail"]
    assert (await house.store.runs.get(asked.id)).status is RunStatus.WAITING


async def test_several_answers_where_one_is_asked_for(house: House):
    agent, _ = await an_asking_run(house, APPROVAL)
    body = {"messages": [*approval(True)["messages"], *approval(True, "c2")["messages"]]}
    answer = await house.client.post(f"/v1/agents/{agent}/messages", body)
    assert (answer.status, "'['c1', 'c2']'" in answer.json["detail"]) == (400, True)


async def test_an_answer_and_new_words_are_not_sent_together(house: House):
    agent, _ = await an_asking_run(house, APPROVAL)
    body = {"messages": [*approval(True)["messages"], {"role": "user", "content": "hi"}]}
    assert (await house.client.post(f"/v1/agents/{agent}/messages", body)).status == 422


async def test_an_answer_when_nothing_is_asked(house: House):
    agent = await an_agent(house.client)
    answer = await house.client.post(f"/v1/agents/{agent}/messages", approval(True))
    assert answer.status == 400
    assert answer.json["detail"].endswith("No tool call is currently awaiting approval.")


async def test_an_answer_sent_again_is_the_same_run(house: House):
    agent, _ = await an_asking_run(house, APPROVAL)
    path = f"/v1/agents/{agent}/messages/async"
    first, second = [(await house.client.post(path, approval(True))).json for _ in range(2)]
    assert first == second
    run = await house.store.runs.get(ids.read(first["id"]) or "")
    await house.ask(await house.claim(run), {**APPROVAL, "call_id": "c2"})
    assert (await house.client.post(path, approval(True))).json["id"] == first["id"]
    assert (await house.client.post(path, approval(True, "c2"))).json["id"] != first["id"]


async def test_of_several_that_ask_the_named_one_is_answered(house: House):
    agent = await an_agent(house.client)
    first, second = await a_sent_run(house, agent), await a_sent_run(house, agent)
    await house.ask(await house.claim(first), APPROVAL)
    await house.ask(await house.claim(second), {**APPROVAL, "call_id": "c2"})
    await house.client.post(f"/v1/agents/{agent}/messages/async", approval(True, "c1"))
    assert (await house.store.runs.get(first.id)).status is RunStatus.SUCCEEDED
    assert (await house.store.runs.get(second.id)).status is RunStatus.WAITING


async def test_a_conversation_goes_on_in_itself(house: House):
    conversation = await a_conversation(house.client, await an_agent(house.client))
    body = json.dumps(said("rm")).encode()
    path = f"/v1/conversations/{conversation}/messages"
    async with house.client.open("POST", path, body=body) as exchange:
        await exchange.started()
        await exchange.until(b'"ping"')
        run = await house.the_only_run()
        await house.ask(await house.claim(run), APPROVAL)
        assert b"requires_approval" in await exchange.read()
    busy = await house.client.post(path, said("hello?"))
    assert busy.json["detail"]["code"] == "PENDING_APPROVAL"
    house.clock.move(1)
    async with house.client.open("POST", path, body=json.dumps(approval(False)).encode()) as exchange:
        await exchange.started()
        frame = await exchange.until(b"tool_return_message")
        assert b"denied" in frame
        run_id = json.loads(frame.rpartition(b"data: ")[2])["run_id"]
    next_run = await house.store.runs.get(ids.read(run_id) or "")
    assert (await shown(house, next_run))["conversation_id"] == conversation
    assert next_run.in_order
