"""R1 and R2: headless runs."""

import re

import pytest

from runwell.domain.commands import AskCancel, Stop
from runwell.domain.errors import QueueFull, StoreUnavailable
from runwell.domain.ids import parse_id, spell
from runwell.domain.json_gate import decode
from runwell.domain.principal import LOCAL_OWNER
from runwell.domain.run import Run, RunStatus
from tests.dialects.recoup.wire import CORS, UNKNOWN, a_headless_run, a_message, check_refused, the_run
from tests.support.house import House, a_house

RUN_ID = re.compile(r"wrun_[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")
WORDS = {
    RunStatus.QUEUED: "queued",
    RunStatus.RUNNING: "running",
    RunStatus.WAITING: "running",
    RunStatus.SUCCEEDED: "completed",
    RunStatus.FAILED: "failed",
    RunStatus.CANCELLED: "cancelled",
}


async def brought_to(house: House, run: Run, status: RunStatus) -> Run:
    """The queued run, moved there by hand."""
    if status is RunStatus.QUEUED:
        return run
    run = await house.claim(run)
    match status:
        case RunStatus.WAITING:
            return await house.ask(run)
        case RunStatus.SUCCEEDED:
            return await house.succeed(run)
        case RunStatus.FAILED:
            return await house.fail(run)
        case RunStatus.CANCELLED:
            return await house.do(await house.do(run, AskCancel()), Stop())
        case _:
            return run


async def test_a_prompt_starts_a_run(house: House):
    answer = await house.client.post("/api/chat/runs", {"prompt": "  tides  ", "topic": "removed"})
    assert answer.status == 202
    assert list(answer.json) == ["runId", "chatId", "sessionId"]
    assert RUN_ID.match(answer.json["runId"])
    assert answer.headers["location"] == f"/api/chat/runs/{answer.json['runId']}"
    assert CORS.items() <= answer.headers.items()
    run = await the_run(house, answer.json)
    assert (run.agent, run.source, run.status) == ("echo", "recoup", RunStatus.QUEUED)
    line = (await house.store.events.read(run.id, 0, 1))[0]
    assert decode(line.event.input) == "tides"


async def test_a_link_carries_the_mount_that_it_was_asked_through(house: House):
    answer = await house.client.post("/recoup/api/chat/runs", {"prompt": "x"})
    assert answer.headers["location"] == f"/recoup/api/chat/runs/{answer.json['runId']}"
    assert (await house.client.get(answer.headers["location"])).status == 200


async def test_earlier_messages_are_in_the_chat_before_the_run(house: House):
    said = {
        "id": "a1",
        "role": "assistant",
        "parts": [{"type": "step-start"}, {"type": "text", "text": "Hi"}],
    }
    called = {"role": "assistant", "parts": [{"type": "tool-x", "input": "secret"}]}
    messages = [a_message("first"), said, called, {"role": "weird"}, 7, a_message("second", id="u2")]
    started = await a_headless_run(house.client, messages=messages, prompt=" ")
    kept = await house.store.threads.messages(parse_id(started["chatId"]), limit=10)
    assert [message.role for message in kept] == ["user", "assistant", "user"]
    path = f"/api/sessions/{started['sessionId']}/chats/{started['chatId']}"
    shown = (await house.client.get(path)).json["messages"]
    assert [(message["id"], message["parts"][0]["text"]) for message in shown] == [
        ("u1", "first"), ("a1", "Hi"), ("u2", "second"),
    ]  # fmt: skip


async def test_a_model_that_is_an_agents_name_is_that_agent(house: House):
    for model, agent, shown in (
        ("counter", "counter", "counter"),
        (" x/y ", "echo", "x/y"),
        (" ", "echo", "echo"),
    ):
        answer = await house.client.post("/api/chat/runs", {"prompt": "5", "model": model})
        if agent == "counter":
            # It wants a number, and is told so before anything is kept.
            assert answer.status == 400
            continue
        run = await the_run(house, answer.json)
        assert run.agent == agent
        path = f"/api/sessions/{answer.json['sessionId']}/chats/{answer.json['chatId']}"
        assert (await house.client.get(path)).json["chat"]["modelId"] == shown


@pytest.mark.parametrize(
    ("body", "path", "text"),
    [
        (b"{", None, "Invalid JSON body"),
        (b"", None, "Invalid JSON body"),
        (b'{"prompt": "\xff"}', None, "Invalid JSON body"),
        (b"[" * 100_000, None, "Invalid JSON body"),
        (b"[]", [], "Invalid input: expected object, received array"),
        (b"{}", None, "Exactly one of prompt or messages must be provided"),
        (b'{"prompt": "  ", "messages": []}', None, "Exactly one of prompt or messages must be provided"),
        (b'{"prompt":"a","messages":[1]}', None, "Exactly one of prompt or messages must be provided"),
        (b'{"prompt": 7}', ["prompt"], "Invalid input: expected string, received number"),
        (b'{"prompt": null}', ["prompt"], "Invalid input: expected string, received null"),
        (b'{"messages": {}}', ["messages"], "Invalid input: expected array, received object"),
        (b'{"prompt":"a","artistId":"x"}', ["artistId"], "artistId must be a valid UUID"),
        (b'{"prompt":"a","artistId":true}', ["artistId"], "Invalid input: expected string, received boolean"),
        (b'{"prompt": "a\\u0000"}', ["$.prompt"], "$.prompt: a NUL character"),
        (b'{"messages": [{"role": "assistant", "parts": []}]}', ["messages"], None),
    ],
)
async def test_a_faulty_body_is_told_before_anybody_is_asked_for_a_key(tmp_path, body, path, text):
    async with a_house(tmp_path, local_mode=False) as house:
        answer = await house.client.post("/api/chat/runs", body=body)
        more = {} if path is None else {"missing_fields": path}
        check_refused(answer, 400, text, **more)


async def test_nobody_acts_for_another_account(house: House):
    own = (await house.client.post("/api/sessions", {})).json["session"]["userId"]
    assert (await house.client.post("/api/chat/runs", {"prompt": "a", "accountId": own})).status == 202
    foreign = await house.client.post("/api/chat/runs", {"prompt": "a", "accountId": UNKNOWN})
    check_refused(foreign, 403, "Access denied to specified account_id")
    elsewhere = await house.client.post("/api/chat/runs", {"prompt": "a", "organizationId": UNKNOWN})
    check_refused(elsewhere, 403, "Access denied to specified organization_id")


@pytest.mark.parametrize("error", [QueueFull, StoreUnavailable])
async def test_a_run_that_cannot_be_started_leaves_no_chat_behind(house: House, monkeypatch, error):
    async def refused(*args, **kwargs):
        raise error("not now", "Later.", 3)

    monkeypatch.setattr(house.store.runs, "add", refused)
    answer = await house.client.post("/api/chat/runs", {"prompt": "a"})
    check_refused(answer, 503, "not now. Later.")
    assert answer.headers["retry-after"] == "3"
    for space in ("recoup.sessions", "recoup.chats"):
        assert await house.store.documents.page(LOCAL_OWNER, space, limit=10) == []
    assert await house.store.threads.page(LOCAL_OWNER, before=None, limit=10) == []


@pytest.mark.parametrize("status", list(RunStatus))
async def test_a_status_is_two_keys(house: House, status):
    started = await a_headless_run(house.client)
    await brought_to(house, await the_run(house, started), status)
    answer = await house.client.get(f"/api/chat/runs/{started['runId']}")
    assert (answer.status, answer.json) == (200, {"runId": started["runId"], "status": WORDS[status]})
    assert list(answer.json) == ["runId", "status"]
    assert CORS.items() <= answer.headers.items()
    assert ("retry-after" in answer.headers) == (
        status not in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)
    )


async def test_a_run_of_another_api_has_a_status_here_and_is_called_as_it_was_asked_for(house: House):
    run = await house.submit()
    for text in (spell("run", run.id), run.id):
        assert (await house.client.get(f"/api/chat/runs/{text}")).json == {"runId": text, "status": "queued"}


@pytest.mark.parametrize("id", ["abc", "wrun_01KVWZNM82NA7XKNEWWHG8VPHJ", UNKNOWN, "%22%2C", "wrun_ILOU"])
async def test_a_run_that_is_not_there_is_404_whatever_its_id(house: House, id):
    check_refused(await house.client.get(f"/api/chat/runs/{id}"), 404, "Run not found")
