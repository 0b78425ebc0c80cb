"""Workflows over the native API."""

import pytest

from tests.support.house import MODEL_KEY, House

STEPS = [
    {"id": "write", "prompt": "Write.", "tools": [], "depends_on": ["look", "count"]},
    {"id": "look", "name": "Look it up", "agent": "echo", "depends_on": []},
    {"id": "count", "model": "small"},
]
BODY = {
    "steps": STEPS, "model": "big", "base_url": "http://127.0.0.1:9/v1", "api_key_env": MODEL_KEY,
    "instructions": "Be brief.", "description": "A report.",
}  # fmt: skip


async def test_a_workflow_is_made_and_its_steps_are_shown_in_dependency_order(house: House):
    made = await house.client.put("/agents/report", BODY)
    assert made.status == 201, made.text
    assert (made.json["kind"], made.json["model"], made.json["owner"]) == ("workflow", "big", "local")
    assert made.json["input_schema"] == {}
    assert made.json["steps"] == [
        {"id": "look", "name": "Look it up", "prompt": "", "agent": "echo", "model": None, "tools": [],
         "depends_on": []},
        {"id": "count", "name": "count", "prompt": "", "agent": None, "model": "small", "tools": [],
         "depends_on": []},
        {"id": "write", "name": "write", "prompt": "Write.", "agent": None, "model": "big", "tools": [],
         "depends_on": ["look", "count"]},
    ]  # fmt: skip
    assert (await house.client.get("/agents/report")).json == made.json
    stored = await house.store.agents.get("report", "local")
    assert stored is not None and stored.workflow is not None
    small = stored.workflow.steps[2].model
    assert small is not None
    assert (small.base_url, small.api_key_env, small.instructions) == (
        BODY["base_url"], MODEL_KEY, "Be brief.",
    )  # fmt: skip
    assert (await house.client.post("/runs", {"agent": "report", "input": "x"})).status == 202


async def test_a_workflow_may_become_a_model_and_back(house: House):
    assert (await house.client.put("/agents/report", {"steps": [{"id": "a"}]})).status == 201
    model = await house.client.put("/agents/report", {"model": "m"})
    assert (model.status, model.json["kind"]) == (200, "model")
    assert "steps" not in model.json
    back = (await house.client.put("/agents/report", {"steps": [{"id": "a"}]})).json
    assert (back["kind"], back["model"], back["steps"][0]["agent"]) == ("workflow", None, "echo")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "$.model"),
        ({"steps": []}, "$.steps"),
        ({"steps": [{}]}, "$.steps[0]"),
        ({"steps": [{"id": "a", "need": "b"}]}, "$.steps[0]"),
        ({"steps": [{"id": "a"}, {"id": "a"}]}, "$.steps[1].id"),
        ({"steps": [{"id": "a", "agent": "nobody"}]}, "$.steps[0].agent"),
        ({"steps": [{"id": "a", "depends_on": ["b"]}]}, "$.steps[0].depends_on[0]"),
        ({"steps": [{"id": "a", "depends_on": ["a"]}]}, "$.steps[0].depends_on"),
        ({"steps": [{"id": "a"}], "temperature": 0.5}, "$.temperature"),
        ({"steps": [{"id": "a"}], "tools": ["x"]}, "$.tools"),
        ({"steps": [{"id": "a"}], "model": "m", "api_key_env": "HOME"}, "$.api_key_env"),
        ({"steps": [{"id": "a", "prompt": "\x00"}]}, "$.steps[0].prompt"),
    ],
)  # fmt: skip
async def test_a_workflow_that_cannot_be_is_refused_with_the_place(house: House, body, path):
    answer = await house.client.put("/agents/report", body)
    assert (answer.status, answer.json["path"]) == (422, path), answer.text
    assert (await house.client.get("/agents/report")).status == 404
