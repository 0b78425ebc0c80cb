"""The workflow runs of a chat, listed and watched."""

import json
import random
from dataclasses import replace as dataclass_replace
from itertools import pairwise
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace

from runwell.agents.workflow.code import step, workflow
from runwell.dialects.hardwire.fold import RunFold
from runwell.dialects.hardwire.plans import Plans
from runwell.domain.commands import AskCancel, Cancel, HandBack, Lapse, Stop, TryAgain
from runwell.domain.errors import LogPruned
from runwell.domain.ids import id_of_name, spell_uuid
from runwell.domain.run import Reason, RunError, RunStatus
from runwell.domain.step import Step
from runwell.domain.thread import IfBusy
from runwell.engine import control
from runwell.ports.store import RunFilter
from tests.dialects.hardwire.logs import MAKERS, failed, finished, started
from tests.dialects.hardwire.people import (
    CHAT,
    OTHER_CHAT,
    Person,
    a_person,
    check_app_refused,
    check_refused,
)
from tests.dialects.hardwire.schemas import DOCS_RUNS
from tests.support.house import House, a_house, echo

PATH = f"/api/chats/{CHAT}/workflow-runs"
THREAD = CHAT.replace("-", "")
BEGAN = "2027-01-15T08:00:00.000Z"


def frames(body: bytes) -> list[dict]:
    return [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: ")]


async def test_a_run_is_listed_as_the_documentation_shows_it(house: House, ann: Person):
    workflow_id = await ann.workflow()
    run = await ann.start(workflow_id)
    pending = {"startedAt": None, "completedAt": None}
    shown: dict[str, Any] = {
        "id": spell_uuid(run.id), "chatId": CHAT, "workflowId": workflow_id, "status": "pending", **pending,
        "steps": [
            {"id": "search", "status": "pending", **pending}, {"id": "write", "status": "pending", **pending},
        ],
    }  # fmt: skip
    assert await ann.runs() == [shown]
    await house.claim(run)
    await house.say(run, started("search"))
    shown |= {"status": "running", "startedAt": BEGAN}
    shown["steps"][0] |= {"status": "running", "startedAt": BEGAN}
    assert await ann.runs() == [shown]
    house.clock.move(90)
    await house.say(run, replace(finished("search"), started_at=house.clock.now() - 90_000_000))
    shown["steps"][0] |= {"status": "completed", "completedAt": "2027-01-15T08:01:30.000Z"}
    assert await ann.runs() == [shown]
    await house.say(run, started("write"), finished("write"))
    await house.succeed(run)
    answer = await ann.client.get(PATH)
    assert answer.headers["content-type"] == "application/json"
    jsonschema.validate(answer.json, DOCS_RUNS)
    (ended,) = answer.json["data"]["workflowRuns"]
    assert (ended["status"], ended["completedAt"]) == ("completed", "2027-01-15T08:01:30.000Z")
    assert [each["status"] for each in ended["steps"]] == ["completed"] * 2


async def test_the_errors_come_in_the_documented_order(house: House, ann: Person, bob: Person):
    await ann.start()
    nobody = house.client
    bad = "/api/chats/not-a-uuid/workflow-runs"
    check_refused(await nobody.get(bad), 400, "Invalid chat ID format")
    check_refused(await ann.client.get(bad), 400, "Invalid chat ID format")
    check_refused(await nobody.get(PATH), 401, "Valid session required")
    check_refused(await nobody.get(f"/api/chats/{OTHER_CHAT}/workflow-runs"), 401)
    check_refused(await bob.client.get(PATH), 403, "Cannot access another user's chat")
    check_refused(await bob.client.get(f"/api/chats/{OTHER_CHAT}/workflow-runs"), 404, "Chat does not exist")
    assert (await nobody.get(bad)).json["error"] == "Bad Request"
    assert (await nobody.get(PATH)).json["error"] == "Unauthorized"
    assert (await bob.client.get(PATH)).json["error"] == "Forbidden"


@pytest.mark.parametrize("spelled", [CHAT.upper(), f"%7B{CHAT}%7D", f"%20{CHAT}%20"])
async def test_a_chat_id_may_be_spelled_in_other_ways(ann: Person, spelled):
    await ann.start()
    answer = await ann.client.get(f"/api/chats/{spelled}/workflow-runs")
    assert len(answer.json["data"]["workflowRuns"]) == 1
    assert answer.json["data"]["workflowRuns"][0]["chatId"] == CHAT


@pytest.mark.parametrize("bad", [f"%7B{CHAT}", f"{CHAT}x", CHAT.replace("-", ""), CHAT[:-1], "x" * 36])
async def test_what_is_no_uuid_is_400(ann: Person, bad):
    check_refused(await ann.client.get(f"/api/chats/{bad}/workflow-runs"), 400, "Invalid chat ID format")


async def test_runs_are_listed_oldest_first_and_answers_to_messages_are_none(house: House, ann: Person):
    workflow_id = await ann.workflow()
    ids = []
    for _ in range(3):
        house.clock.move(1)
        run = await ann.start(workflow_id)
        await house.succeed(await house.claim(run))
        ids.append(spell_uuid(run.id))
    await house.submit(owner=ann.owner, thread_id=THREAD, source="hardwire")
    assert [run["id"] for run in await ann.runs()] == ids


async def test_a_query_is_let_pass_in_one_form_and_refused_in_the_other(ann: Person, app_ann: Person):
    for person in (ann, app_ann):
        await person.start()
    assert (await ann.client.get(f"{PATH}?x=1")).status == 200
    check_app_refused(
        await app_ann.client.get(f"{PATH}?x=1"), 400, "REQUEST_VALIDATION", '"query" is not allowed'
    )


ENDS = {
    "failed": ("failed", ["completed", "failed", "pending"]),
    "lost under way": ("failed", ["completed", "failed", "pending"]),
    "cancelled": ("cancelled", ["completed", "cancelled", "cancelled"]),
}


@pytest.mark.parametrize("end", ENDS)
async def test_how_a_run_ends_shows_in_its_steps(house: House, ann: Person, end):
    steps = [{"id": id, "agent": "echo"} for id in ("a", "b", "c")]
    run = await house.claim(await ann.start(await ann.workflow(steps)))
    await house.say(run, started("a"), finished("a"), started("b"))
    if end == "failed":
        await house.say(run, failed("b"))
    if end == "cancelled":
        await house.do(run, AskCancel())
        await house.do(run, Stop())
    else:
        await house.fail(run, Reason.LOST)
    (shown,) = await ann.runs()
    assert (shown["status"], [each["status"] for each in shown["steps"]]) == ENDS[end]
    begun = [each["startedAt"] is not None for each in shown["steps"]]
    assert begun == [True, True, False]
    assert shown["completedAt"] is not None
    assert shown["steps"][1]["completedAt"] is not None


async def test_a_run_that_lost_its_worker_is_pending_until_the_next_takes_it(house: House, ann: Person):
    run = await house.claim(await ann.start())
    await house.say(run, started("search"))
    await house.do(run, Lapse(seen_at=house.clock.now()))
    (shown,) = await ann.runs()
    assert (shown["status"], shown["startedAt"]) == ("pending", BEGAN)
    assert shown["steps"][0] == {
        "id": "search", "status": "pending", "startedAt": None, "completedAt": None,
    }  # fmt: skip


async def test_a_run_that_waits_for_a_person_reads_running(house: House, ann: Person):
    run = await house.claim(await ann.start())
    await house.ask(run)
    (shown,) = await ann.runs()
    assert shown["status"] == "running"


async def test_every_change_is_listed_at_once_although_what_was_shown_is_remembered(house, ann: Person):
    run = await ann.start()
    seen = [await ann.runs()]
    for change in (house.claim, lambda run: house.say(run, started("search")), house.succeed):
        await change(run)
        seen.append(await ann.runs())
        assert seen[-1] == await ann.runs()
    assert all(one != other for one, other in pairwise(seen))


async def test_runs_made_elsewhere_are_listed_with_what_is_known_of_them(house: House, ann: Person):
    client = house.client.with_headers(authorization=f"Bearer {await house.secret(ann.owner)}")
    body = {"steps": [{"id": "only", "agent": "echo"}]}
    made = (await client.put("/agents/elsewhere", body)).json
    await ann.start()
    for _ in range(2):
        house.clock.move(1)
        await house.submit(owner=ann.owner, agent="elsewhere", thread_id=THREAD, if_busy=IfBusy.TOGETHER)
    await client.delete("/agents/elsewhere")
    await house.submit(owner=ann.owner, agent="counter", input=1, thread_id=THREAD, if_busy=IfBusy.TOGETHER)
    runs = await ann.runs()
    assert [len(run["steps"]) for run in runs] == [2, 1, 1]
    assert made["name"] == "elsewhere"
    assert runs[1]["workflowId"] == runs[2]["workflowId"] == spell_uuid(id_of_name("elsewhere"))


async def test_a_workflow_in_code_can_be_run_and_is_listed(tmp_path):
    report = workflow("report", steps=[step("search", agent=echo), step("write", agent=echo)])
    async with a_house(tmp_path, agents=(echo, report)) as house:
        ann = await a_person(house)
        listed = (await ann.client.get(f"/api/users/{ann.id}/workflows")).json["data"]["workflows"]
        assert [each["name"] for each in listed] == ["report"]
        await ann.start(listed[0]["id"])
        (shown,) = await ann.runs()
        assert [each["id"] for each in shown["steps"]] == ["search", "write"]
        assert shown["workflowId"] == listed[0]["id"]
        # A server that runs no agents itself knows them from the store.
        plans = Plans(dataclass_replace(house.core, catalog=None))
        run = (await house.store.runs.page(ann.owner, RunFilter(), before=None, after=None, limit=1))[0]
        assert [each.id for each in await plans.of(run) or ()] == ["search", "write"]
        for method, given in (("PATCH", {"name": "mine"}), ("DELETE", ...)):
            answer = await ann.client.request(method, f"/api/workflows/{listed[0]['id']}", json=given)
            check_refused(answer, 403)


@pytest.mark.parametrize("seed", range(40))
async def test_the_log_and_the_store_tell_of_the_same_run(house: House, ann: Person, seed):
    """Any life of a run: what a stream folds from the log is what the list reads from the store."""
    dice = random.Random(seed)
    steps = [{"id": id, "agent": "echo"} for id in ("a", "b", "c")]
    run = await ann.start(await ann.workflow(steps))
    plans = Plans(house.core)
    plan = await plans.of(run)
    assert plan is not None
    for _ in range(dice.randrange(1, 25)):
        house.clock.move(1)
        now = await house.store.runs.get(run.id)
        if now.final:
            break
        if now.status is RunStatus.QUEUED:
            house.clock.move(10)
            await (house.claim(now) if dice.random() < 0.9 else house.do(now, Cancel()))
        elif now.status is RunStatus.WAITING:
            await control.answer(house.core, ann.owner, run.id, "yes")
        else:
            await live_on(house, run, dice)
        await same(house, plans, plan, run)


async def live_on(house: House, run, dice) -> None:
    which = dice.random()
    if which < 0.75:
        said = [make(dice) for make in dice.choices(MAKERS[7:], k=3)]
        await house.say(run, *said)
    elif which < 0.8:
        await house.do(run, Lapse(seen_at=house.clock.now()))
    elif which < 0.85:
        await house.do(run, HandBack())
    elif which < 0.88:
        await house.do(run, TryAgain(error=RunError("error", "again"), delay=1.0))
    elif which < 0.92:
        await house.ask(run)
    else:
        await (house.succeed(run) if which < 0.96 else house.fail(run))


async def same(house: House, plans: Plans, plan, run) -> None:
    now = await house.store.runs.get(run.id)
    view = await plans.view(now, plan)
    fold = RunFold()
    for line in await house.store.events.read(run.id, 0, 10_000):
        fold.take(line, line.event)
    assert fold.facts == view.facts
    assert fold.shown(plan) == view.steps
    assert [each.key for each in fold.steps.values()] == [
        each.key for each in await house.store.steps.of(run.id)
    ]
    assert all(isinstance(each, Step) for each in fold.steps.values())


async def test_the_stream_in_the_documented_form(house: House, ann: Person):
    workflow_id = await ann.workflow()
    run = await ann.start(workflow_id)
    id = spell_uuid(run.id)
    async with ann.client.open("GET", f"{PATH}/{id}/stream") as exchange:
        await exchange.started()
        assert exchange.headers["content-type"] == "text/event-stream"
        assert exchange.headers["cache-control"] == "no-cache"
        assert exchange.headers["connection"] == "keep-alive"
        await house.claim(run)
        begun = await exchange.until(b"run_started")
        assert begun.endswith(
            f'data: {{"type":"run_started","runId":"{id}","workflowId":"{workflow_id}"}}\n\n'.encode()
        )
        await house.say(run, started("search"), finished("search", {"items": []}))
        told = await exchange.until(b"step_completed")
        assert b'data: {"type":"step_started","stepId":"search","toolId":"echo"}\n\n' in told
        assert b'data: {"type":"step_completed","stepId":"search","result":{"items":[]}}\n\n' in told
        await house.succeed(run)
        rest = await exchange.read()
    assert rest == f'data: {{"type":"run_completed","runId":"{id}","status":"completed"}}\n\n'.encode()
    whole = await ann.client.get(f"{PATH}/{id}/stream")
    assert whole.body == begun + told + rest


async def test_the_stream_refuses_before_it_begins_in_the_documented_form(house, ann: Person, bob: Person):
    run = spell_uuid((await ann.start()).id)
    await ann.start(chat=OTHER_CHAT)
    unknown = spell_uuid("0190c3b1000040008000000000000001")
    check_refused(await ann.client.get(f"{PATH}/x/stream"), 400, "Invalid workflow run ID format")
    check_refused(await house.client.get(f"{PATH}/{run}/stream"), 401)
    check_refused(await bob.client.get(f"{PATH}/{run}/stream"), 403)
    check_refused(await ann.client.get(f"{PATH}/{unknown}/stream"), 404, "Workflow run does not exist")
    check_refused(await ann.client.get(f"/api/chats/{OTHER_CHAT}/workflow-runs/{run}/stream"), 404)
    plain = await house.submit(owner=ann.owner, thread_id=THREAD, if_busy=IfBusy.TOGETHER)
    check_refused(await ann.client.get(f"{PATH}/{spell_uuid(plain.id)}/stream"), 404)


async def test_the_web_clients_stream_tells_what_is_wrong_within_it(app_house: House, app_ann: Person):
    run = spell_uuid((await app_ann.start()).id)
    await app_ann.start(chat=OTHER_CHAT)
    unknown = spell_uuid("0190c3b1000040008000000000000001")
    for path, code in (
        (f"{PATH}/{unknown}/stream", "WORKFLOW_RUN_NOT_FOUND"),
        (f"/api/chats/{OTHER_CHAT}/workflow-runs/{run}/stream", "WORKFLOW_RUN_ACCESS_FORBIDDEN"),
    ):
        answer = await app_ann.client.get(path)
        assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
        (told,) = frames(answer.body)
        assert (told["type"], told["error"]["code"]) == ("error", code)
    bad = await app_ann.client.get(f"{PATH}/x/stream")
    check_app_refused(bad, 400, "REQUEST_VALIDATION", '"params.workflowRunId" must be a valid GUID')
    check_app_refused(await app_house.client.get(f"{PATH}/{run}/stream"), 401, "UNAUTHORIZED")


async def test_the_web_clients_stream_is_one_snapshot_for_each_change(app_house: House, app_ann: Person):
    run = await app_ann.start()
    path = f"{PATH}/{spell_uuid(run.id)}/stream"
    async with app_ann.client.open("GET", path) as exchange:
        await exchange.started()
        first = frames(await exchange.until(b"snapshot"))
        assert [each["status"] for each in first[0]["steps"]] == ["QUEUED", "QUEUED"]
        await app_house.claim(run)
        await app_house.say(run, started("search"), "words that change nothing")
        seen = frames(await exchange.until(b'"status":"RUNNING","output"'))
        await app_house.say(run, finished("search", "found"))
        seen += frames(await exchange.until(b"PASSED"))
        await app_house.succeed(run, "It is.")
        seen += frames(await exchange.read())
    assert [each["type"] for each in seen] == ["snapshot"] * 3 + ["complete"]
    assert seen[-2]["message"]["content"] == "It is."
    listed = await app_ann.runs()
    assert listed[0]["steps"] == seen[-2]["steps"]
    again = await app_ann.client.get(path)
    assert frames(again.body) == seen[-2:]


async def test_a_long_log_of_an_ended_run_is_still_one_snapshot(app_house: House, app_ann: Person):
    run = await app_house.claim(await app_ann.start())
    for _ in range(4):
        await app_house.say(run, *["x"] * 300, started("search"), finished("search"))
    await app_house.succeed(run)
    answer = await app_ann.client.get(f"{PATH}/{spell_uuid(run.id)}/stream")
    assert [each["type"] for each in frames(answer.body)] == ["snapshot", "complete"]


@pytest.mark.parametrize("form", ["docs", "app"])
async def test_a_pruned_log_still_has_an_end(house, app_house, ann, app_ann, form, monkeypatch):
    house, ann = (house, ann) if form == "docs" else (app_house, app_ann)
    run = await house.claim(await ann.start())
    await house.say(run, started("search"), finished("search"), started("write"), failed("write"))
    await house.fail(run)
    path = f"{PATH}/{spell_uuid(run.id)}/stream"
    whole = frames((await ann.client.get(path)).body)

    async def pruned(run_id, after, limit):
        raise LogPruned(run_id)

    monkeypatch.setattr(house.store.events, "read", pruned)
    answer = await ann.client.get(path)
    assert answer.status == 200
    assert frames(answer.body) == whole


async def test_a_run_deleted_while_it_is_watched_ends_the_stream(house: House, ann: Person, monkeypatch):
    run = await house.claim(await ann.start())
    async with ann.client.open("GET", f"{PATH}/{spell_uuid(run.id)}/stream") as exchange:
        await exchange.started()
        await exchange.until(b"run_started")

        async def gone(*args, **kwargs):
            return []

        monkeypatch.setattr(house.store.events, "read", gone)
        await house.succeed(run)
        await house.store.runs.delete(run.id, ann.owner)
        assert frames(await exchange.read())[-1]["error"] == "The run was deleted."


async def test_a_retry_names_the_message_that_it_answers(app_house: House, app_ann: Person):
    run = await app_house.fail(await app_house.claim(await app_ann.start()))
    await control.retry(app_house.core, app_ann.owner, run.id)
    first, second = await app_ann.runs()
    assert first["triggerMessageId"] == second["triggerMessageId"]
    assert first["id"] != second["id"]
