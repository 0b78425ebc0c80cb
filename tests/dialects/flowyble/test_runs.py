"""F1–F6: starting agents and tools, and what is read of their runs."""

from uuid import uuid4

import pytest
from msgspec.structs import replace

from runwell import agent
from runwell.dialects.flowyble.shown import LARGEST_KEPT, MOST_BYTES, Shown
from runwell.domain.commands import AskCancel, Stop
from runwell.domain.errors import LogPruned
from runwell.domain.events import ToolCalled, ToolReturned, UsageCounted
from runwell.domain.ids import derived_id, parse_id, spell_uuid
from runwell.domain.json_gate import decode, encode
from runwell.domain.run import Run, RunStatus, Usage
from runwell.engine import control
from tests.dialects.flowyble.agents import COUNTER, ECHO, SEARCH, SHOUT, uuid_of
from tests.support.asgi import Answer
from tests.support.house import House, a_house

STATUS = [
    "id", "agentId", "status", "userMessage", "finalOutput", "errorMessage", "stepsExecuted", "tokensUsed",
    "actionsUsed", "creditsUsed", "createdAt", "startedAt", "finishedAt",
]  # fmt: skip
TOOL_STATUS = [
    "id", "toolId", "status", "statusInt", "errorMessage", "tokensUsed", "actionsUsed", "createdAt",
    "startedAt", "finishedAt", "duration",
]  # fmt: skip
TOOL_RESULT = [
    "id", "toolId", "toolName", "status", "statusInt", "inputData", "outputData", "outputSchema",
    "errorMessage", "tokensUsed", "actionsUsed", "duration",
]  # fmt: skip
WORDS = {
    RunStatus.QUEUED: "Pending",
    RunStatus.RUNNING: "Running",
    RunStatus.WAITING: "Running",
    RunStatus.SUCCEEDED: "Completed",
    RunStatus.FAILED: "Failed",
    RunStatus.CANCELLED: "Cancelled",
}
NOBODYS = derived_id("nobody")


async def started(house: House, id: str = ECHO, body: object = None, kind: str = "agents") -> Run:
    given = body if body is not None else {"userMessage": "hello"}
    answer = await house.client.post(f"/v1/{kind}/run/{id}", given)
    assert answer.status == 200, answer.text
    return await house.store.runs.get(parse_id(answer.json["id"]))


async def read(house: House, run: Run, what: str = "status", kind: str = "agents") -> Answer:
    return await house.client.get(f"/v1/{kind}/run/{spell_uuid(run.id)}/{what}")


async def brought_to(house: House, run: Run, status: RunStatus) -> Run:
    """The queued run, moved there by hand."""
    if status is RunStatus.QUEUED:
        return run
    run = await house.claim(run)
    match status:
        case RunStatus.RUNNING:
            return run
        case RunStatus.WAITING:
            return await house.ask(run)
        case RunStatus.SUCCEEDED:
            return await house.succeed(run)
        case RunStatus.FAILED:
            return await house.fail(run)
        case RunStatus.CANCELLED:
            return await house.do(await house.do(run, AskCancel()), Stop())


def check_refused(answer: Answer, status: int, *words: str) -> None:
    assert answer.status == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json) == ["success", "message"]
    assert answer.json["success"] is False
    for word in words:
        assert word in answer.json["message"]


async def test_an_agent_is_started_with_a_message(house: House):
    answer = await house.client.post(f"/v1/agents/run/{ECHO}", {"userMessage": "hello", "unknown": 1})
    assert answer.status == 200
    assert list(answer.json) == ["success", "id", "status", "message"]
    id = answer.json["id"]
    assert id == spell_uuid(parse_id(id))
    assert answer.json == {"success": True, "id": id, "status": "Pending", "message": "Agent run started"}
    run = await house.the_only_run()
    assert (run.agent, run.source, run.thread_id) == ("echo", "flowyble", None)


async def test_a_fresh_run_has_every_field(house: House):
    run = await started(house)
    answer = await read(house, run)
    assert (answer.status, list(answer.json)) == (200, STATUS)
    assert answer.headers["retry-after"] == "1"
    assert answer.json == {
        "id": spell_uuid(run.id), "agentId": ECHO, "status": "Pending", "userMessage": "hello",
        "finalOutput": None, "errorMessage": None, "stepsExecuted": 0, "tokensUsed": 0, "actionsUsed": 0,
        "creditsUsed": 0, "createdAt": "2027-01-15T08:00:00Z", "startedAt": None, "finishedAt": None,
    }  # fmt: skip


async def test_a_completed_run_tells_what_came_of_it(house: House):
    run = await started(house)
    house.clock.move(1.9)
    await house.claim(run)
    used = Usage(input_tokens=2000, output_tokens=450, model_calls=3, tool_calls=2, credits=0.85)
    await house.say(run, UsageCounted(usage=used))
    house.clock.move(10)
    await house.succeed(run, "The report shows growth.")
    shown = (await read(house, run)).json
    assert shown["status"] == "Completed"
    assert shown["finalOutput"] == "The report shows growth."
    assert (shown["tokensUsed"], shown["actionsUsed"], shown["creditsUsed"]) == (2450, 2, 0.85)
    assert shown["startedAt"] == "2027-01-15T08:00:01Z"
    assert shown["finishedAt"] == "2027-01-15T08:00:11Z"


@pytest.mark.parametrize("status", list(RunStatus))
async def test_every_status_has_its_word(house: House, status: RunStatus):
    run = await brought_to(house, await started(house), status)
    assert run.status is status
    shown = (await read(house, run)).json
    assert shown["status"] == WORDS[status]
    assert (shown["finalOutput"] is not None) == (status is RunStatus.SUCCEEDED)
    assert shown["errorMessage"] == ("it broke" if status is RunStatus.FAILED else None)
    assert (shown["finishedAt"] is not None) == run.final
    assert (await read(house, run, "details")).json == {**shown, "steps": []}


@pytest.mark.parametrize("status", list(RunStatus))
async def test_every_status_of_a_tool_has_its_word_and_number(house: House, status: RunStatus):
    run = await brought_to(house, await started(house, SEARCH, {"query": "x"}, "tools"), status)
    shown = (await read(house, run, kind="tools")).json
    number = ["Pending", "Running", "Completed", "Failed", "Cancelled"].index(WORDS[status])
    assert list(shown) == TOOL_STATUS
    assert (shown["status"], shown["statusInt"]) == (WORDS[status], number)
    result = (await read(house, run, "result", "tools")).json
    assert list(result) == TOOL_RESULT
    assert (result["status"], result["statusInt"]) == (WORDS[status], number)
    assert result["outputData"] == ('"done"' if status is RunStatus.SUCCEEDED else "")
    assert result["errorMessage"] == shown["errorMessage"]
    assert (result["errorMessage"] is not None) == (status is RunStatus.FAILED)


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        ({"a": [1, "ü"]}, '{"a":[1,"ü"]}'),
        (3, "3"),
        (None, "null"),
        (True, "true"),
    ],
)
async def test_any_output_is_a_text(house: House, output: object, text: str):
    run = await started(house)
    await house.claim(run)
    await house.succeed(run, output)
    assert (await read(house, run)).json["finalOutput"] == text


async def test_a_status_follows_its_run(house: House):
    """What is remembered of it is never shown for another state."""
    run = await started(house)
    seen = []
    for move in (lambda run: None, house.claim, house.ask):
        if (moved := move(run)) is not None:
            run = await moved
        seen += [(await read(house, run)).json["status"] for _ in range(2)]
    assert seen == ["Pending", "Pending", "Running", "Running", "Running", "Running"]
    await control.answer(house.core, run.owner, run.id, "yes")
    assert (await read(house, run)).json["status"] == "Pending"


async def test_many_runs_are_not_remembered_for_ever(house: House):
    shown, run = Shown(), await started(house)
    body = b"x" * LARGEST_KEPT
    many = MOST_BYTES // LARGEST_KEPT
    for number in range(many + 5):
        shown.keep(replace(run, id=f"{number:032x}"), body)
        shown.keep(replace(run, id=f"{number:032x}"), body)
    assert shown.size == MOST_BYTES
    assert shown.get(replace(run, id=f"{4:032x}")) is None
    assert shown.get(replace(run, id=f"{5:032x}")) == body
    shown.keep(replace(run, id=f"{5:032x}"), body + b"x")
    assert shown.get(replace(run, id=f"{5:032x}")) is None
    assert shown.size == MOST_BYTES - len(body)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "not JSON"), (b"{", "not JSON"), (b'"hello"', "$: Expected `object`"),
        (b"{}", "userMessage"), (b'{"userMessage": null}', "$.userMessage"),
        (b'{"userMessage": 3}', "$.userMessage"), (b'{"userMessage": ""}', "$.userMessage"),
        (b'{"userMessage": "a\\u0000"}', "$.userMessage: a NUL character"),
        (b'{"userMessage": "x", "conversationId": "abc"}', "$.conversationId: is not a UUID"),
        (b'{"userMessage": "x", "conversationId": 3}', "$.conversationId"),
        (b'{"userMessage": "x", "a": ' + b"[" * 5000, "nested deeper"),
        (b'{"userMessage": "\xff"}', "not JSON"),
    ],
)  # fmt: skip
async def test_a_bad_message_is_400_and_says_why(house: House, body: bytes, word: str):
    check_refused(await house.client.post(f"/v1/agents/run/{ECHO}", body=body), 400, word)


async def test_an_agent_that_takes_no_text_says_so(house: House):
    answer = await house.client.post(f"/v1/agents/run/{COUNTER}", {"userMessage": "three"})
    check_refused(answer, 400, "integer")


@pytest.mark.parametrize("agent", [spell_uuid(NOBODYS), "echo", "x", SEARCH, "a" * 500])
async def test_only_agents_are_agents(house: House, agent: str):
    check_refused(
        await house.client.post(f"/v1/agents/run/{agent}", {"userMessage": "x"}), 404, "no agent", agent[:80]
    )


@pytest.mark.parametrize("tool", [spell_uuid(NOBODYS), "search", "x", ECHO])
async def test_only_tools_are_tools(house: House, tool: str):
    check_refused(await house.client.post(f"/v1/tools/run/{tool}", {}), 404, "There is no tool", tool)


@pytest.mark.parametrize(
    "spelled", [str.upper, lambda id: id.replace("-", ""), lambda id: f"agent_{parse_id(id)}"]
)
async def test_ids_are_read_in_any_spelling(house: House, spelled):
    run = await started(house, spelled(ECHO))
    shown = await house.client.get(f"/v1/agents/run/{spell_uuid(run.id).upper()}/status")
    assert shown.json["agentId"] == ECHO


async def test_a_conversation_is_a_thread_that_queues(house: House):
    conversation = str(uuid4())
    body = {"userMessage": "one", "conversationId": conversation}
    first, second = await started(house, body=body), await started(house, body={**body, "userMessage": "two"})
    assert first.thread_id == second.thread_id == conversation.replace("-", "")
    said = await house.store.threads.messages(first.thread_id, limit=10)
    assert [decode(message.content) for message in said] == ["one", "two"]
    assert (await read(house, second)).json["status"] == "Pending"
    assert (await started(house, body={"userMessage": "x", "conversationId": None})).thread_id is None


async def test_a_tool_takes_an_object_or_nothing(house: House):
    run = await started(house, SEARCH, {"query": "tides", "limit": 2}, "tools")
    house.clock.move(1)
    await house.claim(run)
    house.clock.move(0.25)
    await house.succeed(run, ["a", "b"])
    result = (await read(house, run, "result", "tools")).json
    assert result == {
        "id": spell_uuid(run.id), "toolId": SEARCH, "toolName": "search", "status": "Completed",
        "statusInt": 2, "inputData": '{"query":"tides","limit":2}', "outputData": '["a","b"]',
        "outputSchema": '{"items":{"type":"string"},"type":"array"}', "errorMessage": None, "tokensUsed": 0,
        "actionsUsed": 0, "duration": 250,
    }  # fmt: skip
    shown = (await read(house, run, kind="tools")).json
    assert (shown["toolId"], shown["duration"]) == (SEARCH, 250)
    assert "retry-after" not in (await read(house, run, kind="tools")).headers


async def test_a_tool_may_be_started_without_a_body(tmp_path):
    @agent(kind="tool")
    async def today() -> str:
        return "Monday"

    async with a_house(tmp_path, agents=(today,)) as house:
        answer = await house.client.post(f"/v1/tools/run/{uuid_of('today')}")
        assert answer.json["message"] == "Tool run started"
        run = await house.the_only_run()
        assert (await read(house, run, "result", "tools")).json["inputData"] == "{}"


async def test_a_tool_of_one_parameter_takes_it_by_name_and_may_return_anything(house: House):
    run = await started(house, SHOUT, {"text": "hello"}, "tools")
    result = (await read(house, run, "result", "tools")).json
    assert (result["inputData"], result["outputSchema"]) == ('{"text":"hello"}', "{}")


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"[]", "not an object"), (b"3", "not an object"), (b"{", "not JSON"), (b"{}", "query"),
        (b"", "query"), (b'{"query": 3}', "query"), (b'{"query": "x", "wrong": 1}', "wrong"),
        (b'{"query": "x\\u0000"}', "NUL"), (b"[" * 5000, "nested deeper"), (b'{"query": "\xff"}', "not JSON"),
    ],
)  # fmt: skip
async def test_a_tool_refuses_what_does_not_fit(house: House, body: bytes, word: str):
    check_refused(await house.client.post(f"/v1/tools/run/{SEARCH}", body=body), 400, word)


@pytest.mark.parametrize(
    ("kind", "what", "word"),
    [
        ("agents", "status", "agent run"), ("agents", "details", "agent run"),
        ("tools", "status", "tool run"), ("tools", "result", "tool run"),
    ],
)  # fmt: skip
async def test_unknown_malformed_and_other_runs_are_the_same_404(house: House, kind, what, word):
    other = (
        await started(house, SEARCH, {"query": "x"}, "tools") if kind == "agents" else await started(house)
    )
    for id in (spell_uuid(NOBODYS), "abc", "550e8400-e29b-41d4-a716-44665544000", spell_uuid(other.id)):
        answer = await house.client.get(f"/v1/{kind}/run/{id}/{what}")
        check_refused(answer, 404, f"There is no {word} {id}")


async def test_runs_started_elsewhere_are_shown_too(house: House):
    run = await house.submit("hi")
    assert (await read(house, run)).json["agentId"] == ECHO
    count = await house.submit(3, agent="counter")
    shown = (await read(house, count)).json
    assert (shown["agentId"], shown["userMessage"]) == (COUNTER, "3")
    tool = await house.submit({"query": "x"}, agent="search")
    assert (await read(house, tool, kind="tools")).json["toolId"] == SEARCH
    assert (await read(house, tool)).status == 404


async def test_an_agent_that_is_gone_still_has_its_runs(house: House):
    await house.client.put("/agents/mine", {"model": "m"})
    agent = (await house.client.get("/agents/mine")).json["id"]
    run = await started(house, agent)
    elsewhere = await house.submit("x", agent="mine")
    assert (await house.client.delete("/agents/mine")).status == 204
    assert (await read(house, run)).json["agentId"] == spell_uuid(parse_id(agent))
    assert (await read(house, elsewhere)).json["status"] == "Pending"


async def test_a_retry_is_of_the_same_agent(house: House):
    run = await started(house, SEARCH, {"query": "x"}, "tools")
    await house.claim(run)
    again = (await control.retry(house.core, run.owner, (await house.fail(run)).id)).run
    shown = (await read(house, again, "result", "tools")).json
    assert (shown["toolId"], shown["inputData"]) == (SEARCH, '{"query":"x"}')


async def test_without_its_log_a_run_keeps_its_numbers(house: House, monkeypatch):
    run = await started(house)
    await house.claim(run)
    await house.say(run, ToolCalled(call_id="1", name="t", arguments=encode({})))
    await house.say(run, ToolReturned(call_id="1", name="t", result=encode(1)))
    await house.succeed(run, "out")

    async def pruned(*args, **kwargs):
        raise LogPruned(run.id)

    monkeypatch.setattr(house.store.events, "read", pruned)
    shown = (await read(house, run, "details")).json
    assert (shown["userMessage"], shown["finalOutput"], shown["steps"]) == ("", "out", [])


async def test_a_slash_behind_a_path_is_another_path(house: House):
    check_refused(
        await house.client.post(f"/v1/agents/run/{ECHO}/", {"userMessage": "x"}), 404, "no such path"
    )
    check_refused(await house.client.get(f"/v1/agents/run/{ECHO}"), 405, "GET", "POST")
