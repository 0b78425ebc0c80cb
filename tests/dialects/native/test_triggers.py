"""/triggers: addresses that start runs. What a post to one does is the tests' of the dialect that answers."""

from typing import Any

import jsonschema
import pytest

from tests.support.house import House, a_house

SHOWN = ["id", "name", "agent", "prefix", "signed", "paused", "created_at"]


async def made(house: House, **fields: Any) -> dict[str, Any]:
    answer = await house.client.post("/triggers", {"agent": "echo", **fields})
    assert answer.status == 201, answer.text
    trigger: dict[str, Any] = answer.json
    return trigger


async def test_a_triggers_life(house: House):
    answer = await house.client.post("/triggers", {"agent": "echo", "name": "news", "secret": "s3cret"})
    assert answer.status == 201
    assert answer.headers["cache-control"] == "no-store"
    trigger = answer.json
    token, path = trigger.pop("token"), trigger.pop("path")
    assert list(trigger) == SHOWN
    assert path == f"/webhooks/{token}"
    assert (trigger["name"], trigger["agent"], trigger["prefix"]) == ("news", "echo", token[:10])
    assert (trigger["signed"], trigger["paused"]) == (True, False)
    where = f"/triggers/{trigger['id']}"
    assert (await house.client.get(where)).json == trigger
    assert (await house.client.get("/triggers")).json == {"triggers": [trigger]}
    paused = await house.client.patch(where, {"paused": True})
    assert (paused.status, paused.json) == (200, {**trigger, "paused": True})
    renamed = (await house.client.patch(where, {"name": "other"})).json
    assert (renamed["name"], renamed["paused"]) == ("other", True)
    assert (await house.client.patch(where, {})).json == renamed
    assert (await house.client.delete(where)).status == 204
    assert (await house.client.delete(where)).json["code"] == "trigger_not_found"
    assert (await house.client.get("/triggers")).json == {"triggers": []}


async def test_triggers_are_listed_newest_first(house: House):
    ids = []
    for _ in range(3):
        house.clock.move(1)
        ids.append((await made(house))["id"])
    assert [each["id"] for each in (await house.client.get("/triggers")).json["triggers"]] == ids[::-1]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid_input"), ({"agent": ""}, 422, "invalid_input"),
        ({"agent": "nobody"}, 404, "agent_not_found"),
        ({"agent": "echo", "secret": ""}, 422, "invalid_input"),
        ({"agent": "echo", "secret": "x" * 257}, 422, "invalid_input"),
        ({"agent": "echo", "name": "x" * 201}, 422, "invalid_input"),
        ({"agent": "echo", "name": "\x00"}, 422, "invalid_json"),
        ({"agent": "echo", "token": "mine"}, 422, "invalid_input"),
    ],
)  # fmt: skip
async def test_a_trigger_must_be_one(house: House, body, status, code):
    answer = await house.client.post("/triggers", body)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert (await house.client.get("/triggers")).json == {"triggers": []}


@pytest.mark.parametrize("body", [{"paused": 1}, {"paused": None}, {"name": None}, {"agent": "counter"}])
async def test_a_change_must_be_one(house: House, body):
    where = f"/triggers/{(await made(house))['id']}"
    assert (await house.client.patch(where, body)).status == 422


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_trigger_is_its_owners(tmp_path, method):
    async with a_house(tmp_path, local_mode=False) as house:
        ann, bob = await house.client_of("ann"), await house.client_of("bob")
        id = (await ann.post("/triggers", {"agent": "echo", "name": "private"})).json["id"]
        answer = await bob.request(method, f"/triggers/{id}", json={"paused": True})
        assert (answer.status, answer.json["code"]) == (404, "trigger_not_found")
        assert "private" not in answer.text
        assert (await bob.get("/triggers")).json == {"triggers": []}
        assert (await ann.get(f"/triggers/{id}")).json["paused"] is False


async def test_the_bodies_fit_their_schemas(house: House):
    document = (await house.client.get("/openapi.json")).json
    trigger = await made(house)
    for value, name in (
        (trigger, "NewTrigger"),
        ((await house.client.get(f"/triggers/{trigger['id']}")).json, "Trigger"),
        ((await house.client.get("/triggers")).json, "TriggerList"),
    ):
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.validate(value, schema)
        assert value
