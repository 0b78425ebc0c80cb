"""The document: valid, complete, and the same as what is served."""

import jsonschema
import pytest
from openapi_spec_validator import validate

from tests.support.house import House


@pytest.fixture
async def document(house: House):
    return (await house.client.get("/openapi.json")).json


def check_fits(value, schema) -> None:
    jsonschema.validate(value, schema, format_checker=jsonschema.FormatChecker())


async def test_it_is_valid(document):
    validate(document)
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "Runwell"


async def test_the_named_mount_says_where_it_is(house: House):
    named = (await house.client.get("/native/openapi.json")).json
    validate(named)
    assert named["servers"] == [{"url": "/native"}]


async def test_every_route_is_in_it(house: House, document):
    served = {
        (place.template, method.lower())
        for place in house.app.paths.places
        for method, mount in place.methods.items()
        if mount.dialect.name == "native"
        and not place.template.startswith(("/native", "/docs", "/ui"))
        and place.template not in ("/", "/openapi.json")
    }
    documented = {(path, method) for path, item in document["paths"].items() for method in item}
    assert documented == served


async def test_every_operation_is_named_and_every_answer_described(document):
    operations = [op for item in document["paths"].values() for op in item.values()]
    ids = [op["operationId"] for op in operations]
    assert len(set(ids)) == len(ids)
    for op in operations:
        assert op["summary"]
        assert op["tags"]
        assert all(answer["description"] for answer in op["responses"].values())


async def test_every_error_is_a_problem(document):
    for item in document["paths"].values():
        for op in item.values():
            for status, answer in op["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"], op["operationId"]


async def test_every_native_operation_may_be_too_often_and_says_when_to_come_back(document):
    for path, item in document["paths"].items():
        for method, op in item.items():
            if path in ("/healthz", "/readyz"):
                assert "429" not in op["responses"]
            elif path != "/metrics":
                assert "Retry-After" in op["responses"]["429"]["headers"], (method, path)


async def test_bodies_have_schemas_and_examples_that_fit(document):
    for item in document["paths"].values():
        for op in item.values():
            if "requestBody" not in op:
                continue
            content = op["requestBody"]["content"]["application/json"]
            schema = {**content["schema"], "components": document["components"]}
            check_fits(content["example"], schema)


async def test_headers_and_media_types_that_matter_are_in_it(document):
    paths = document["paths"]

    def headers(path, method):
        return {p["name"] for p in paths[path][method]["parameters"] if p["in"] == "header"}

    assert headers("/runs", "post") == {"Idempotency-Key", "Prefer"}
    assert headers("/runs/{run_id}", "get") == {"If-None-Match", "Prefer"}
    assert headers("/runs/{run_id}/events", "get") == {"Last-Event-ID"}
    assert "ETag" in paths["/runs/{run_id}"]["get"]["responses"]["200"]["headers"]
    assert "304" in paths["/runs/{run_id}"]["get"]["responses"]
    assert "text/event-stream" in paths["/runs/{run_id}/events"]["get"]["responses"]["200"]["content"]
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey", "session"}


async def test_what_is_served_fits_its_schema(house: House, document):
    """One of each body, the full ones; the fuzz test does the rest."""
    thread = (await house.client.post("/threads", {"title": "t"})).json["id"]
    run = await house.ask(await house.a_running_run(thread_id=thread.removeprefix("thread_")))
    await house.a_finished_run(metadata={"k": 1})
    await house.client.put("/agents/mine", {"model": "m"})
    await house.client.post("/keys", {"name": "k"})
    for path, body in (
        (f"/runs/{run.id}", "Run"),
        ("/runs", "RunPage"),
        (f"/runs/{run.id}/events", "EventPage"),
        (f"/runs/{run.id}/steps", "StepList"),
        ("/agents", "AgentList"),
        ("/threads", "ThreadPage"),
        (f"/threads/{thread}/messages", "MessagePage"),
        ("/keys", "KeyList"),
        ("/nothing", "Problem"),
    ):
        schema = {"$ref": f"#/components/schemas/{body}", "components": document["components"]}
        answer = (await house.client.get(path)).json
        check_fits(answer, schema)
