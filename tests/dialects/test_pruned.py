"""What every API says of a run whose log is pruned, and of one that is gone: something, and never a 500."""

import json

import pytest

from runwell.domain.events import StepFinished, StepStarted, ToolCalled, ToolReturned
from runwell.domain.ids import id_of_name, spell_uuid
from runwell.domain.json_gate import encode
from runwell.domain.run import Run
from runwell.domain.step import StepKind
from tests.dialects.hardwire.people import CHAT, a_person
from tests.dialects.letta.sent import a_sent_run, an_agent
from tests.dialects.recoup.wire import a_session, send_body, sent
from tests.support.house import House

MODEL_CALL = StepFinished(
    key="m", name="model", kind=StepKind.MODEL, started_at=0, output=encode({"text": "hi"})
)


async def lived(house: House, run: Run) -> Run:
    """Brought to its end, with something of everything in its log."""
    await house.claim(run)
    await house.say(run, StepStarted(key="m", name="model", kind=StepKind.MODEL), MODEL_CALL, "hi")
    await house.say(run, ToolCalled(call_id="1", name="t", arguments=encode({}), in_step="m"))
    await house.say(run, ToolReturned(call_id="1", name="t", result=encode(1)))
    return await house.succeed(run)


async def prune(house: House) -> None:
    house.clock.move(1)
    assert (await house.store.runs.prune_logs(house.clock.now(), 100)).runs == 1


async def forget(house: House) -> None:
    assert (await house.store.runs.forget(house.clock.now(), 100)).runs == 1


async def statuses(client, *paths: str) -> dict[str, int]:
    return {path: (await client.get(path)).status for path in paths}


async def test_native(house: House) -> None:
    run = await lived(house, await house.submit())
    await prune(house)
    path, client = f"/runs/run_{run.id}", house.client
    shown = (await client.get(path)).json
    assert (shown["status"], shown["output"]) == ("succeeded", "done")
    (step,) = (await client.get(f"{path}/steps")).json["steps"]
    assert (step["name"], step.get("output")) == ("model", None)
    gone = [
        await client.get(f"{path}/events"),
        await client.get(f"{path}/events?after={run.last_seq}"),
        await client.get(f"{path}/events", headers={"accept": "text/event-stream"}),
        await client.get(f"{path}/events", headers={"accept": "text/event-stream", "last-event-id": "2"}),
        await client.post(f"{path}/retry", {}),
    ]
    assert {(answer.status, answer.json["code"]) for answer in gone} == {(410, "log_pruned")}
    assert "still there" in gone[0].json["hint"]
    await forget(house)
    assert await statuses(client, path, f"{path}/events", f"{path}/steps") == {
        path: 404, f"{path}/events": 404, f"{path}/steps": 404
    }  # fmt: skip
    assert (await client.post(f"{path}/retry", {})).status == 404


async def test_recoup(house: House) -> None:
    session, chat = await a_session(house.client)
    await lived(house, await sent(house, send_body(session, chat, "tides", id="u-1")))
    await prune(house)
    read = f"/api/sessions/{session}/chats/{chat}"
    assert await statuses(house.client, f"/api/chat/{chat}/stream?startIndex=0", read) == {
        f"/api/chat/{chat}/stream?startIndex=0": 204, read: 200
    }  # fmt: skip
    assert "tides" in (await house.client.get(read)).text
    # Said again, the message is a new turn: what the earlier one was asked is not known any more.
    again = await sent(house, send_body(session, chat, "tides", id="u-1"))
    assert again.retry_of is None
    await forget(house)
    assert "tides" in (await house.client.get(read)).text


async def test_letta(house: House) -> None:
    agent = await an_agent(house.client)
    run = await lived(house, await a_sent_run(house, agent))
    path = f"/v1/runs/{run.id}"
    (step,) = (await house.client.get(f"{path}/steps")).json
    await prune(house)
    for gone in (await house.client.get(f"{path}/messages"), await house.client.post(f"{path}/stream", {})):
        assert (gone.status, gone.json["detail"][:8]) == (410, "EXPIRED:")
    one = f"/v1/steps/{step['id']}"
    kept = [path, f"{path}/usage", f"{path}/metrics", f"{path}/steps", f"/v1/agents/{agent}/messages"]
    assert set((await statuses(house.client, *kept)).values()) == {200}
    rest = [f"{path}/trace", one, f"{one}/metrics", f"{one}/trace", f"{one}/messages", "/v1/steps/"]
    assert all(status < 500 for status in (await statuses(house.client, *rest)).values())
    await forget(house)
    told = await statuses(house.client, path, f"{path}/messages", f"{path}/steps", one)
    assert set(told.values()) == {404}
    assert (await house.client.get(f"/v1/agents/{agent}/messages")).json == []


async def test_praisonai(house: House) -> None:
    run = await lived(house, await house.submit())
    await prune(house)
    path = f"/api/v1/runs/run_{run.id}"
    answer = await house.client.get(f"{path}/stream")
    assert (answer.status, answer.text[-16:]) == (200, "data: [DONE]\r\n\r\n")
    assert '"result": "done"' in answer.text
    assert (await house.client.get(f"{path}/result")).json["result"] == "done"
    await forget(house)
    paths = (path, f"{path}/result", f"{path}/stream")
    assert set((await statuses(house.client, *paths)).values()) == {404}


async def test_hardwire(house: House) -> None:
    ann = await a_person(house)
    run = await house.succeed(await house.claim(await ann.start()))
    await prune(house)
    path = f"/api/chats/{CHAT}/workflow-runs"
    (shown,) = await ann.runs()
    assert shown["status"] == "completed"
    stream = await ann.client.get(f"{path}/{spell_uuid(run.id)}/stream")
    last = json.loads(stream.text.strip().rpartition("data: ")[2])
    assert (stream.status, last["type"]) == (200, "run_completed")
    said = f"/api/chats/{CHAT}/messages"
    assert "hello" in (await ann.client.get(said)).text
    await forget(house)
    assert await ann.runs() == []
    assert (await ann.client.get(f"{path}/{spell_uuid(run.id)}/stream")).status == 404
    assert (await ann.client.get(said)).status == 200


@pytest.mark.parametrize("what", ["status", "details"])
async def test_flowyble(house: House, what: str) -> None:
    echo = spell_uuid(id_of_name("echo"))
    answer = await house.client.post(f"/v1/agents/run/{echo}", {"userMessage": "hello"})
    assert answer.status == 200, answer.text
    run = await lived(house, await house.the_only_run())
    await prune(house)
    path = f"/v1/agents/run/{spell_uuid(run.id)}/{what}"
    assert (await house.client.get(path)).status == 200
    await forget(house)
    assert (await house.client.get(path)).status == 404
