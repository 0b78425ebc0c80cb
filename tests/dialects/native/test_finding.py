"""Finding runs by their errors and across owners, and the numbers beside the list."""

import pytest

from runwell.domain.principal import Scope
from tests.dialects.native.test_openapi import check_fits
from tests.support.house import House

READER = frozenset({Scope.RUNS_READ})
ISO = "2027-01-15T08:"


async def listed(client, query: str) -> list[str]:
    answer = await client.get(f"/runs?{query}")
    assert answer.status == 200, answer.text
    return [run["id"] for run in answer.json["runs"]]


async def test_failed_runs_are_found_by_the_words_of_their_errors(house: House):
    runs = []
    for _ in range(3):
        house.clock.move(1)
        runs.append(f"run_{(await house.fail(await house.a_running_run())).id}")
    await house.a_finished_run()
    assert await listed(house.client, "text=BROKE") == runs[::-1]
    assert await listed(house.client, "text=it+bro&agent=echo&status=failed&status=queued") == runs[::-1]
    for nothing in ("text=fixed", "text=broke&status=queued", "text=broke&agent=other", "text=%00", "text="):
        assert await listed(house.client, nothing) == []
    page = (await house.client.get("/runs?text=broke&limit=2")).json
    assert await listed(house.client, f"text=broke&cursor={page['next_cursor']}") == [runs[0]]


async def test_only_an_admin_sees_runs_of_others_and_each_says_whose_it_is(house: House):
    await house.submit(owner="ann")
    house.clock.move(1)
    await house.submit(owner="bob")
    boss, bob = await house.client_of("boss"), await house.client_of("bob", READER)
    body = (await boss.get("/runs?all_owners=true")).json
    assert [run["owner"] for run in body["runs"]] == ["bob", "ann"]
    assert [run["owner"] for run in (await boss.get("/runs?owner=ann")).json["runs"]] == ["ann"]
    own = (await bob.get("/runs?owner=bob")).json["runs"]
    assert [run["owner"] for run in own] == ["bob"]
    assert "owner" not in (await bob.get("/runs")).json["runs"][0]
    assert await listed(boss, "") == []
    for query in ("owner=ann", "all_owners=true"):
        for path in ("/runs", "/runs/stats"):
            refused = await bob.get(f"{path}?{query}")
            assert (refused.status, refused.json["code"]) == (403, "forbidden")
    both = await boss.get("/runs?owner=ann&all_owners=true")
    assert (both.status, both.json["path"]) == (422, "query.owner")
    theirs = body["runs"][0]["id"]
    assert (await boss.get(f"/runs/{theirs}")).status == 404, "a list, and no more"


async def test_what_is_in_a_run_is_listed_to_its_owner_alone(house: House):
    boss, ann = await house.client_of("boss"), await house.client_of("ann", READER)
    mine = {"owner": "ann", "metadata": {"case": "7"}}
    ended = await house.succeed(await house.a_running_run(**mine), "the diagnosis")
    house.clock.move(1)
    await house.ask(await house.a_running_run(**mine), "is it the knee?")
    house.clock.move(1)
    await house.fail(await house.a_running_run(**mine))
    for query in ("all_owners=true", "owner=ann", "owner=ann&output=false", "all_owners=true&output=false"):
        answer = await boss.get(f"/runs?{query}")
        failed, waiting, succeeded = answer.json["runs"]
        for run in (failed, waiting, succeeded):
            assert [run["output"], run.get("preview"), run["question"]] == [None] * 3
            assert run["metadata"] == {}
        assert [run["status"] for run in (waiting, succeeded)] == ["waiting", "succeeded"]
        assert failed["error"]["message"] == "it broke", "which it is found by"
        assert not [word for word in ("diagnosis", "knee", "case") if word in answer.text]
    own = (await ann.get("/runs?owner=ann")).json["runs"]
    assert [own[2]["output"], own[1]["question"]["question"]] == ["the diagnosis", "is it the knee?"]
    assert own[2]["id"] == f"run_{ended.id}" and own[2]["metadata"] == {"case": "7"}
    assert (await ann.get("/runs?owner=ann&output=false")).json["runs"][2]["preview"] == "the diagnosis"


async def test_runs_are_counted_by_the_minute(house: House):
    await house.a_finished_run()
    house.clock.move(61)
    await house.fail(await house.a_running_run())
    await house.submit(owner="ann")
    await house.submit()
    house.clock.move(30)
    stats = (await house.client.get("/runs/stats")).json
    assert (stats["bucket"], len(stats["buckets"])) == (60, 61)
    assert (stats["since"], stats["until"]) == ("2027-01-15T07:01:00.000000Z", f"{ISO}02:00.000000Z")
    assert stats["buckets"][-2:] == [
        {"at": f"{ISO}00:00.000000Z", "created": 1, "succeeded": 1, "failed": 0, "cancelled": 0},
        {"at": f"{ISO}01:00.000000Z", "created": 2, "succeeded": 0, "failed": 1, "cancelled": 0},
    ]
    waits = f"{ISO}01:01.000000Z"
    assert stats["queue"] == [
        {"agent": "echo", "queued": 1, "running": 0, "waiting": 0, "oldest_queued_at": waits}
    ]
    window = f"since={ISO}01:00Z&until={ISO}01:30Z&bucket=10&all_owners=true"
    everybodys = (await house.client.get(f"/runs/stats?{window}")).json
    assert [bucket["created"] for bucket in everybodys["buckets"]] == [3, 0, 0]
    assert everybodys["queue"][0]["queued"] == 2


async def test_what_is_over_is_counted_once(house: House, monkeypatch: pytest.MonkeyPatch):
    counted: list[int] = []
    count = house.store.stats.tallies

    async def tallies(owner, since, width, number):
        counted.append(number)
        return await count(owner, since, width, number)

    monkeypatch.setattr(house.store.stats, "tallies", tallies)
    run = await house.submit()
    house.clock.move(121)
    first = (await house.client.get("/runs/stats")).json
    await house.succeed(await house.claim(run))
    second = (await house.client.get("/runs/stats")).json
    assert counted == [61, 2], "the minute under way and the one before it"
    assert second["buckets"][:-1] == first["buckets"][:-1]
    assert (first["buckets"][-3]["created"], second["buckets"][-1]["succeeded"]) == (1, 1)
    await house.client.get("/runs/stats?all_owners=true")
    await house.client.get("/runs/stats?bucket=30")
    assert counted[2:] == [61, 121]


@pytest.mark.parametrize(
    ("query", "path", "hint"),
    [
        (f"since={ISO}00:00Z&until={ISO}00:00Z", "since", ""),
        (f"since=2027-01-08T07:59:59Z&until={ISO}00:00Z", "since", ""),
        (f"since=2027-01-14T08:00:00Z&until={ISO}00:00Z&bucket=60", "bucket", "at least 87 seconds"),
        ("since=yesterday", "query.since", ""),
        ("bucket=0", "query.bucket", ""),
    ],
)
async def test_a_window_that_is_too_much_is_refused(house: House, query: str, path: str, hint: str):
    refused = await house.client.get(f"/runs/stats?{query}")
    assert (refused.status, refused.json["path"]) == (422, path)
    assert hint in refused.json.get("hint", "")
    if hint:
        assert (await house.client.get(f"/runs/stats?{query.replace('=60', '=87')}")).status == 200


async def test_a_run_says_why_it_is_where_it_is(house: House):
    run = await house.submit()
    why = (await house.client.get(f"/runs/run_{run.id}/why")).json
    assert why == {
        "id": f"run_{run.id}", "status": "queued", "why": "Queued: no live worker serves the agent `echo`.",
    }  # fmt: skip
    ann = await house.client_of("ann")
    assert (await ann.get(f"/runs/run_{run.id}/why")).status == 404


async def test_what_is_shown_fits_the_document(house: House):
    document = (await house.client.get("/openapi.json")).json
    await house.submit()
    for path, template in (
        ("/runs?all_owners=1", "/runs"), ("/runs?output=false", "/runs"), ("/runs/stats", ""),
        ("/workers", ""), ("/users", ""),
    ):  # fmt: skip
        answers = document["paths"][template or path]["get"]["responses"]
        schema = answers["200"]["content"]["application/json"]["schema"]
        body = (await house.client.get(path)).json
        check_fits(body, {**schema, "components": document["components"]})


async def test_a_list_without_outputs_says_how_each_begins(house: House):
    run = await house.succeed(await house.a_running_run(), "word " * 50_000)
    house.clock.move(1)
    await house.submit()
    page = await house.client.get("/runs?output=false")
    queued, ended = page.json["runs"]
    assert (queued["output"], queued["preview"]) == (None, None)
    assert (ended["output"], ended["preview"]) == (None, ("word " * 50_000)[:200])
    assert len(page.body) < 5_000
    whole = (await house.client.get("/runs")).json["runs"][1]
    assert "preview" not in whole
    assert whole["output"] == "word " * 50_000
    assert (await house.client.get(f"/runs/run_{run.id}")).json["output"] == whole["output"]
