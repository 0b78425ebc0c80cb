"""R6 to R10: sessions, chats, and what was said in them."""

import pytest
from msgspec.structs import replace

from runwell.dialects.recoup.words import account_word
from runwell.domain.commands import AskCancel, Stop, Succeed
from runwell.domain.errors import LogPruned
from runwell.domain.events import TextDelta, ToolCalled, ToolReturned
from runwell.domain.ids import parse_id
from runwell.domain.json_gate import encode
from runwell.domain.lifecycle import decide
from runwell.domain.principal import LOCAL_OWNER
from runwell.domain.thread import IfBusy, Role
from runwell.engine import control, threads
from runwell.ports.store import NewMessage
from tests.dialects.recoup.wire import (
    UNKNOWN,
    a_headless_run,
    a_session,
    check_refused,
    send_body,
    sent,
    the_run,
)
from tests.support.house import House

SESSION = [
    "id", "userId", "artistId", "title", "status", "repoOwner", "repoName", "branch", "cloneUrl",
    "isNewBranch", "globalSkillRefs", "sandboxState", "lifecycleState", "lifecycleVersion",
    "lastActivityAt", "sandboxExpiresAt", "hibernateAfter", "lifecycleRunId", "lifecycleError",
    "linesAdded", "linesRemoved", "snapshotUrl", "snapshotCreatedAt", "snapshotSizeBytes", "cachedDiff",
    "cachedDiffUpdatedAt", "createdAt", "updatedAt",
]  # fmt: skip
CHAT = [
    "id", "sessionId", "title", "modelId", "activeStreamId", "lastAssistantMessageAt", "createdAt",
    "updatedAt",
]  # fmt: skip


async def read(house: House, session: str, chat: str):
    return (await house.client.get(f"/api/sessions/{session}/chats/{chat}")).json


async def texts(house: House, session: str, chat: str) -> list[str]:
    """What stands in each message, last."""
    messages = (await read(house, session, chat))["messages"]
    return [f"{message['role']}: {message['parts'][-1]['text']}" for message in messages]


async def test_a_session_comes_with_a_chat(house: House):
    artist = UNKNOWN
    made = (await house.client.post("/api/sessions", {"title": " Tides ", "artistId": artist})).json
    assert list(made) == ["session", "chat"]
    assert list(made["session"]) == SESSION
    assert list(made["chat"]) == CHAT
    session, chat = made["session"], made["chat"]
    assert (session["title"], session["artistId"], session["status"]) == ("Tides", artist, "running")
    assert session["userId"] == account_word(LOCAL_OWNER)
    assert (chat["title"], chat["sessionId"], chat["activeStreamId"]) == ("New chat", session["id"], None)
    assert session["createdAt"].endswith(".000Z")
    assert (await house.client.get(f"/api/sessions/{session['id']}")).json == {"session": session}
    assert (await house.client.post("/api/sessions")).status == 200


@pytest.mark.parametrize(
    ("body", "status", "text", "path"),
    [
        ({"title": 1}, 400, "Invalid input: expected string, received number", ["title"]),
        ({"title": " "}, 400, "title must not be empty", ["title"]),
        ({"artistId": "x"}, 400, "artistId must be a valid UUID", ["artistId"]),
        ({"organizationId": "x"}, 400, "organizationId must be a valid UUID", ["organizationId"]),
        ({"organizationId": UNKNOWN}, 403, "Access denied to specified organization_id", None),
    ],
)
async def test_a_session_that_cannot_be_is_told(house: House, body, status, text, path):
    more = {} if path is None else {"missing_fields": path}
    check_refused(await house.client.post("/api/sessions", body), status, text, **more)


async def test_a_session_is_changed(house: House):
    session, _ = await a_session(house.client)
    house.clock.move(5)
    change = {"title": "New", "status": "archived", "linesAdded": 3, "unknown": 1}
    changed = (await house.client.patch(f"/api/sessions/{session}", change)).json["session"]
    assert (changed["title"], changed["status"], changed["linesAdded"]) == ("New", "archived", 3)
    assert changed["updatedAt"] > changed["createdAt"]
    assert (await house.client.get(f"/api/sessions/{session}")).json["session"] == changed
    for body, path in (({"status": "odd"}, ["status"]), ({"linesRemoved": "1"}, ["linesRemoved"])):
        check_refused(await house.client.patch(f"/api/sessions/{session}", body), 400, path=path)
    halved = await house.client.patch(f"/api/sessions/{session}", {"linesAdded": 1.5})
    check_refused(halved, 400, "Invalid input: expected int, received number", path=["linesAdded"])
    faulty = await house.client.patch(f"/api/sessions/{session}", body=b"{")
    check_refused(faulty, 400, "Invalid JSON body")


async def test_chats_are_listed_oldest_first_with_what_happens_in_them(house: House):
    session, first = await a_session(house.client)
    house.clock.move(1)
    second = (await house.client.post(f"/api/sessions/{session}/chats", {})).json["chat"]["id"]
    run = await sent(house, send_body(session, second))
    listed = (await house.client.get(f"/api/sessions/{session}/chats")).json
    assert list(listed) == ["chats", "defaultModelId"]
    assert listed["defaultModelId"] == "echo"
    assert [list(chat) for chat in listed["chats"]] == [[*CHAT, "hasUnread", "isStreaming"]] * 2
    assert [chat["id"] for chat in listed["chats"]] == [first, second]
    assert [chat["isStreaming"] for chat in listed["chats"]] == [False, True]
    assert listed["chats"][1]["activeStreamId"].startswith("wrun_")
    await house.succeed(await house.claim(run))
    house.clock.move(1)
    url = f"/api/sessions/{session}/chats"
    assert [chat["hasUnread"] for chat in (await house.client.get(url)).json["chats"]] == [False, True]
    assert (await house.client.post(f"{url}/{second}/read")).json == {"success": True}
    after = (await house.client.get(url)).json["chats"][1]
    assert (after["hasUnread"], after["isStreaming"], after["activeStreamId"]) == (False, False, None)
    assert after["lastAssistantMessageAt"] is not None


async def test_a_chat_with_an_id_of_the_callers_is_made_once(house: House):
    session, _ = await a_session(house.client)
    other, _ = await a_session(house.client)
    body = {"id": UNKNOWN.upper()}
    for _ in range(2):
        made = await house.client.post(f"/api/sessions/{session}/chats", body)
        assert (made.status, made.json["chat"]["id"]) == (200, UNKNOWN)
    conflict = await house.client.post(f"/api/sessions/{other}/chats", body)
    assert (conflict.status, conflict.json) == (
        409,
        {"error": "Chat ID conflict", "message": "Chat ID conflict"},
    )
    await threads.create(house.core, "eve", id="a" * 12 + "4" + "a" * 3 + "8" + "a" * 15)
    foreign = {"id": "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"}
    assert (await house.client.post(f"/api/sessions/{session}/chats", foreign)).status == 409
    for id in ("", "x", 5, None):
        faulty = await house.client.post(f"/api/sessions/{session}/chats", {"id": id})
        assert (faulty.status, faulty.json["error"]) == (400, "Invalid chat id")
    assert len((await house.client.get(f"/api/sessions/{session}/chats")).json["chats"]) == 2


async def test_a_chat_that_was_never_completed_is_none_until_it_is(house: House, monkeypatch):
    """As if the process had died between the documents and the thread."""
    session, _ = await a_session(house.client)
    add = house.store.threads.add

    async def dies(thread):
        raise ConnectionError

    monkeypatch.setattr(house.store.threads, "add", dies)
    with pytest.raises(ConnectionError):
        await house.client.post(f"/api/sessions/{session}/chats", {"id": UNKNOWN})
    monkeypatch.setattr(house.store.threads, "add", add)
    assert len((await house.client.get(f"/api/sessions/{session}/chats")).json["chats"]) == 1
    check_refused(await house.client.get(f"/api/sessions/{session}/chats/{UNKNOWN}"), 404, "Chat not found")
    assert (await house.client.post(f"/api/sessions/{session}/chats", {"id": UNKNOWN})).status == 200
    assert len((await house.client.get(f"/api/sessions/{session}/chats")).json["chats"]) == 2


async def test_a_chat_is_changed_and_deleted(house: House):
    session, chat = await a_session(house.client)
    url = f"/api/sessions/{session}/chats/{chat}"
    changed = (await house.client.patch(url, {"title": "Tides", "modelId": "counter"})).json["chat"]
    assert (changed["title"], changed["modelId"]) == ("Tides", "counter")
    assert (await read(house, session, chat))["chat"] == changed
    for body, text in (({}, "At least one field is required"), ({"x": 1}, 'Unrecognized key: "x"')):
        check_refused(await house.client.patch(url, body), 400, text, missing_fields=[])
    await house.client.patch(url, {"modelId": "some/model"})
    run = await sent(house, send_body(session, chat))
    check_refused(await house.client.delete(url), 409, "Another workflow is already running for this chat")
    await house.succeed(await house.claim(run))
    assert (await house.client.delete(url)).json == {"success": True}
    check_refused(await house.client.get(url), 404, "Chat not found")
    assert (await house.client.get(f"/api/sessions/{session}/chats")).json["chats"] == []


async def test_the_model_of_a_chat_may_be_an_agents_name(house: House):
    session, chat = await a_session(house.client)
    await house.client.patch(f"/api/sessions/{session}/chats/{chat}", {"modelId": "counter"})
    answer = await house.client.post("/api/chat", send_body(session, chat))
    assert answer.status == 400, "counter takes no text"


async def test_an_answer_is_told_from_its_log(house: House):
    started = await a_headless_run(house.client)
    run = await house.claim(await the_run(house, started))
    await house.say(
        run, "Let me ", "look. ", ToolCalled(call_id="c", name="search", arguments=encode({"q": 1})),
        ToolReturned(call_id="c", name="search", result=encode([2])), "Found.",
    )  # fmt: skip
    assert await texts(house, started["sessionId"], started["chatId"]) == ["user: hello"], "it is being said"
    await house.succeed(run, "Let me look. Found.")
    body = await read(house, started["sessionId"], started["chatId"])
    assert list(body) == ["chat", "isStreaming", "messages"]
    asked, answer = body["messages"]
    assert asked["role"] == "user"
    assert asked["parts"] == [{"type": "text", "text": "hello"}]
    assert answer["parts"] == [
        {"type": "step-start"},
        {"type": "text", "text": "Let me look. ", "state": "done"},
        {
            "type": "tool-search", "toolCallId": "c", "state": "output-available", "input": {"q": 1},
            "output": [2],
        },
        {"type": "text", "text": "Found.", "state": "done"},
    ]  # fmt: skip
    assert (await read(house, started["sessionId"], started["chatId"]))["messages"] == body["messages"]


async def test_what_failed_and_cancelled_runs_said_stands_where_it_was_said(house: House):
    session, chat = await a_session(house.client)
    for word in ("first", "second", "third"):
        run = await house.say(
            await house.claim(await sent(house, send_body(session, chat, word, id=word))), word
        )
        match word:
            case "first":
                await house.fail(run)
            case "second":
                await house.do(await house.do(run, AskCancel()), Stop())
            case _:
                await house.succeed(run, word)
                message = NewMessage(Role.ASSISTANT, encode(word))
                await house.store.threads.append(parse_id(chat), LOCAL_OWNER, message, house.clock.now())
    assert await texts(house, session, chat) == [
        "user: first", "assistant: first", "user: second", "assistant: second", "user: third",
        "assistant: third", "assistant: third",
    ]  # fmt: skip


async def test_a_run_that_said_nothing_leaves_no_message(house: House):
    session, chat = await a_session(house.client)
    run = await sent(house, send_body(session, chat))
    await control.cancel(house.core, LOCAL_OWNER, run.id)
    assert await texts(house, session, chat) == ["user: hello"]


async def test_an_answer_whose_log_was_pruned_is_what_the_thread_has(house: House, monkeypatch):
    started = await a_headless_run(house.client)
    run = await house.claim(await the_run(house, started))
    change = decide(run, Succeed(output=encode("short")), house.clock.now())
    message = NewMessage(Role.ASSISTANT, encode("short"))
    await house.store.runs.commit(change, house.clock.now(), message=message)

    async def pruned(run_id, after, limit):
        raise LogPruned(run_id)

    monkeypatch.setattr(house.store.events, "read", pruned)
    assert await texts(house, started["sessionId"], started["chatId"]) == ["user: hello", "assistant: short"]


async def test_what_other_apis_did_in_a_chat_is_told_too(house: House):
    session, chat = await a_session(house.client)
    thread_id = parse_id(chat)
    await threads.append(house.core, LOCAL_OWNER, thread_id, Role.SYSTEM, "be brief")
    await threads.append(house.core, LOCAL_OWNER, thread_id, Role.TOOL, {"a": 1})
    run = await house.submit(1, agent="counter", thread_id=thread_id, if_busy=IfBusy.TOGETHER)
    await house.succeed(await house.say(await house.claim(run), "one"), "one")
    assert await texts(house, session, chat) == ["system: be brief", "user: 1", "assistant: one"]
    ids = [message["id"] for message in (await read(house, session, chat))["messages"]]
    assert ids == [message["id"] for message in (await read(house, session, chat))["messages"]]
    assert len(set(ids)) == 3


async def test_a_thread_of_another_api_can_be_watched_and_belongs_to_no_session(house: House):
    thread = await threads.create(house.core, LOCAL_OWNER, title="mine", id="a" * 12 + "4aaa8" + "a" * 15)
    run = await house.submit(thread_id=thread.id)
    await house.succeed(await house.say(await house.claim(run), "hi"))
    session, _ = await a_session(house.client)
    uuid = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
    assert b'"hi"' in (await house.client.get(f"/api/chat/{uuid}/stream?startIndex=0")).body
    check_refused(await house.client.get(f"/api/sessions/{session}/chats/{uuid}"), 404, "Chat not found")


async def test_a_long_chat_and_a_long_answer_are_told_whole(house: House):
    session, chat = await a_session(house.client)
    thread_id = parse_id(chat)
    for number in range(501):
        await threads.append(house.core, LOCAL_OWNER, thread_id, Role.USER, str(number))
    run = await house.claim(await sent(house, send_body(session, chat)))
    for _ in range(3):
        await house.say(run, *[TextDelta(text="x")] * 400)
    await house.succeed(run, "x" * 1_200)
    messages = (await read(house, session, chat))["messages"]
    assert len(messages) == 503
    assert messages[-1]["parts"][-1]["text"] == "x" * 1_200


async def test_every_session_is_another(house: House):
    for path in ("", "/chats", f"/chats/{UNKNOWN}"):
        for id in (UNKNOWN, "x"):
            answer = await house.client.get(f"/api/sessions/{id}{path}")
            check_refused(answer, 404, "Session not found")


async def test_a_chats_document_keeps_what_it_does_not_change(house: House):
    session, chat = await a_session(house.client)
    url = f"/api/sessions/{session}/chats/{chat}"
    await house.client.patch(url, {"modelId": "m"})
    await house.client.post(f"{url}/read")
    await house.client.patch(url, {"title": "t"})
    body = (await read(house, session, chat))["chat"]
    assert (body["modelId"], body["title"]) == ("m", "t")
    thread = await house.store.threads.get(parse_id(chat), LOCAL_OWNER)
    assert replace(thread, title="t") == thread
