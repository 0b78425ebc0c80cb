"""Workflows: made with steps or without, read, changed, deleted."""

from typing import Any

import pytest

from runwell.agents.python import agent
from runwell.dialects.hardwire.workflows import NOBODY, OWNERS, WORKFLOWS
from runwell.domain.agent import WorkflowAgent, read_definition
from runwell.domain.errors import StoreUnavailable
from runwell.domain.ids import parse_id
from tests.dialects.hardwire.people import CHAT, STEPS, Person, a_person, check_refused
from tests.support.house import House, a_house, echo


async def read(ann: Person, id: str):
    return (await ann.client.get(f"/api/workflows/{id}")).json["data"]


async def test_a_workflow_without_steps_gets_them_later(house: House, ann: Person):
    id = await ann.workflow([])
    assert (await read(ann, id))["steps"] == []
    answer = await ann.client.post(f"/api/chats/{CHAT}/messages", ann.say(workflowId=id))
    check_refused(answer, 400)
    assert "PATCH" in answer.json["message"]
    assert (await ann.client.patch(f"/api/workflows/{id}", {"steps": STEPS})).status == 200
    await ann.start(id)
    (shown,) = await ann.runs()
    assert shown["workflowId"] == id


async def test_a_workflow_is_an_agent_of_its_owners(house: House, ann: Person):
    id = await ann.workflow()
    spec = await house.store.agents.by_id(parse_id(id), ann.owner)
    assert spec is not None
    assert (spec.name, spec.owner, spec.kind) == ("Report", ann.owner, "workflow")
    second = await ann.workflow()
    other = await house.store.agents.by_id(parse_id(second), ann.owner)
    assert other is not None
    assert other.name == "Report-2"
    assert (await read(ann, second))["name"] == "Report"


async def test_a_run_goes_on_with_the_steps_it_began_with(house: House, ann: Person):
    id = await ann.workflow()
    run = await ann.start(id)
    await ann.client.patch(f"/api/workflows/{id}", {"steps": [{"id": "other", "agent": "echo"}]})
    assert run.definition is not None
    definition = read_definition((await house.store.runs.get(run.id)).definition or run.definition)
    assert isinstance(definition, WorkflowAgent)
    (shown,) = await ann.runs()
    assert [step["id"] for step in shown["steps"]] == [step["id"] for step in STEPS]
    await ann.client.delete(f"/api/workflows/{id}")
    assert (await ann.runs())[0]["workflowId"] == id


async def test_what_is_not_given_stays(ann: Person):
    id = await ann.workflow(description="first")
    before = await read(ann, id)
    for change, field in (({"name": "New"}, "name"), ({"description": ""}, "description")):
        await ann.client.patch(f"/api/workflows/{id}", change)
        after = await read(ann, id)
        assert after[field] == change[field]
        assert {**after, field: before[field], "updatedAt": ""} == {**before, "updatedAt": ""}
        before = after
    await ann.client.patch(f"/api/workflows/{id}", {"steps": []})
    assert (await read(ann, id))["steps"] == []


async def test_versions_count_how_often_steps_were_set(app_ann: Person):
    async def version(id: str) -> int | None:
        return (await app_ann.client.get(f"/api/workflows/{id}")).json["workflow"]["version"]

    empty, made = await app_ann.workflow([]), await app_ann.workflow()
    assert (await version(empty), await version(made)) == (None, 1)
    await app_ann.client.patch(f"/api/workflows/{made}", {"name": "x"})
    await app_ann.client.patch(f"/api/workflows/{empty}", {"steps": STEPS})
    await app_ann.client.patch(f"/api/workflows/{made}", {"steps": STEPS})
    assert (await version(empty), await version(made)) == (1, 2)


async def test_workflows_made_elsewhere_are_read_changed_and_deleted(house: House, ann: Person):
    client = house.client.with_headers(authorization=f"Bearer {await house.secret(ann.owner)}")
    await client.put("/agents/mine", {"description": "made natively", "steps": STEPS})
    (listed,) = (await ann.client.get(f"/api/users/{ann.id}/workflows")).json["data"]["workflows"]
    assert (listed["name"], listed["description"]) == ("mine", "made natively")
    await ann.client.patch(f"/api/workflows/{listed['id']}", {"name": "Ours"})
    assert (await read(ann, listed["id"]))["name"] == "Ours"
    assert (await client.get("/agents/mine")).status == 200
    assert (await ann.client.delete(f"/api/workflows/{listed['id']}")).status == 204
    assert (await client.get("/agents/mine")).status == 404


async def test_an_agent_that_is_no_workflow_is_none(house: House, ann: Person):
    spec = await house.store.agents.get("echo", ann.owner)
    assert spec is not None
    check_refused(await ann.client.get(f"/api/workflows/{parse_id(spec.id)[:8]}"), 400)
    dashed = f"{spec.id[:8]}-{spec.id[8:12]}-{spec.id[12:16]}-{spec.id[16:20]}-{spec.id[20:]}"
    check_refused(await ann.client.get(f"/api/workflows/{dashed}"), 404, "Workflow does not exist")


@pytest.mark.parametrize("broken", ["put of the agent", "first document", "second document"])
async def test_a_death_on_the_way_leaves_nothing_that_misleads(house, ann: Person, bob, broken, monkeypatch):
    """Each write of the three may be the one that does not happen any more."""
    left = {"put of the agent": 0, "first document": 0, "second document": 1}[broken]
    target = house.store.agents if broken == "put of the agent" else house.store.documents
    put = target.put

    async def dying(*args):
        nonlocal left
        if left == 0:
            raise StoreUnavailable("gone")
        left -= 1
        await put(*args)

    with monkeypatch.context() as patch:
        patch.setattr(target, "put", dying)
        answer = await ann.client.post("/api/workflows", {"name": "Report", "steps": STEPS})
        check_refused(answer, 503)
    listed = (await ann.client.get(f"/api/users/{ann.id}/workflows")).json["data"]["workflows"]
    assert len(listed) == (broken != "put of the agent")
    for workflow in listed:
        assert (await read(ann, workflow["id"]))["steps"]
        check_refused(await bob.client.get(f"/api/workflows/{workflow['id']}"), 404)
        assert (await ann.client.delete(f"/api/workflows/{workflow['id']}")).status == 204
    assert await house.store.documents.page(ann.owner, WORKFLOWS, limit=9) == []


async def test_a_deleted_workflow_leaves_no_trace(house: House, ann: Person, bob: Person):
    id = await ann.workflow()
    check_refused(await bob.client.get(f"/api/workflows/{id}"), 403)
    assert (await ann.client.delete(f"/api/workflows/{id}")).status == 204
    for person in (ann, bob):
        check_refused(await person.client.get(f"/api/workflows/{id}"), 404)
    assert await house.store.documents.page(NOBODY, OWNERS, limit=9) == []
    assert [spec for spec in await house.store.agents.all(ann.owner) if spec.owner] == []


@agent(kind="tool", name="search")
async def search(query: str) -> str:
    """Search."""
    return query


STEP_FAULTS = [
    ([1], '"body.steps[0]" must be of type object'),
    ([{"x": 1}], '"body.steps[0].x" is not allowed'),
    ([{"id": 1}], '"body.steps[0].id" must be a string'),
    ([{"order": "1"}], '"body.steps[0].order" must be a number'),
    ([{"agent": "a", "toolId": "b"}], "contains a conflict between exclusive peers [agent, toolId]"),
    ([{"model": "x"}], '"body.steps[0].model" must be one of []'),
    ([{"tools": "x"}], '"body.steps[0].tools" must be an array'),
    ([{"tools": [1]}], '"body.steps[0].tools[0]" must be the name or the id of a tool'),
    ([{"dependsOn": [1]}], '"body.steps[0].dependsOn" must be an array of strings'),
    ([{"outputs": ["x"]}], '"body.steps[0].outputs" must be empty: a step hands on what it returns'),
    ([{"agent": "nobody"}], "nobody"),
    ([{"id": "a"}, {"id": "a"}], "is the id of"),
    ([{"id": "a", "dependsOn": ["b"]}, {"id": "b", "dependsOn": ["a"]}], "wait for each other"),
    ([{"inputs": {"query": 1}}], "must contain nothing but [prompt]"),
    ([{"id": "no/slash"}], "is no id for a step"),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "fault"), STEP_FAULTS)
async def test_faults_of_steps(house: House, ann: Person, steps, fault):
    id = await ann.workflow()
    before = await read(ann, id)
    for answer in (
        await ann.client.post("/api/workflows", {"name": "x", "steps": steps}),
        await ann.client.patch(f"/api/workflows/{id}", {"name": "x", "steps": steps}),
    ):
        check_refused(answer, 400)
        assert fault in answer.json["message"]
    assert await read(ann, id) == before


async def test_steps_name_their_agents_and_tools_by_name_or_by_id(tmp_path):
    async with a_house(tmp_path, agents=(echo, search)) as house:
        ann = await a_person(house)
        spec = await house.store.agents.get("search", ann.owner)
        assert spec is not None
        dashed = f"{spec.id[:8]}-{spec.id[8:12]}-{spec.id[12:16]}-{spec.id[16:20]}-{spec.id[20:]}"
        steps: list[dict[str, Any]] = [
            {"toolId": "search"},
            {"toolId": dashed},
            {"agent": "echo", "inputs": {"prompt": "Go."}},
            {},
        ]
        shown = (await read(ann, await ann.workflow(steps)))["steps"]
        assert [step["toolId"] for step in shown] == ["search", "search", "echo", "echo"]
        assert [step["id"] for step in shown] == ["step-1", "step-2", "step-3", "step-4"]
        assert shown[2]["inputs"] == {"prompt": "Go."}
        again = await ann.workflow(
            [{key: step[key] for key in ("id", "toolId", "inputs", "outputs")} for step in shown]
        )
        assert (await read(ann, again))["steps"] == shown


async def test_steps_are_put_in_their_order(ann: Person):
    steps = [{"id": "b", "order": 2, "agent": "echo"}, {"id": "a", "order": 1, "agent": "echo"}]
    assert [step["id"] for step in (await read(ann, await ann.workflow(steps)))["steps"]] == ["a", "b"]


async def test_another_user_is_not_named_in_the_documented_form(ann: Person, app_ann: Person):
    body = {"userId": "f" * 32, "name": "x"}
    check_refused(await ann.client.post("/api/workflows", body), 403)
    assert (await app_ann.client.post("/api/workflows", body)).status == 201
