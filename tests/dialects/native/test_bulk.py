"""Many runs at once: what is done to each is what the verb for one does."""

import pytest

from runwell.domain.principal import Scope
from runwell.domain.run import RunStatus
from runwell.engine.bulk import MOST
from tests.support.house import House

NOBODYS = "run_" + "0" * 12 + "4" + "0" * 19


async def bulk(house: House, **body) -> dict:
    answer = await house.client.post("/runs/bulk", body)
    assert answer.status == 200, answer.text
    return answer.json


async def status_of(house: House, run) -> RunStatus:
    return (await house.store.runs.get(run.id)).status


async def test_runs_are_cancelled_by_id_and_the_refused_say_why(house: House):
    queued, waiting = await house.submit(), await house.ask(await house.a_running_run())
    running, done = await house.a_running_run(), await house.a_finished_run()
    theirs = await house.submit(owner="ann")
    ids = [f"run_{run.id}" for run in (queued, waiting, running, done, theirs, queued)]
    refused = [
        {"id": ids[3], "code": "illegal_transition", "reason": "it has succeeded"},
        {"id": ids[4], "code": "run_not_found", "reason": "there is no such run"},
        {"id": NOBODYS, "code": "run_not_found", "reason": "there is no such run"},
    ]
    for dry_run in (True, False):
        told = await bulk(house, action="cancel", ids=[*ids, NOBODYS], dry_run=dry_run)
        told["refused"].sort(key=lambda each: [*ids, NOBODYS].index(each["id"]))
        assert told.pop("more") is False and told.pop("next_cursor") is None
        assert told == {"matched": 6, "done": 0 if dry_run else 3, "refused": refused}
        assert (await status_of(house, queued) is RunStatus.CANCELLED) is not dry_run
    assert await status_of(house, waiting) is RunStatus.CANCELLED
    assert (await house.store.runs.get(running.id)).cancel_requested_at is not None
    assert await status_of(house, theirs) is RunStatus.QUEUED


async def test_a_filter_means_what_can_be_done_unless_it_says_more(house: House):
    queued, done = await house.submit(), await house.a_finished_run()
    failed = await house.fail(await house.a_running_run())
    other = await house.submit(agent="counter", input=1)
    told = await bulk(house, action="retry", filter={"text": "broke"}, dry_run=True)
    assert (told["matched"], told["done"], told["refused"]) == (1, 0, [])
    house.clock.move(1)
    told = await bulk(house, action="retry", filter={"agent": "echo"})
    assert (told["matched"], told["done"]) == (1, 1), "the one that failed"
    (again,) = (await house.client.get("/runs?limit=1")).json["runs"]
    assert again["retry_of"] == f"run_{failed.id}"
    told = await bulk(house, action="cancel", filter={"agent": "echo"})
    assert (told["matched"], told["done"]) == (2, 2)
    assert await status_of(house, queued) is RunStatus.CANCELLED
    assert await status_of(house, other) is RunStatus.QUEUED
    told = await bulk(house, action="retry", filter={"status": ["succeeded", "queued"]}, dry_run=True)
    assert [each["code"] for each in told["refused"]] == ["run_not_final"]
    assert (told["matched"], await status_of(house, done)) == (2, RunStatus.SUCCEEDED)


async def test_no_more_than_a_thousand_at_once(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("runwell.engine.bulk.MOST", 3)
    for _ in range(4):
        await house.submit()
    told = await bulk(house, action="cancel", filter={})
    assert (told["matched"], told["done"], told["more"]) == (3, 3, True)
    told = await bulk(house, action="cancel", filter={})
    assert (told["matched"], told["done"], told["more"]) == (1, 1, False)
    many = await house.client.post("/runs/bulk", {"action": "cancel", "ids": [NOBODYS] * (MOST + 1)})
    assert (many.status, many.json["path"]) == (422, "$.ids")


async def test_a_retry_goes_on_where_the_last_one_ended(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("runwell.engine.bulk.MOST", 3)
    monkeypatch.setattr("runwell.engine.bulk.READ", 2)
    failed = [await house.fail(await house.a_running_run()) for _ in range(5)]
    first = await bulk(house, action="retry", filter={})
    assert (first["done"], first["more"]) == (3, True)
    rest = await bulk(house, action="retry", filter={"cursor": first["next_cursor"]})
    assert (rest["done"], rest["more"], rest["next_cursor"]) == (2, False, None)
    made = (await house.client.get("/runs?status=queued")).json["runs"]
    assert sorted(run["retry_of"] for run in made) == sorted(f"run_{run.id}" for run in failed)


@pytest.mark.parametrize(
    "body",
    [
        {}, {"action": "cancel"}, {"action": "delete", "ids": []}, {"action": "cancel", "ids": ["x"]},
        {"action": "cancel", "ids": [], "filter": {}}, {"action": "cancel", "filter": {"owner": "ann"}},
        {"action": "cancel", "filter": {"since": "today"}}, {"action": "cancel", "filter": {"status": ["x"]}},
        {"action": "cancel", "filter": {"text": "x" * 201}}, {"action": "cancel", "filter": {"cursor": "x"}},
    ],
)  # fmt: skip
async def test_a_wrong_request_changes_nothing(house: House, body: dict):
    run = await house.submit()
    refused = await house.client.post("/runs/bulk", body)
    assert (refused.status, await status_of(house, run)) == (422, RunStatus.QUEUED)


async def test_it_takes_the_scope_to_write(house: House):
    reader = await house.client_of("ann", {Scope.RUNS_READ})
    assert (await reader.post("/runs/bulk", {"action": "cancel", "filter": {}})).status == 403
