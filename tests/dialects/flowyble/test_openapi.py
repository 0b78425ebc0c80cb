"""The dialect's document, and its routes beside those of others."""

from typing import Any

import jsonschema
import pytest
from fastapi import FastAPI
from openapi_spec_validator import validate
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from runwell.dialects.dialect import Dialect, Services
from runwell.dialects.exchange import Reply
from runwell.dialects.flowyble.dialect import build_flowyble
from runwell.dialects.native.dialect import build_native
from runwell.domain.ids import spell_uuid
from tests.dialects.flowyble.agents import AGENTS, ECHO, SEARCH
from tests.support.house import House, a_house


@pytest.fixture
async def document(house: House) -> Any:
    return (await house.client.get("/flowyble/openapi.json")).json


async def test_it_is_valid_and_says_where_it_is(document):
    validate(document)
    assert document["servers"] == [{"url": "/flowyble"}]


async def test_every_route_is_in_it(house: House, document):
    served = {
        (place.template.removeprefix("/flowyble"), method.lower())
        for place in house.app.paths.places
        for method, mount in place.methods.items()
        if mount.dialect.name == "flowyble" and not place.template.endswith("/openapi.json")
    }
    documented = {(path, method) for path, item in document["paths"].items() for method in item}
    assert documented == served
    assert len(documented) == 7


async def test_every_operation_says_what_it_takes_and_answers(document):
    for path, item in document["paths"].items():
        for op in item.values():
            assert op["summary"]
            (param,) = [each for each in op["parameters"] if each["in"] == "path"]
            assert f"{{{param['name']}}}" in path
            for status, answer in op["responses"].items():
                schema = answer["content"]["application/json"]["schema"]["$ref"]
                assert (schema.endswith("/Failure")) == (int(status) >= 400)
            assert "Retry-After" in op["responses"]["429"]["headers"]


async def test_what_is_served_fits_its_schema(house: House, document):
    run = (await house.client.post(f"/v1/agents/run/{ECHO}", {"userMessage": "x"})).json
    tool = (await house.client.post(f"/v1/tools/run/{SEARCH}", {"query": "x"})).json
    trigger = (await house.client.post("/triggers", {"agent": "echo"})).json
    done = await house.a_finished_run()
    agents, tools = f"/v1/agents/run/{run['id']}", f"/v1/tools/run/{tool['id']}"
    for value, name in (
        (run, "Started"), (tool, "Started"),
        ((await house.client.get(f"{agents}/status")).json, "AgentRun"),
        ((await house.client.get(f"/v1/agents/run/{spell_uuid(done.id)}/details")).json, "AgentRunDetails"),
        ((await house.client.get(f"{tools}/status")).json, "ToolRun"),
        ((await house.client.get(f"{tools}/result")).json, "ToolResult"),
        ((await house.client.post(trigger["path"], {})).json, "Fired"),
        ((await house.client.get("/v1/agents/run/x/status")).json, "Failure"),
    ):  # fmt: skip
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.validate(value, schema)
        assert set(value) == set(document["components"]["schemas"][name]["properties"])


def build_neighbour(services: Services) -> Dialect:
    """Another API with ids where this one has `run`."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    async def answer(request: Request) -> Response:
        return PlainTextResponse(f"neighbour: {sorted(request.path_params.values())}")

    for method, path in (
        ("GET", "/v1/agents/{agent_id}"), ("POST", "/v1/agents/{agent_id}/messages"),
        ("GET", "/v1/agents/{agent_id}/{what}/status"), ("GET", "/v1/tools/{tool_id}"),
    ):  # fmt: skip
        app.add_api_route(path, answer, methods=[method], response_class=Response)
    return Dialect("neighbour", app, (), lambda error, scope: Reply(400, []))


@pytest.mark.parametrize("order", [1, -1])
async def test_run_is_a_word_here_and_ids_are_the_neighbours(tmp_path, order):
    others = [build_flowyble, build_neighbour][::order]
    async with a_house(tmp_path, agents=AGENTS, dialects=[build_native, *others]) as house:
        started = await house.client.post(f"/v1/agents/run/{ECHO}", {"userMessage": "x"})
        assert started.json["success"] is True
        status = await house.client.get(f"/v1/agents/run/{started.json['id']}/status")
        assert status.json["status"] == "Pending"
        for method, path, said in (
            ("GET", f"/v1/agents/{ECHO}", f"['{ECHO}']"),
            ("POST", f"/v1/agents/{ECHO}/messages", f"['{ECHO}']"),
            ("GET", f"/v1/agents/{ECHO}/x/status", f"['{ECHO}', 'x']"),
            ("GET", "/v1/tools/run", "['run']"),
        ):
            answer = await house.client.request(method, path)
            assert (answer.status, answer.text) == (200, f"neighbour: {said}")
        assert (await house.client.post("/v1/agents/run/messages", {"userMessage": "x"})).status == 404
