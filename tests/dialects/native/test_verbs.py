"""Cancel, answer, retry, delete, and the list of runs."""

import asyncio

import pytest

from runwell.domain.events import StepFinished, StepStarted
from runwell.domain.json_gate import Json
from tests.support.house import BEGINNING, House


async def test_cancelling_what_nobody_works_on_is_done_at_once(house: House):
    for run in (await house.submit(), await house.ask(await house.a_running_run())):
        answer = await house.client.post(f"/runs/run_{run.id}/cancel")
        assert (answer.status, answer.json["status"]) == (200, "cancelled")
        again = await house.client.post(f"/runs/run_{run.id}/cancel")
        assert (again.status, again.json["status"]) == (200, "cancelled")


async def test_cancelling_a_running_run_is_asked_for(house: House):
    run = await house.a_running_run()
    for _ in range(2):
        answer = await house.client.post(f"/runs/run_{run.id}/cancel")
        assert (answer.status, answer.json["status"]) == (202, "running")
        assert answer.json["cancel_requested_at"]
        assert answer.headers["etag"]
        assert answer.headers["retry-after"]


async def test_a_run_that_ended_otherwise_cannot_be_cancelled(house: House):
    for run in (await house.a_finished_run(), await house.fail(await house.a_running_run())):
        answer = await house.client.post(f"/runs/run_{run.id}/cancel")
        assert (answer.status, answer.json["code"]) == (409, "illegal_transition")
        assert answer.json["run_id"] == f"run_{run.id}"


@pytest.mark.parametrize("given", ["yes", None, 0, {"choice": ["a"]}, ""])
async def test_an_answer_queues_the_run_again(house: House, given):
    run = await house.ask(await house.a_running_run())
    answer = await house.client.post(f"/runs/run_{run.id}/answer", {"answer": given})
    assert (answer.status, answer.json["status"], answer.json["queue_position"]) == (202, "queued", 0)
    events = (await house.client.get(f"/runs/run_{run.id}/events")).json["events"]
    assert (events[-1]["type"], events[-1]["data"]["answer"]) == ("run.resumed", given)


async def test_a_run_is_answered_once(house: House):
    run = await house.ask(await house.a_running_run())
    answers = await asyncio.gather(
        *(house.client.post(f"/runs/run_{run.id}/answer", {"answer": number}) for number in range(5))
    )
    assert sorted(answer.status for answer in answers) == [202, 409, 409, 409, 409]
    assert {answer.json.get("code") for answer in answers} == {None, "run_not_waiting"}


async def test_an_answer_to_another_question_is_refused(house: House):
    run = await house.ask(await house.a_running_run())
    late = await house.client.post(f"/runs/run_{run.id}/answer", {"answer": 1, "key": "earlier"})
    assert (late.status, late.json["code"]) == (409, "question_changed")
    assert late.json["run_id"] == f"run_{run.id}"
    right = await house.client.post(f"/runs/run_{run.id}/answer", {"answer": 1, "key": "q"})
    assert (right.status, right.json["status"]) == (202, "queued")


@pytest.mark.parametrize("body", [{}, {"anser": 1}, [], {"answer": 1, "more": 2}, {"answer": "\x00"}])
async def test_an_answer_must_be_one(house: House, body):
    run = await house.ask(await house.a_running_run())
    assert (await house.client.post(f"/runs/run_{run.id}/answer", body)).status == 422
    assert (await house.store.runs.get(run.id)).status == "waiting"


async def test_a_retry_is_a_new_run_that_inherits(house: House):
    run = await house.a_running_run(input="again", metadata={"k": 1})
    await house.say(
        run,
        StepStarted(key="s", name="s"),
        StepFinished(key="s", name="s", started_at=BEGINNING, output=Json(b"[1]")),
    )
    await house.fail(run)
    answer = await house.client.post(f"/runs/run_{run.id}/retry")
    assert (answer.status, answer.json["status"]) == (202, "queued")
    assert answer.json["id"] != f"run_{run.id}"
    assert answer.headers["location"] == f"/runs/{answer.json['id']}"
    body = (await house.client.get(answer.headers["location"])).json
    assert (body["retry_of"], body["metadata"]) == (f"run_{run.id}", {"k": 1})
    (step,) = (await house.client.get(f"{answer.headers['location']}/steps")).json["steps"]
    assert (step["key"], step["status"], step["inherited"], step["output"]) == ("s", "finished", True, [1])


@pytest.mark.parametrize("verb", ["retry", "delete"])
async def test_only_what_has_ended_is_retried_or_deleted(house: House, verb):
    run = await house.submit()
    if verb == "retry":
        answer = await house.client.post(f"/runs/run_{run.id}/retry")
    else:
        answer = await house.client.delete(f"/runs/run_{run.id}")
    assert (answer.status, answer.json["code"]) == (409, "run_not_final")


async def test_a_deleted_run_is_gone(house: House):
    run = await house.a_finished_run()
    answer = await house.client.delete(f"/runs/run_{run.id}")
    assert (answer.status, answer.body) == (204, b"")
    for method, path in (
        ("GET", ""),
        ("GET", "/events"),
        ("GET", "/steps"),
        ("POST", "/cancel"),
        ("DELETE", ""),
    ):
        gone = await house.client.request(method, f"/runs/run_{run.id}{path}")
        assert (gone.status, gone.json["code"]) == (404, "run_not_found")


async def test_runs_are_listed_newest_first_by_pages(house: House):
    made = []
    for _ in range(5):
        house.clock.move(1)
        made.append(f"run_{(await house.submit()).id}")
    await house.submit(owner="somebody else")
    seen, cursor = [], ""
    while True:
        page = (await house.client.get(f"/runs?limit=2{cursor}")).json
        assert len(page["runs"]) <= 2
        seen += [run["id"] for run in page["runs"]]
        if page["next_cursor"] is None:
            break
        house.clock.move(1)
        await house.submit()  # what comes meanwhile moves nothing
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == made[::-1]


async def test_runs_are_filtered(house: House):
    early = await house.a_finished_run()
    house.clock.move(60)
    late = await house.submit(agent="counter", input=1)
    waiting = await house.ask(await house.claim(await house.submit()))
    thread = (await house.client.post("/threads", {})).json["id"]
    threaded = await house.submit(thread_id=thread.removeprefix("thread_"))

    async def ids(query):
        return {
            run["id"].removeprefix("run_") for run in (await house.client.get(f"/runs?{query}")).json["runs"]
        }

    assert await ids("status=succeeded") == {early.id}
    assert await ids("status=succeeded&status=waiting") == {early.id, waiting.id}
    assert await ids("agent=counter") == {late.id}
    assert await ids(f"thread_id={thread}") == {threaded.id}
    assert await ids("until=2027-01-15T08:00:30Z") == {early.id}
    assert await ids("since=2027-01-15T09:00:30%2B01:00") == {late.id, waiting.id, threaded.id}
    assert await ids("status=failed") == set()


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=0", "query.limit"), ("limit=101", "query.limit"), ("limit=x", "query.limit"),
        ("status=done", "query.status.0"), ("since=now", "query.since"),
        ("until=2027-01-15T08:00:00", "query.until"), ("cursor=x", "query.cursor"),
        ("cursor=", "query.cursor"),
        ("cursor=WzEsIm5vIGlkIl0", "query.cursor"), ("cursor=WzIsImEiXQ", "query.cursor"),
        ("cursor=%C3%A9", "query.cursor"), ("cursor=!!!!", "query.cursor"),
    ],
)  # fmt: skip
async def test_a_list_is_asked_for_properly(house: House, query, path):
    answer = await house.client.get(f"/runs?{query}")
    assert answer.status == 422, answer.text
    assert answer.json["path"] == path
    assert answer.json["errors"]
