"""Who may do what, how often, and how a refusal looks."""

from dataclasses import replace
from typing import Any

import pytest

from runwell.dialects.dialect import Options
from runwell.dialects.flowyble.dialect import build_flowyble
from runwell.dialects.native.dialect import build_native
from runwell.domain.ids import spell_uuid
from runwell.domain.principal import Scope
from runwell.server.app import build_app
from tests.dialects.flowyble.agents import ECHO, SEARCH
from tests.dialects.flowyble.test_runs import check_refused
from tests.support.asgi import AsgiClient
from tests.support.house import House

READ, WRITE = Scope.RUNS_READ, Scope.RUNS_WRITE
SOME = "0190c3b1-0000-4000-8000-000000000001"
ROUTES = {
    ("POST", f"/v1/agents/run/{ECHO}"): WRITE,
    ("GET", f"/v1/agents/run/{SOME}/status"): READ,
    ("GET", f"/v1/agents/run/{SOME}/details"): READ,
    ("POST", f"/v1/tools/run/{SEARCH}"): WRITE,
    ("GET", f"/v1/tools/run/{SOME}/status"): READ,
    ("GET", f"/v1/tools/run/{SOME}/result"): READ,
}
WITHOUT_KEY = {("POST", "/webhooks/wht_x")}
"""The address is the credential: see the tests of webhooks."""


def with_key(client: AsgiClient, secret: str) -> AsgiClient:
    return client.with_headers(x_api_key=secret)


async def test_this_table_has_every_route(house: House):
    document = (await house.client.get("/flowyble/openapi.json")).json
    names = {"agentId": ECHO, "toolId": SEARCH, "agentRunId": SOME, "toolRunId": SOME, "token": "wht_x"}
    documented = {
        (method.upper(), path.format(**names)) for path, item in document["paths"].items() for method in item
    }
    assert documented == set(ROUTES) | WITHOUT_KEY


@pytest.mark.parametrize("mount", ["", "/flowyble"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_wants_a_key(keyed: House, method, path, mount):
    given: tuple[dict[str, str], ...] = (
        {},
        {"x-api-key": ""},
        {"x-api-key": "flw_key_abc123"},
        {"authorization": "Bearer rw_wrong"},
        {"authorization": "Basic eDp5"},
    )
    for headers in given:
        check_refused(await keyed.client.request(method, mount + path, headers=headers), 401, "API key")


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_revoked_key_is_no_key(keyed: House, method, path):
    client = with_key(keyed.client, await keyed.secret("ann"))
    assert (await client.request(method, path)).status not in (401, 403)
    (key,) = await keyed.store.keys.all("ann")
    await keyed.store.keys.revoke(key.id, "ann", keyed.clock.now())
    keyed.authenticator.forget()
    check_refused(await client.request(method, path), 401, "revoked")


@pytest.mark.parametrize("scope", list(Scope))
async def test_every_route_wants_its_scope(keyed: House, scope):
    client = with_key(keyed.client, await keyed.secret("ann", [scope]))
    for (method, path), needed in ROUTES.items():
        answer = await client.request(method, path)
        if scope in (needed, Scope.ADMIN):
            assert answer.status not in (401, 403), (method, path, answer.text)
        else:
            check_refused(answer, 403, needed)


async def test_no_owner_sees_anothers(keyed: House):
    ann, bob = [with_key(keyed.client, await keyed.secret(name)) for name in ("ann", "bob")]
    body = {"userMessage": "private", "conversationId": SOME}
    run = (await ann.post(f"/v1/agents/run/{ECHO}", body)).json["id"]
    tool = (await ann.post(f"/v1/tools/run/{SEARCH}", {"query": "private"})).json["id"]
    await ann.put("/agents/mine", {"model": "m"})
    mine = (await ann.get("/agents/mine")).json["id"]
    for method, path, given in (
        ("GET", f"/v1/agents/run/{run}/status", ...), ("GET", f"/v1/agents/run/{run}/details", ...),
        ("GET", f"/v1/tools/run/{tool}/status", ...), ("GET", f"/v1/tools/run/{tool}/result", ...),
        ("POST", f"/v1/agents/run/{mine}", {"userMessage": "x"}),
        ("POST", f"/v1/agents/run/{ECHO}", {"userMessage": "x", "conversationId": SOME}),
    ):  # fmt: skip
        assert (await ann.request(method, path, json=given)).status == 200
        answer = await bob.request(method, path, json=given)
        check_refused(answer, 404)
        assert "private" not in answer.text


async def test_what_ann_was_shown_is_not_remembered_for_bob(keyed: House):
    ann, bob = [with_key(keyed.client, await keyed.secret(name)) for name in ("ann", "bob")]
    run = (await ann.post(f"/v1/agents/run/{ECHO}", {"userMessage": "x"})).json["id"]
    for _ in range(2):
        assert (await ann.get(f"/v1/agents/run/{run}/status")).status == 200
        assert (await bob.get(f"/v1/agents/run/{run}/status")).status == 404


async def test_a_key_may_stand_in_either_header_and_its_own_wins(keyed: House):
    secret, path = await keyed.secret("ann"), f"/v1/agents/run/{SOME}/status"
    given: tuple[tuple[dict[str, str], int], ...] = (
        ({"x-api-key": secret}, 404),
        ({"authorization": f"Bearer {secret}"}, 404),
        ({"x-api-key": secret, "authorization": "Basic proxy"}, 404),
        ({"x-api-key": "wrong", "authorization": f"Bearer {secret}"}, 401),
    )
    for headers, status in given:
        assert (await keyed.client.get(path, headers=headers)).status == status


async def test_local_mode_needs_no_key_and_refuses_wrong_ones(house: House):
    run = spell_uuid((await house.submit()).id)
    assert (await house.client.get(f"/v1/agents/run/{run}/status")).status == 200
    wrong = with_key(house.client, "flw_wrong")
    check_refused(await wrong.get(f"/v1/agents/run/{run}/status"), 401)
    foreign = await house.client.get(f"/v1/agents/run/{run}/status", headers={"origin": "https://evil.test"})
    check_refused(foreign, 403, "evil.test")


async def test_a_key_has_a_hundred_requests_a_minute_over_all_routes_and_mounts(keyed: House):
    client, other = [with_key(keyed.client, await keyed.secret("ann")) for _ in range(2)]
    paths = [f"/v1/agents/run/{SOME}/status", f"/flowyble/v1/tools/run/{SOME}/result"]
    for number in range(100):
        assert (await client.get(paths[number % 2])).status == 404
    refused = await client.post(f"/v1/agents/run/{ECHO}", {"userMessage": "x"})
    check_refused(refused, 429, "100 requests in 60 seconds")
    assert refused.headers["retry-after"] == "1"
    assert (await other.get(paths[0])).status == 404
    assert (await client.get("/runs")).json == {"runs": [], "next_cursor": None}
    keyed.clock.move(1)
    assert (await client.get(paths[0])).status == 404
    assert (await client.get(paths[0])).status == 429


async def asked_often(house: House, rate: int, times: int, **headers: str) -> set[int]:
    """The statuses of so many requests to a server with this rate."""
    services = replace(house.services, options=Options(flowyble_rate=rate))
    client = AsgiClient(build_app(services, dialects=[build_native, build_flowyble])).with_headers(**headers)
    return {(await client.get(f"/v1/agents/run/{SOME}/status")).status for _ in range(times)}


async def test_the_rate_can_be_set_and_turned_off(keyed: House):
    key: dict[str, Any] = {"x_api_key": await keyed.secret("ann")}
    assert await asked_often(keyed, 3, 3, **key) == {404}
    assert await asked_often(keyed, 3, 4, **key) == {404, 429}
    assert await asked_often(keyed, 0, 150, **key) == {404}


async def test_local_mode_has_no_rate_with_or_without_a_key(house: House):
    assert await asked_often(house, 3, 10) == {404}
    assert await asked_often(house, 3, 10, x_api_key=await house.secret()) == {404}
