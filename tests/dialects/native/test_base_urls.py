"""Where the models of agents made through the API may be."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from runwell.domain.agent import ModelAgent
from tests.support.house import House, a_house


@pytest.fixture
async def keyed(tmp_path) -> AsyncIterator[House]:
    async with a_house(tmp_path, local_mode=False) as house:
        yield house


@pytest.mark.parametrize(
    ("base_url", "fault"),
    [
        ("http://127.0.0.2:11434/v1", "points to this machine"),
        ("http://localhost/v1", "points to this machine"),
        ("http://2130706434/v1", "points to this machine"),
        ("http://169.254.169.254/latest", "not on the public Internet"),
        ("http://inner.test/v1", "not on the public Internet"),
        ("http://user:secret@public.test/v1", "no URL that is called"),
        ("file:///etc/passwd", "does not begin with http"),
    ],
)
async def test_a_model_that_only_the_server_can_reach_is_refused(keyed: House, base_url, fault):
    client = await keyed.client_of("ann")
    for body in (
        {"model": "m", "base_url": base_url},
        {"steps": [{"id": "a", "model": "m"}], "base_url": base_url},
        {"steps": [{"id": "a"}], "model": "m", "base_url": base_url},
    ):
        answer = await client.put("/agents/mine", body)
        assert (answer.status, answer.json["path"]) == (422, "$.base_url"), answer.text
        assert fault in answer.json["detail"]
        assert "secret" not in answer.text
    assert (await client.get("/agents/mine")).status == 404


@pytest.mark.parametrize(
    "base_url", ["http://public.test/v1", "http://receiver.test:9/v1", "http://later.test"]
)
async def test_others_are_kept_and_looked_at_again_when_they_are_asked(keyed: House, base_url):
    client = await keyed.client_of("ann")
    assert (await client.put("/agents/mine", {"model": "m", "base_url": base_url})).status == 201
    steps = {"steps": [{"id": "a", "model": "m"}, {"id": "b"}], "model": "n", "base_url": base_url}
    assert (await client.put("/agents/many", steps)).status == 201
    one = await keyed.store.agents.get("mine", "ann")
    many = await keyed.store.agents.get("many", "ann")
    assert one is not None and one.definition is not None and one.definition.public_only
    assert many is not None and many.workflow is not None and many.workflow.model is not None
    assert many.workflow.model.public_only
    assert all(step.model is not None and step.model.public_only for step in many.workflow.steps)
    run = (await client.post("/runs", {"agent": "mine", "input": "x"})).json["id"]
    kept = (await keyed.store.runs.get(run.removeprefix("run_"), "ann")).definition
    assert kept is not None
    assert msgspec.json.decode(kept, type=ModelAgent).public_only


async def test_in_local_mode_whoever_asks_is_the_one_who_started_the_server(house: House):
    body = {"model": "m", "base_url": "http://localhost:11434/v1"}
    assert (await house.client.put("/agents/mine", body)).status == 201
    made = await house.store.agents.get("mine", "local")
    assert made is not None and made.definition is not None and not made.definition.public_only
