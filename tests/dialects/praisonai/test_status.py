"""The status of every run, whoever made it; through the front, and through the app alone."""

import pytest

from runwell.dialects.praisonai.dialect import build_praisonai
from runwell.dialects.praisonai.requests import session_label
from runwell.dialects.praisonai.responses import Renderer
from runwell.dialects.praisonai.words import JobStatus, Kept, job_status, run_statuses, step_of
from runwell.domain.commands import Cancel
from runwell.domain.events import ProgressNoted, StepFinished, StepStarted
from runwell.domain.ids import spell_uuid
from runwell.domain.json_gate import Json
from runwell.domain.run import Progress, RunStatus
from tests.support.asgi import AsgiClient
from tests.support.house import BEGINNING, House


@pytest.fixture(params=["front", "app"])
def client(house: House, request: pytest.FixtureRequest) -> AsgiClient:
    if request.param == "front":
        return house.client
    return AsgiClient(build_praisonai(house.services).app)


async def a_run_that_is(house: House, status: RunStatus, **fields):
    run = await house.submit(**fields)
    if status is RunStatus.CANCELLED:
        return await house.do(run, Cancel(by="local"))
    if status is not RunStatus.QUEUED:
        run = await house.claim(run)
    match status:
        case RunStatus.QUEUED | RunStatus.RUNNING:
            return run
        case RunStatus.WAITING:
            return await house.ask(run, {"really": True})
        case RunStatus.SUCCEEDED:
            return await house.succeed(run)
        case RunStatus.FAILED:
            return await house.fail(run)


@pytest.mark.parametrize("status", list(RunStatus))
async def test_every_status_is_one_of_five(house: House, client: AsgiClient, status: RunStatus):
    run = await a_run_that_is(house, status)
    body = (await client.get(f"/api/v1/runs/run_{run.id}")).json
    assert body["status"] == job_status(status)
    assert (body["retry_after"] is None) == (body["completed_at"] is not None) == run.final
    assert (body["error"] is not None) == (status is RunStatus.FAILED)
    assert body["agent_id"] == (None if run.started_at is None else "echo")
    listed = (await client.get(f"/api/v1/runs?status={body['status']}")).json["jobs"]
    assert listed == [body]
    assert Renderer().webhook(run)


def test_no_status_is_nobodys():
    assert sorted(each for status in JobStatus for each in run_statuses(status)) == sorted(RunStatus)


async def test_a_waiting_run_says_what_it_waits_for(house: House, client: AsgiClient):
    run = await a_run_that_is(house, RunStatus.WAITING)
    body = (await client.get(f"/api/v1/runs/run_{run.id}")).json
    assert body["progress"]["current_step"] == 'Waiting for an answer: {"really":true}'


async def test_a_run_without_words_of_its_own_names_its_step(house: House, client: AsgiClient):
    run = await house.a_running_run()
    run = await house.say(run, StepStarted(key="search", name="search"))
    assert step_of(run) == "search"
    finished = StepFinished(key="search", name="search", started_at=BEGINNING, output=Json(b"1"))
    await house.say(run, finished, ProgressNoted(progress=Progress(None, "thinking")))
    body = (await client.get(f"/api/v1/runs/run_{run.id}")).json
    assert body["progress"] == {
        "percentage": 0.0, "current_step": "thinking", "steps_completed": 1, "steps_total": None,
    }  # fmt: skip


async def test_percentages_are_written_as_floats_and_stay_where_they_were(house: House, client: AsgiClient):
    run = await house.say(await house.a_running_run(), ProgressNoted(progress=Progress(30)))
    assert '"percentage":30.0,' in (await client.get(f"/api/v1/runs/run_{run.id}")).text
    await house.fail(run)
    assert '"percentage":30.0,' in (await client.get(f"/api/v1/runs/run_{run.id}")).text


async def test_nobody_is_told_to_come_back_sooner_than_by_the_original(house: House, client: AsgiClient):
    run = await house.submit()
    path = f"/api/v1/runs/run_{run.id}"
    assert (await client.get(path)).json["retry_after"] == 2
    house.clock.move(80)
    assert (await client.get(path)).json["retry_after"] == 8  # the very same version
    await house.claim(run)
    assert (await client.get(path)).json["retry_after"] == 5
    house.clock.move(3600)
    assert (await client.get(path)).json["retry_after"] == 10
    await house.succeed(run)
    assert (await client.get(path)).text.endswith('"retry_after":null}')


async def test_a_timed_out_run_says_what_it_was_given(house: House, client: AsgiClient):
    extra = Kept(timeout=5).encoded()
    for fields, sentence in (
        ({"source": "praisonai", "extra": extra, "timeout": 5.0}, "Job timed out after 5s"),
        ({"timeout": 2.5}, "Job timed out after 2.5s"),
        ({}, "it broke"),
    ):
        run = await house.fail(await house.a_running_run(**fields), "timed_out")
        assert (await client.get(f"/api/v1/runs/run_{run.id}")).json["error"] == sentence


async def test_what_other_dialects_keep_is_not_read(house: House, client: AsgiClient):
    run = await house.a_running_run(source="letta", extra=Json(b'{"session_id":7,"agent_id":[]}'))
    body = (await client.get(f"/api/v1/runs/run_{run.id}")).json
    assert (body["session_id"], body["agent_id"]) == (None, "echo")


async def test_a_recipe_run_names_itself(house: House, client: AsgiClient):
    extra = Kept(agent_id="recipe:echo", recipe=True).encoded()
    run = await house.submit(source="praisonai", extra=extra)
    path = f"/api/v1/runs/run_{run.id}"
    assert (await client.get(path)).json["run_id"] is None
    await house.claim(run)
    body = (await client.get(path)).json
    assert (body["agent_id"], body["run_id"]) == ("recipe:echo", f"run_{run.id}")


async def test_any_spelling_of_the_id(house: House, client: AsgiClient):
    run = await house.submit()
    assert (await client.get(f"/api/v1/runs/{spell_uuid(run.id)}")).json["job_id"] == f"run_{run.id}"


async def test_bodies_are_remembered_but_not_too_many(house: House):
    renderer, now = Renderer(), house.clock.now()
    runs = [await house.submit() for _ in range(3)]
    bodies = [renderer.status(run, 0, now) for run in runs]
    assert [renderer.status(run, 0, now) for run in runs] == bodies
    assert len({bytes(body) for body in bodies}) == 3
    claimed = await house.claim(runs[0])
    assert b'"running"' in renderer.status(claimed, None, now)


async def test_pages_far_away_are_empty(house: House, client: AsgiClient):
    await house.submit()
    body = (await client.get(f"/api/v1/runs?page={10**18}&page_size=100")).json
    assert (body["jobs"], body["total"]) == ([], 1)


async def test_an_object_is_a_result_as_it_is(house: House, client: AsgiClient):
    run = await house.succeed(await house.a_running_run(), {"b": [1, None], "a": "ä"})
    body = (await client.get(f"/api/v1/runs/run_{run.id}/result")).json
    assert (body["result"], body["metrics"], body["duration_seconds"]) == (
        {"b": [1, None], "a": "ä"},
        None,
        0.0,
    )


async def test_a_deleted_job_leaves_a_typed_nothing_as_in_the_original(house: House, client: AsgiClient):
    run = await house.a_finished_run()
    answer = await client.request("DELETE", f"/api/v1/runs/run_{run.id}")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (204, b"", "application/json")


def test_a_label_can_be_kept_by_every_database():
    assert "\x00" not in session_label("a\x00b") != session_label("ab")
