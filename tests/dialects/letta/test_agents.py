"""Agents: the server's own and those made here, in Letta's shape."""

import json
from pathlib import Path

import pytest

from runwell.dialects.letta import ids
from tests.dialects.letta.sent import an_agent
from tests.support.house import House

FIELDS = json.loads((Path(__file__).with_name("agent_fields.json")).read_text())


async def test_an_agent_has_the_fields_of_the_original_in_its_order(house: House):
    agent = await an_agent(house.client, memory_blocks=[{"label": "human", "value": "Ann"}])
    body = (await house.client.get(f"/v1/agents/{agent}")).json
    assert list(body) == FIELDS["agent"]
    assert list(body["llm_config"]) == FIELDS["llm_config"]
    assert list(body["blocks"][0]) == FIELDS["block"]
    assert body["memory"]["blocks"] == body["blocks"]


async def test_an_agent_is_an_ordinary_agent_of_the_server(house: House):
    agent = await an_agent(
        house.client,
        name="My helper!",
        model="openai/gpt-5",
        system="Be kind.",
        memory_blocks=[{"label": "human", "value": "Ann", "description": "who"}],
        tags=["a", "b"],
        metadata={"k": 1},
        description="helps",
    )
    body = (await house.client.get(f"/v1/agents/{agent}")).json
    assert (body["name"], body["model"], body["system"]) == ("My helper!", "openai/gpt-5", "Be kind.")
    assert (body["tags"], body["metadata"], body["description"]) == (["a", "b"], {"k": 1}, "helps")
    assert body["llm_config"]["model"] == "gpt-5"
    native = (await house.client.get("/agents/My-helper")).json
    assert native["id"] == f"agent_{ids.read(agent)}"
    again = await an_agent(house.client, name="My helper!")
    assert again != agent


async def test_agents_in_code_are_listed_and_not_changed(house: House):
    listed = (await house.client.get("/v1/agents/")).json
    assert {agent["name"] for agent in listed} == {"echo", "counter"}
    echo = next(agent for agent in listed if agent["name"] == "echo")
    assert (await house.client.get(f"/v1/agents/{echo['id']}")).json == echo
    for answer in (
        await house.client.patch(f"/v1/agents/{echo['id']}", {"name": "mine"}),
        await house.client.delete(f"/v1/agents/{echo['id']}"),
    ):
        assert answer.status == 400
        assert "made in code" in answer.json["detail"]


async def test_lists_of_agents(house: House):
    made = []
    for number in range(4):
        house.clock.move(1)
        tags = ["even" if number % 2 == 0 else "odd", "all"]
        made.append(await an_agent(house.client, name=f"n{number}", tags=tags))

    async def listed(query: str) -> list[str]:
        return [agent["id"] for agent in (await house.client.get(f"/v1/agents/?{query}")).json]

    assert (await listed(""))[:4] == made[::-1]
    assert (await listed("order=asc"))[2:] == (await listed("ascending=true"))[2:] == made
    assert await listed("name=n2") == [made[2]]
    assert await listed("tags=even&tags=odd") == made[::-1]
    assert await listed("tags=even&tags=all&match_all_tags=true") == [made[2], made[0]]
    assert await listed("query_text=N") == [*made[::-1], ids.agent_id((await code(house)).id)]
    assert await listed(f"tags=all&limit=2&after={made[3]}") == [made[2], made[1]]
    assert await listed(f"tags=all&limit=2&before={made[0]}") == [made[2], made[1]]


async def code(house: House):
    return await house.store.agents.get("counter", "local")


async def test_an_agent_is_changed(house: House):
    agent = await an_agent(house.client, system="old", tags=["a"])
    house.clock.move(1)
    changed = await house.client.patch(f"/v1/agents/{agent}", {"name": "new", "system": "new", "tags": []})
    assert (changed.json["id"], changed.json["name"], changed.json["tags"]) == (agent, "new", [])
    assert (await house.client.get(f"/v1/agents/{agent}")).json == changed.json
    assert changed.json["updated_at"] > changed.json["created_at"]


async def test_an_agent_made_elsewhere_is_shown_and_changed(house: House):
    await house.client.put("/agents/native", {"model": "openai:gpt-5", "instructions": "Be brief."})
    spec = await house.store.agents.get("native", "local")
    path = f"/v1/agents/{ids.agent_id(spec.id)}"
    shown = (await house.client.get(path)).json
    assert (shown["name"], shown["system"], shown["model"]) == ("native", "Be brief.", "openai:gpt-5")
    changed = (await house.client.patch(path, {"tags": ["x"]})).json
    assert (changed["tags"], changed["system"]) == (["x"], "Be brief.")


async def test_an_agent_is_deleted_and_its_runs_stay(house: House):
    agent = await an_agent(house.client)
    sent = (await house.client.post(f"/v1/agents/{agent}/messages/async", {"input": "hi"})).json
    assert (await house.client.delete(f"/v1/agents/{agent}")).status == 200
    assert (await house.client.get(f"/v1/agents/{agent}")).status == 404
    assert (await house.client.delete(f"/v1/agents/{agent}")).status == 404
    assert (await house.client.get(f"/v1/runs/{sent['id']}")).json["agent_id"] == agent


@pytest.mark.parametrize("body", [{"name": 3}, {"tags": "x"}, {"memory_blocks": [{"value": "x"}]}])
async def test_agents_that_do_not_fit(house: House, body):
    answer = await house.client.post("/v1/agents/", body)
    assert (answer.status, answer.json["trace_id"]) == (422, "")


async def test_models_are_never_an_empty_list(house: House):
    models = (await house.client.get("/v1/models/")).json
    assert [model["handle"] for model in models] == ["echo"]
    assert (await house.client.get("/v1/models/embedding")).json == []
