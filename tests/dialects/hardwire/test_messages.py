"""What is said in a chat: who answers, what is kept, and what is refused."""

import json
from dataclasses import replace

import pytest

from runwell.agents.python import agent
from runwell.agents.workflow.code import step, workflow
from runwell.dialects.hardwire.dialect import build_hardwire
from runwell.dialects.hardwire.sending import Sending
from runwell.dialects.hardwire.words import answer_id
from runwell.dialects.native.dialect import build_native
from runwell.domain.agent import ModelAgent, read_definition
from runwell.domain.commands import Succeed
from runwell.domain.ids import parse_id
from runwell.domain.json_gate import encode
from runwell.domain.lifecycle import decide
from runwell.domain.run import Reason
from runwell.domain.thread import Role
from runwell.engine import control, threads
from runwell.engine.models import Models
from runwell.ports.store import NewMessage, RunFilter
from runwell.server.app import build_app
from tests.dialects.hardwire.people import (
    CHAT,
    OTHER_CHAT,
    Person,
    a_person,
    check_app_refused,
    check_refused,
)
from tests.support.asgi import AsgiClient, soon
from tests.support.hand import Hand
from tests.support.house import House, a_house, echo

THREAD = CHAT.replace("-", "")
PATH = f"/api/chats/{CHAT}/messages"


async def answered(house: House, client: AsgiClient, body, *steps, path: str = PATH, answer=None):
    """The answer to a message whose run does these steps meanwhile."""
    with Hand(house) as hand:
        async with client.open("POST", path, body=json.dumps(body).encode()) as exchange:
            await hand.newer(None, exchange)
            for step in steps:
                await hand.do(step)
            await exchange.started()
            return exchange.status, json.loads(await exchange.read())


@agent
async def talk(text: str) -> str:
    return text


@agent(kind="tool")
async def search(query: str) -> str:
    return query


CLAIM, SUCCEED = {"do": "claim"}, {"do": "succeed", "output": "Hi"}


async def spoken(ann: Person, chat: str = CHAT) -> list[tuple[str, str]]:
    answer = await ann.client.get(f"/api/chats/{chat}/messages")
    messages = (answer.json.get("data") or answer.json)["messages"]
    return [(message["role"], message["content"]) for message in messages]


async def test_the_answer_is_the_same_message_in_the_list(house: House, ann: Person):
    status, sent = await answered(house, ann.client, {"content": " Hello "}, CLAIM, SUCCEED)
    assert (status, sent["data"]["content"]) == (201, "Hello")
    listed = (await ann.client.get(PATH)).json["data"]["messages"]
    assert listed == [{key: sent["data"][key] for key in listed[0]}, sent["data"]["response"]]


async def test_a_chat_takes_its_title_from_its_first_message(app_house: House, app_ann: Person):
    words = "word " * 40
    await answered(app_house, app_ann.client, app_ann.say(words), CLAIM, SUCCEED)
    await answered(app_house, app_ann.client, app_ann.say("Second"), CLAIM, SUCCEED)
    (chat,) = (await app_ann.client.get(f"/api/users/{app_ann.id}/chats")).json["chats"]
    assert len(chat["title"]) == 80
    assert words.startswith(chat["title"].rstrip("…"))


async def test_how_runs_ended_is_told_where_they_did(house: House, ann: Person):
    fail = {"do": "fail", "message": "no net"}
    await answered(house, ann.client, {"content": "one"}, CLAIM, fail)
    house.clock.move(1)
    run = await ann.start(content="two")
    await house.fail(await house.claim(run))
    house.clock.move(1)
    await control.cancel(house.core, ann.owner, (await ann.start(content="three")).id)
    house.clock.move(1)
    await answered(house, ann.client, {"content": "four"}, CLAIM, SUCCEED)
    assert await spoken(ann) == [
        ("user", "one"), ("system", "The run failed: no net"),
        ("user", "two"),
        ("system", "Workflow execution failed. Please review the steps and try again."),
        ("user", "three"), ("system", "The run was cancelled."),
        ("user", "four"), ("assistant", "Hi"),
    ]  # fmt: skip


async def test_a_run_that_another_goes_on_from_tells_nothing(house: House, ann: Person):
    run = await house.claim(await house.submit(owner=ann.owner, thread_id=THREAD))
    await house.ask(run)
    again = (await control.go_on(house.core, ann.owner, run.id, "yes")).run
    assert (await house.store.runs.get(run.id)).reason == Reason.CONTINUED
    await house.succeed(await house.claim(again), "went on")
    assert [each for each in await spoken(ann) if each[0] != "user"] == [("assistant", "went on")]


async def test_messages_that_came_by_other_ways_are_listed_but_not_those_of_tools(house: House, ann: Person):
    await threads.create(house.core, ann.owner, id=THREAD)
    for role, content in (
        (Role.SYSTEM, "Be brief."), (Role.USER, {"parts": [{"type": "text", "text": "Hi"}]}),
        (Role.TOOL, {"secret": 1}), (Role.ASSISTANT, {"n": 1}),
    ):  # fmt: skip
        await threads.append(house.core, ann.owner, THREAD, role, content)
    assert await spoken(ann) == [("system", "Be brief."), ("user", "Hi"), ("assistant", '{"n":1}')]
    ids = [message["id"] for message in (await ann.client.get(PATH)).json["data"]["messages"]]
    assert len(set(ids)) == 3


async def test_a_chat_without_messages(house, app_house, ann: Person, app_ann: Person):
    for home, person in ((house, ann), (app_house, app_ann)):
        await threads.create(home.core, person.owner, id=THREAD)
    assert (await ann.client.get(PATH)).json == {"data": {"messages": []}}
    check_app_refused(await app_ann.client.get(PATH), 404, "MESSAGES_NOT_FOUND")


async def test_one_thing_at_a_time_in_a_chat(house: House, ann: Person):
    run = await ann.start()
    check_refused(await ann.client.post(PATH, {"content": "again"}), 409)
    assert await spoken(ann) == [("user", "hello")]
    await house.succeed(await house.claim(run))
    house.clock.move(1)
    status, _ = await answered(house, ann.client, {"content": "again"}, CLAIM, SUCCEED)
    assert status == 201


async def test_a_streamed_message_waits_for_its_turn(house: House, ann: Person):
    first = await ann.start()
    body = json.dumps({"content": "next"}).encode()
    with Hand(house) as hand:
        async with ann.client.open("POST", f"{PATH}/stream", body=body) as exchange:
            await exchange.started()
            assert exchange.status == 200
            await hand.newer(None, exchange)
            second = await house.store.runs.get(hand.newest or "")
            claimable = await house.store.runs.claimable(
                house.clock.now(), agents=frozenset({"echo"}), limit=9, exclude=frozenset()
            )
            assert claimable == [first.id]
            await house.succeed(await house.claim(first))
            await house.succeed(await house.claim(second), "Hi")
            assert (await exchange.read()).endswith(
                b'"end","messageId":"' + b"%b" % answer_id(second.id).encode() + b'"}\n\n'
            )


async def test_an_answer_that_takes_too_long_comes_later(house: House, ann: Person, monkeypatch):
    monkeypatch.setattr("runwell.dialects.hardwire.routes.chats.ANSWER_WITHIN", 0.0)
    status, sent = await answered(house, ann.client, {"content": "Hello"}, CLAIM)
    assert (status, sent["data"]["response"]) == (201, None)
    assert sent["data"]["error"]["code"] == "LLM_ERROR"
    assert "not there yet" in sent["data"]["error"]["message"]
    (run,) = await house.store.runs.page(ann.owner, RunFilter(), before=None, after=None, limit=9)
    await house.succeed(run, "at last")
    assert (await spoken(ann))[-1] == ("assistant", "at last")


async def test_an_agent_that_asks_is_not_waited_for(house: House, ann: Person):
    status, sent = await answered(house, ann.client, {"content": "Hello"}, CLAIM, {"do": "ask"})
    assert status == 201
    assert "waits for a person" in sent["data"]["error"]["message"]


async def test_who_leaves_leaves_the_run_alone(house: House, ann: Person):
    with Hand(house) as hand:
        async with ann.client.open("POST", PATH, body=b'{"content": "Hello"}') as exchange:
            await hand.newer(None, exchange)
            exchange.leave()
            await exchange.ended()
        assert hand.newest is not None
        run = await house.store.runs.get(hand.newest)
    assert not run.final
    assert run.cancel_requested_at is None


async def test_a_server_that_closes_answers_what_it_knows(house: House, ann: Person):
    with Hand(house) as hand:
        async with ann.client.open("POST", PATH, body=b'{"content": "Hello"}') as exchange:
            await hand.newer(None, exchange)
            await soon(lambda: house.closing.polls)
            house.closing.begin()
            await exchange.started()
            assert exchange.status == 201
            assert "not there yet" in json.loads(await exchange.read())["data"]["error"]["message"]


@pytest.mark.parametrize("output", [None, "", {"a": 1}, ["x"], "text"])
async def test_any_output_is_an_answer(house: House, ann: Person, output):
    succeed = {"do": "succeed", "output": output}
    _, sent = await answered(house, ann.client, {"content": "Hello"}, CLAIM, succeed)
    expected = (
        ""
        if output is None
        else output
        if isinstance(output, str)
        else json.dumps(output, separators=(",", ":"))
    )
    assert sent["data"]["response"]["content"] == expected


MODELS = {"smart": {"model": "openai:gpt-5"}, "quick": {"model": "openai:gpt-5-mini"}}


@pytest.mark.parametrize(
    ("model", "agent_name", "asked"),
    [
        ("quick", "echo", "openai:gpt-5-mini"),
        ("talk", "talk", None),
        ("gpt-4", "echo", None),
        ("search", "echo", None),
        ("report", "echo", None),
    ],
)
async def test_models_choose_who_answers(tmp_path, model, agent_name, asked):
    """A model that is set, an agent; for any other name, a tool's or a workflow's too, the default agent."""
    report = workflow("report", steps=[step("only", agent=echo)])
    async with a_house(tmp_path, agents=(echo, talk, search, report)) as house:
        core = replace(house.core, models=Models(MODELS))
        client = AsgiClient(
            build_app(replace(house.services, core=core), dialects=[build_native, build_hardwire])
        )
        ann = await a_person(house)
        client = client.with_headers(**ann.client.headers)
        body = json.dumps({"content": "7", "modelId": model}).encode()
        with Hand(house) as hand:
            async with client.open("POST", PATH, body=body) as exchange:
                await hand.newer(None, exchange)
                run = await house.store.runs.get(hand.newest or "")
        assert run.agent == agent_name
        definition = read_definition(run.definition) if run.definition is not None else None
        assert (definition.model if isinstance(definition, ModelAgent) else None) == asked
        models = (await client.get("/api/models")).json["data"]["models"]
        assert models[0] == {"id": "smart", "name": "smart", "provider": "openai"}


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({"content": ""}, '"body.content" is not allowed to be empty'),
        ({"content": 1}, '"body.content" must be a string'),
        ({"content": "x", "workflowId": "x"}, '"body.workflowId" must be a valid GUID'),
        ({"content": "x", "a": 1, "b": 2}, '"body.a" is not allowed,"body.b" is not allowed'),
        ({}, '"body" is required'),
        ([], '"body" must be of type object'),
        ({"content": "x", "modelId": "m" * 201}, None),
    ],
)
@pytest.mark.parametrize("stream", ["", "/stream"])
async def test_faults_of_a_message(house: House, ann: Person, body, faults, stream):
    check_refused(await ann.client.post(PATH + stream, body), 400, faults)
    assert await house.store.threads.owner(THREAD) is None


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b'{"content": NaN}', b'{"content": "\\ud800"}', b"[" * 9_999]
)
async def test_bodies_that_are_no_json(ann: Person, body):
    check_refused(await ann.client.post(PATH, body=body), 400)


async def test_nobody_speaks_for_another(house: House, ann: Person):
    said = ann.say() | {"userId": "f" * 32}
    check_refused(await ann.client.post(PATH, said), 404, "Chat does not exist")
    run = await ann.start(chat=OTHER_CHAT)
    await house.succeed(await house.claim(run))
    check_refused(await ann.client.post(f"/api/chats/{OTHER_CHAT}/messages", said), 403)


async def test_the_web_client_is_told_within_the_answer_that_nothing_began(app_ann: Person):
    empty = await app_ann.workflow([])
    answer = await app_ann.client.post(PATH, app_ann.say("go", workflowId=empty))
    assert answer.status == 201
    assert answer.json["assistantMessage"] is None
    assert answer.json["error"]["code"] == "WORKFLOW_RUN_FAILED"
    assert "workflowRunId" not in answer.json
    assert await spoken(app_ann) == [("user", "go"), ("system", answer.json["error"]["message"])]
    listed = (await app_ann.client.get(PATH)).json["messages"]
    assert listed[0] == answer.json["userMessage"]


async def test_the_web_clients_stream_ignores_a_workflow(app_house: House, app_ann: Person):
    workflow = await app_ann.workflow()
    body = json.dumps(app_ann.say("go", workflowId=workflow)).encode()
    with Hand(app_house) as hand:
        async with app_ann.client.open("POST", f"{PATH}/stream", body=body) as exchange:
            await exchange.started()
            run = await app_house.store.runs.get(hand.newest or "")
    assert (run.agent, run.definition) == ("echo", None)


async def test_a_stream_too_many_starts_nothing(house: House, ann: Person):
    house.closing.most_streams = 1
    with house.closing.stream_of(ann.owner):
        answer = await ann.client.post(f"{PATH}/stream", {"content": "x"})
    check_refused(answer, 429)
    assert int(answer.headers["retry-after"]) >= 1
    assert await house.store.threads.owner(THREAD) is None


async def test_a_deleted_chat_is_gone_and_its_runs_stay(house: House, ann: Person):
    run = await ann.start()
    check_refused(await ann.client.delete(f"/api/chats/{CHAT}"), 409)
    await house.succeed(await house.claim(run))
    assert (await ann.client.delete(f"/api/chats/{CHAT}")).status == 204
    check_refused(await ann.client.get(PATH), 404)
    assert (await house.store.runs.get(run.id)).id == parse_id(run.id)


async def test_chats_are_listed_by_their_last_change_whatever_their_ids(house: House, ann: Person):
    chats = [f"{digit}50e8400-e29b-41d4-a716-446655440000" for digit in "5391"]
    workflow = await ann.workflow()
    for chat in chats:
        house.clock.move(1)
        await house.succeed(await house.claim(await ann.start(workflow, chat)))
    house.clock.move(1)
    await ann.start(workflow, chats[1])
    path = f"/api/users/{ann.id}/chats"
    newest_first = [chats[1], chats[3], chats[2], chats[0]]
    whole = (await ann.client.get(path)).json["data"]
    assert ([chat["id"] for chat in whole["chats"]], whole["total"]) == (newest_first, 4)
    page = (await ann.client.get(f"{path}?limit=2&offset=1")).json["data"]
    assert ([chat["id"] for chat in page["chats"]], page["total"]) == (newest_first[1:3], 4)


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("limit=0", '"query.limit" must be a positive number'),
        ("limit=101", '"query.limit" must be less than or equal to 100'),
        ("limit=x", '"query.limit" must be a number'),
        ("limit=nan", '"query.limit" must be a number'),
        ("limit=1.5", '"query.limit" must be an integer'),
        ("offset=-1", '"query.offset" must be greater than or equal to 0'),
    ],
)
async def test_faults_of_a_page(ann: Person, query, fault):
    check_refused(await ann.client.get(f"/api/users/{ann.id}/chats?{query}"), 400, fault)


async def test_an_answer_that_is_in_the_thread_is_told_once(house: House, ann: Person):
    """As a worker commits it: the run's end and its message at once."""
    run = await house.claim(await house.submit(owner=ann.owner, thread_id=THREAD))
    change = decide(await house.store.runs.get(run.id), Succeed(output=encode("Hi")), house.clock.now())
    message = NewMessage(Role.ASSISTANT, encode("Hi"))
    await house.store.runs.commit(change, house.clock.now(), message=message)
    assert await spoken(ann) == [("user", "hello"), ("assistant", "Hi")]
    listed = (await ann.client.get(PATH)).json["data"]["messages"]
    assert listed[1]["id"] == answer_id(run.id)


async def test_a_busy_chat_is_told_before_what_else_is_wrong(app_ann: Person):
    await app_ann.start()
    answer = await app_ann.client.post(PATH, app_ann.say(workflowId=OTHER_CHAT))
    check_app_refused(answer, 409, "WORKFLOW_RUN_IN_PROGRESS")


async def test_of_two_messages_at_once_one_is_refused(house: House, ann: Person, monkeypatch):
    """Both found the chat free."""

    async def free(*args):
        return None

    monkeypatch.setattr(Sending, "check_free", free)
    await ann.start()
    check_refused(await ann.client.post(PATH, {"content": "again"}), 409)
