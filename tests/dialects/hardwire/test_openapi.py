"""The document of this API: every route, described as it answers."""

import json

import jsonschema
import pytest

from runwell.dialects.dialect import Options
from tests.dialects.hardwire.people import CHAT, a_person
from tests.support.house import House, a_house


async def test_the_document_describes_the_routes_below_the_mount(house: House):
    document = (await house.client.get("/hardwire/openapi.json")).json
    assert document["openapi"].startswith("3.")
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    assert all(operation["summary"] for operation in operations)
    references = {part.partition('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert references <= set(document["components"]["schemas"])


@pytest.mark.parametrize("form", ["docs", "app"])
async def test_answers_are_as_the_document_says(tmp_path, form):
    async with a_house(tmp_path, options=Options(hardwire_wire=form)) as house:
        ann = await a_person(house)
        document = (await house.client.get("/hardwire/openapi.json")).json
        workflow = await ann.workflow()
        await house.claim(await ann.start(workflow))
        ids = {"userId": ann.id, "chatId": CHAT, "workflowId": workflow}
        await ann.client.post(f"/api/users/{ann.id}/model-preference", {"modelId": "m"})
        checked = 0
        for path, item in document["paths"].items():
            if "get" not in item or "{toolId}" in path or "Run" in path or path.endswith("search"):
                continue
            answer = await ann.client.get(path.format(**ids))
            assert answer.status == 200, (path, answer.text)
            content = item["get"]["responses"]["200"].get("content")
            if content is None:
                assert answer.json is None
                continue
            schema = {**content["application/json"]["schema"], "components": document["components"]}
            jsonschema.validate(answer.json, schema)
            checked += 1
        refused = await house.client.get(f"/api/chats/{CHAT}/messages")
        schema = document["paths"]["/api/chats/{chatId}/messages"]["get"]["responses"]["401"]
        jsonschema.validate(
            refused.json,
            {**schema["content"]["application/json"]["schema"], "components": document["components"]},
        )
        assert checked >= 9
