"""/schedules: making, reading, changing them, and firing one by hand."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support.house import House, a_house

NIGHTLY = {"agent": "echo", "cron": "30 2 * * *", "timezone": "Europe/Berlin", "input": "tick"}
"""The clock stands at 2027-01-15T08:00:00Z."""
NEXT = [f"2027-01-{day}T01:30:00.000000Z" for day in range(16, 21)]
THREAD = "thread_01a3185c500040008000000000000001"
OPTIONS = {
    "name": "news", "missed": "once", "thread_id": THREAD, "if_busy": "refuse", "concurrency_key": "k",
    "metadata": {"team": "ops"}, "priority": 5, "timeout": 1.5, "max_attempts": 2, "expires_in": 60.0,
}  # fmt: skip


async def made(house: House, **fields: Any) -> dict[str, Any]:
    answer = await house.client.post("/schedules", {**NIGHTLY, **fields})
    assert answer.status == 201, answer.text
    schedule: dict[str, Any] = answer.json
    return schedule


async def test_a_schedules_life(house: House) -> None:
    schedule = await made(house, **OPTIONS)
    assert (schedule["next_at"], schedule["next"]) == (NEXT[0], NEXT)
    assert {name: schedule[name] for name in (*NIGHTLY, *OPTIONS)} == {**NIGHTLY, **OPTIONS}
    assert (schedule["paused"], schedule["last_at"], schedule["last_run_id"]) == (False, None, None)
    where = f"/schedules/{schedule['id']}"
    assert (await house.client.get(where)).json == schedule
    listed = {name: value for name, value in schedule.items() if name not in ("input", "next")}
    assert (await house.client.get("/schedules")).json == {"schedules": [listed], "next_cursor": None}
    paused = (await house.client.patch(where, {"paused": True})).json
    assert paused == {**schedule, "paused": True, "next_at": None, "next": []}
    assert (await house.client.patch(where, {})).json == paused
    assert (await house.client.patch(where, {"paused": False})).json == schedule
    bare = (await house.client.patch(where, {"thread_id": None, "timeout": None, "input": "tock"})).json
    assert bare == {**schedule, "thread_id": None, "timeout": None, "input": "tock"}
    assert (await house.client.delete(where)).status == 204
    assert (await house.client.get(where)).json["code"] == "schedule_not_found"
    assert (await house.client.delete(where)).status == 404


async def test_another_expression_or_zone_counts_from_now_and_nothing_else_does(house: House) -> None:
    where = f"/schedules/{(await made(house))['id']}"
    house.clock.move(86_400)  # what is due by now stays due whatever else is changed
    renamed = (await house.client.patch(where, {"name": "other", "missed": "all"})).json
    assert renamed["next_at"] == NEXT[0]
    moved = (await house.client.patch(where, {"timezone": "America/New_York"})).json
    assert moved["next_at"] == "2027-01-17T07:30:00.000000Z"
    often = (await house.client.patch(where, {"cron": "*/10 * * * *"})).json
    assert (often["next_at"], often["next"][1]) == (
        "2027-01-16T08:10:00.000000Z",
        "2027-01-16T08:20:00.000000Z",
    )


async def test_schedules_are_paged_newest_first(house: House) -> None:
    ids = []
    for _ in range(3):
        house.clock.move(1)
        ids.append((await made(house))["id"])
    page = (await house.client.get("/schedules?limit=2")).json
    rest = (await house.client.get(f"/schedules?limit=2&cursor={page['next_cursor']}")).json
    assert [each["id"] for each in page["schedules"] + rest["schedules"]] == ids[::-1]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize("paused", [False, True])
async def test_one_that_is_fired_by_hand_starts_a_run_now_and_stays_as_it_was(house: House, paused) -> None:
    schedule = await made(house, paused=paused, metadata={"team": "ops"})
    answer = await house.client.post(f"/schedules/{schedule['id']}/fire")
    assert (answer.status, answer.json["status"]) == (202, "queued")
    run = (await house.client.get(answer.headers["location"])).json
    assert (run["source"], run["agent"], run["id"]) == ("schedule", "echo", answer.json["id"])
    due = "2027-01-15T08:00:00.000000Z"
    assert run["metadata"] == {"team": "ops", "schedule": schedule["id"], "due_at": due}
    assert (await house.client.get(f"/schedules/{schedule['id']}")).json == schedule


WRONG = [
    ({"cron": "every day"}, 422, "$.cron"),
    ({"cron": "0 25 * * *"}, 422, "$.cron"),
    ({"cron": "0 0 */31 * MON#5"}, 422, "$.cron"),
    ({"cron": "0 0 */31 * MON#5", "paused": True}, 422, "$.cron"),
    ({"timezone": "Mars/Olympus"}, 422, "$.timezone"),
    ({"missed": "maybe"}, 422, "$.missed"),
    ({"name": "x" * 201}, 422, "$.name"),
    ({"name": "\x00"}, 422, "$.name"),
    ({"input": {"a": ["\x00"]}}, 422, "$.input.a[0]"),
    ({"input": 3}, 422, "$"),
    ({"metadata": {"a": 2**64}}, 422, "$.metadata.a"),
    ({"priority": 101}, 422, "$.priority"),
    ({"timeout": 1e9}, 422, "$.timeout"),
    ({"concurrency_key": ""}, 422, "$.concurrency_key"),
    ({"agent": "nobody"}, 404, None),
    ({"next_at": "2027-01-01T00:00:00Z"}, 422, "$"),
]


@pytest.mark.parametrize(("fields", "status", "path"), WRONG, ids=str)
async def test_a_schedule_must_be_one_and_a_change_too(house: House, fields, status, path) -> None:
    schedule = await made(house)
    where = f"/schedules/{schedule['id']}"
    created = await house.client.post("/schedules", {**NIGHTLY, **fields})
    changed = await house.client.patch(where, fields)
    for answer in (created, changed):
        assert (answer.status, answer.json.get("path")) == (status, path)
    assert (await house.client.get(where)).json == schedule
    assert len((await house.client.get("/schedules")).json["schedules"]) == 1


async def test_what_is_wrong_with_an_expression_is_told_with_an_example(house: House) -> None:
    problem = (await house.client.post("/schedules", {**NIGHTLY, "cron": "0 25 * * *"})).json
    assert problem["detail"] == "$.cron: '0 25 * * *' has a bad hour"
    assert "0 9 * * MON-FRI" in problem["hint"]


async def test_one_whose_agent_is_gone_can_still_be_paused(house: House) -> None:
    await house.client.put("/agents/mine", {"model": "m"})
    where = f"/schedules/{(await made(house, agent='mine'))['id']}"
    await house.client.delete("/agents/mine")
    assert (await house.client.patch(where, {"paused": True})).json["paused"] is True
    assert (await house.client.patch(where, {"priority": 1})).status == 404
    assert (await house.client.post(f"{where}/fire")).status == 404
    assert (await house.client.patch(where, {"agent": "echo"})).json["agent"] == "echo"


async def test_a_schedule_is_its_owners(tmp_path: Path) -> None:
    async with a_house(tmp_path, local_mode=False) as house:
        ann, bob = await house.client_of("ann"), await house.client_of("bob")
        schedule = (await ann.post("/schedules", {**NIGHTLY, "name": "private"})).json
        where = f"/schedules/{schedule['id']}"
        for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/fire")):
            answer = await bob.request(method, where + path, json={"paused": True})
            assert (answer.status, answer.json["code"]) == (404, "schedule_not_found")
            assert "private" not in answer.text
        assert (await bob.get("/schedules")).json["schedules"] == []
        assert (await bob.get("/runs")).json["runs"] == []
        assert (await ann.get(where)).json == schedule


async def test_the_bodies_fit_their_schemas(house: House) -> None:
    document = (await house.client.get("/openapi.json")).json
    for value, name in (
        (await made(house, **OPTIONS), "ScheduleDetail"),
        ((await house.client.get("/schedules")).json, "SchedulePage"),
    ):
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.validate(value, schema)
        assert value
