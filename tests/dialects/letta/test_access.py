"""Who may do what: every route, every scope, every owner."""

from collections.abc import AsyncIterator

import pytest

from runwell.dialects.letta import ids
from runwell.dialects.letta.dialect import build_letta
from runwell.domain.events import StepStarted
from runwell.domain.principal import Scope
from tests.support.house import House, a_house

READ, WRITE, AGENTS = Scope.RUNS_READ, Scope.RUNS_WRITE, Scope.AGENTS_WRITE
SOME = "11111111-1111-4111-8111-111111111111"
RUN, AGENT, STEP, CONV = f"run-{SOME}", f"agent-{SOME}", f"step-{SOME}", f"conv-{SOME}"
OPEN = {("GET", "/v1/health/")}
ROUTES = {
    ("GET", "/v1/runs/"): READ,
    ("GET", "/v1/runs/active"): READ,
    ("GET", f"/v1/runs/{RUN}"): READ,
    ("DELETE", f"/v1/runs/{RUN}"): WRITE,
    ("GET", f"/v1/runs/{RUN}/messages"): READ,
    ("GET", f"/v1/runs/{RUN}/usage"): READ,
    ("GET", f"/v1/runs/{RUN}/metrics"): READ,
    ("GET", f"/v1/runs/{RUN}/steps"): READ,
    ("GET", f"/v1/runs/{RUN}/trace"): READ,
    ("POST", f"/v1/runs/{RUN}/stream"): READ,
    ("POST", "/v1/agents/"): AGENTS,
    ("GET", "/v1/agents/"): READ,
    ("GET", f"/v1/agents/{AGENT}"): READ,
    ("PATCH", f"/v1/agents/{AGENT}"): AGENTS,
    ("DELETE", f"/v1/agents/{AGENT}"): AGENTS,
    ("POST", f"/v1/agents/{AGENT}/messages"): WRITE,
    ("POST", f"/v1/agents/{AGENT}/messages/async"): WRITE,
    ("POST", f"/v1/agents/{AGENT}/messages/stream"): WRITE,
    ("POST", f"/v1/agents/{AGENT}/messages/cancel"): WRITE,
    ("GET", f"/v1/agents/{AGENT}/messages"): READ,
    ("POST", f"/v1/conversations/?agent_id={AGENT}"): WRITE,
    ("GET", "/v1/conversations/"): READ,
    ("GET", f"/v1/conversations/{CONV}"): READ,
    ("PATCH", f"/v1/conversations/{CONV}"): WRITE,
    ("DELETE", f"/v1/conversations/{CONV}"): WRITE,
    ("POST", f"/v1/conversations/{CONV}/messages"): WRITE,
    ("GET", f"/v1/conversations/{CONV}/messages"): READ,
    ("POST", f"/v1/conversations/{CONV}/stream"): READ,
    ("POST", f"/v1/conversations/{CONV}/cancel"): WRITE,
    ("GET", "/v1/steps/"): READ,
    ("GET", f"/v1/steps/{STEP}"): READ,
    ("GET", f"/v1/steps/{STEP}/metrics"): READ,
    ("GET", f"/v1/steps/{STEP}/trace"): READ,
    ("GET", f"/v1/steps/{STEP}/messages"): READ,
    ("GET", "/v1/models/"): READ,
    ("GET", "/v1/models/embedding"): READ,
}
BODY = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
async def keyed(tmp_path) -> AsyncIterator[House]:
    """A server that wants a key."""
    async with a_house(tmp_path, local_mode=False) as house:
        yield house


async def test_this_table_has_every_route(house: House):
    document = build_letta(house.services).app.openapi()
    names = {"run_id": RUN, "agent_id": AGENT, "step_id": STEP, "conversation_id": CONV}
    filled = {
        (method.upper(), path.format(**names)) for path, item in document["paths"].items() for method in item
    }
    assert filled == {(method, path.partition("?")[0]) for method, path in ROUTES} | OPEN


@pytest.mark.parametrize("mount", ["", "/letta"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_wants_a_key(keyed: House, method, path, mount):
    revoked = await keyed.secret("ann")
    key = (await keyed.store.keys.all("ann"))[0]
    await keyed.store.keys.revoke(key.id, None, keyed.clock.now())
    keyed.authenticator.forget()
    for headers in (
        {},
        {"authorization": "Bearer rw_wrong"},
        {"authorization": f"Bearer {revoked}"},
        {"x-bare-password": "password wrong"},
        {"authorization": "Basic eDp5"},
    ):
        answer = await keyed.client.request(method, mount + path, json=BODY, headers=headers)
        assert (answer.status, answer.json) == (401, {"detail": "Unauthorized"}), (method, path, headers)


@pytest.mark.parametrize("scope", list(Scope))
async def test_every_route_wants_its_scope(keyed: House, scope):
    client = await keyed.client_of("ann", [scope])
    for (method, path), needed in ROUTES.items():
        answer = await client.request(method, path, json=BODY)
        if scope in (needed, Scope.ADMIN):
            assert answer.status not in (401, 403), (method, path, answer.text)
        else:
            assert answer.status == 403, (method, path, answer.text)
            assert needed in answer.json["detail"]


async def test_no_owner_sees_anothers(keyed: House):
    ann, bob = await keyed.client_of("ann"), await keyed.client_of("bob")
    agent = (await ann.post("/v1/agents/", {"name": "private"})).json["id"]
    conversation = (await ann.post(f"/v1/conversations/?agent_id={agent}", {"summary": "private"})).json["id"]
    run = (await ann.post(f"/v1/agents/{agent}/messages/async", {"input": "private"})).json["id"]
    message = (await ann.get(f"/v1/runs/{run}/messages")).json[0]["id"]
    seen = 0
    for method, template in ROUTES:
        path = template.replace(RUN, run).replace(AGENT, agent).replace(CONV, conversation)
        answer = await bob.request(method, path, json=BODY)
        if SOME in template:
            seen += 1
            assert answer.status in (404, 409), (method, path, answer.text)
        assert "private" not in answer.text, (method, path)
    assert seen > 20
    cancelled = await bob.post(f"/v1/agents/{agent}/messages/cancel", {"run_ids": [run]})
    assert cancelled.json == {run: "failed"}
    assert (await bob.get(f"/v1/agents/{agent}/messages?after={message}")).status == 404
    assert (await ann.get(f"/v1/agents/{agent}/messages?after={message}")).status == 200
    assert (await bob.get(f"/v1/runs/?after={run}")).json == []
    assert (await ann.get(f"/v1/runs/{run}")).json["status"] == "created"
    assert (await ann.get(f"/v1/agents/{agent}")).json["name"] == "private"


async def test_a_step_is_its_owners_alone(keyed: House):
    run = await keyed.claim(await keyed.submit(owner="ann"))
    await keyed.say(run, StepStarted(key="model", name="model"))
    for view in ("", "/metrics", "/trace", "/messages"):
        path = f"/v1/steps/{ids.step_id(run.id, 'model')}{view}"
        assert (await (await keyed.client_of("ann")).get(path)).status == 200
        assert (await (await keyed.client_of("bob")).get(path)).status == 404


async def test_health_is_open_and_the_password_header_is_a_key(keyed: House):
    assert (await keyed.client.get("/v1/health/")).json == {"version": "0.16.8", "status": "ok"}
    secret = await keyed.secret("ann")
    answer = await keyed.client.get("/v1/runs/", headers={"x-bare-password": f"password {secret}"})
    assert (answer.status, answer.json) == (200, [])
