"""Who may do what: every route, every scope, every owner."""

from collections.abc import AsyncIterator

import pytest

from runwell.domain.ids import parse_id
from runwell.domain.principal import Scope
from tests.support.asgi import AsgiClient
from tests.support.house import House, a_house

READ, WRITE, AGENTS, ADMIN = Scope.RUNS_READ, Scope.RUNS_WRITE, Scope.AGENTS_WRITE, Scope.ADMIN
SOME = "0190c3b1000040008000000000000001"

ROUTES = {
    ("POST", "/runs"): WRITE,
    ("GET", "/runs"): READ,
    ("GET", f"/runs/{SOME}"): READ,
    ("GET", f"/runs/{SOME}/events"): READ,
    ("GET", f"/runs/{SOME}/steps"): READ,
    ("POST", f"/runs/{SOME}/cancel"): WRITE,
    ("POST", f"/runs/{SOME}/answer"): WRITE,
    ("POST", f"/runs/{SOME}/retry"): WRITE,
    ("DELETE", f"/runs/{SOME}"): WRITE,
    ("GET", "/agents"): READ,
    ("GET", "/agents/echo"): READ,
    ("PUT", "/agents/mine"): AGENTS,
    ("DELETE", "/agents/mine"): AGENTS,
    ("POST", "/threads"): WRITE,
    ("GET", "/threads"): READ,
    ("GET", f"/threads/{SOME}"): READ,
    ("PATCH", f"/threads/{SOME}"): WRITE,
    ("DELETE", f"/threads/{SOME}"): WRITE,
    ("GET", f"/threads/{SOME}/messages"): READ,
    ("POST", f"/threads/{SOME}/messages"): WRITE,
    ("GET", f"/runs/{SOME}/deliveries"): READ,
    ("POST", "/callbacks"): WRITE,
    ("GET", "/callbacks"): READ,
    ("GET", "/callbacks/secret"): WRITE,
    ("POST", "/callbacks/secret/rotate"): WRITE,
    ("GET", f"/callbacks/{SOME}"): READ,
    ("PATCH", f"/callbacks/{SOME}"): WRITE,
    ("DELETE", f"/callbacks/{SOME}"): WRITE,
    ("POST", f"/callbacks/{SOME}/rotate"): WRITE,
    ("GET", "/deliveries"): READ,
    ("POST", "/deliveries/redeliver"): WRITE,
    ("GET", f"/deliveries/{SOME}"): READ,
    ("POST", f"/deliveries/{SOME}/redeliver"): WRITE,
    ("POST", "/triggers"): WRITE,
    ("GET", "/triggers"): READ,
    ("GET", f"/triggers/{SOME}"): READ,
    ("PATCH", f"/triggers/{SOME}"): WRITE,
    ("DELETE", f"/triggers/{SOME}"): WRITE,
    ("POST", "/schedules"): WRITE,
    ("GET", "/schedules"): READ,
    ("GET", f"/schedules/{SOME}"): READ,
    ("PATCH", f"/schedules/{SOME}"): WRITE,
    ("DELETE", f"/schedules/{SOME}"): WRITE,
    ("POST", f"/schedules/{SOME}/fire"): WRITE,
    ("GET", "/runs/stats"): READ,
    ("GET", "/runs/changes"): READ,
    ("GET", f"/runs/{SOME}/why"): READ,
    ("POST", "/runs/bulk"): WRITE,
    ("GET", "/workers"): ADMIN,
    ("GET", "/users"): ADMIN,
    ("POST", f"/users/{SOME}/disable"): ADMIN,
    ("POST", f"/users/{SOME}/enable"): ADMIN,
    ("GET", f"/users/{SOME}/sessions"): ADMIN,
    ("DELETE", f"/users/{SOME}/sessions"): ADMIN,
    ("POST", "/keys"): ADMIN,
    ("GET", "/keys"): ADMIN,
    ("DELETE", f"/keys/{SOME}"): ADMIN,
}


@pytest.fixture
async def keyed(tmp_path) -> AsyncIterator[House]:
    """A server that wants a key."""
    async with a_house(tmp_path, local_mode=False) as house:
        yield house


async def test_this_table_has_every_route(house: House):
    documented = {
        (method.upper(), path)
        for path, item in house.native_app.openapi()["paths"].items()
        for method in item
    }
    kinds = ("run", "thread", "key", "callback", "delivery", "trigger", "schedule", "user")
    names = {f"{kind}_id": SOME for kind in kinds}
    filled = {
        (method, path.format(**names, name="echo" if method == "GET" else "mine"))
        for method, path in documented
    }
    assert filled == set(ROUTES)


@pytest.mark.parametrize("mount", ["", "/native"])
@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer rw_wrong"}, {"x-api-key": ""}, {"authorization": "Basic eDp5"}],
    ids=["none", "wrong", "empty", "basic"],
)
async def test_every_route_wants_a_key(keyed: House, headers, mount):
    for method, path in ROUTES:
        answer = await keyed.client.request(method, mount + path, headers=headers)
        assert (answer.status, answer.json["code"]) == (401, "unauthenticated"), (method, path)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("mount", ["", "/native"])
async def test_a_revoked_key_is_no_key_on_any_route(keyed: House, mount):
    client = await keyed.client_of("ann")
    # So that the server has just seen it.
    assert (await client.get("/runs")).status == 200
    (key,) = await keyed.store.keys.all("ann")
    await keyed.store.keys.revoke(key.id, "ann", keyed.clock.now())
    keyed.clock.move(1.001)
    for method, path in ROUTES:
        for accept in ("*/*", "text/event-stream"):
            answer = await client.request(method, mount + path, headers={"accept": accept})
            assert (answer.status, answer.json["code"]) == (401, "unauthenticated"), (method, path)


@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
@pytest.mark.parametrize("scope", list(Scope))
async def test_every_route_wants_its_scope(keyed: House, scope, accept):
    client = await keyed.client_of("ann", [scope])
    for (method, path), needed in ROUTES.items():
        if scope in (needed, Scope.ADMIN) and path == "/runs/changes":
            async with client.open(method, path) as endless:
                assert (await endless.started()).status == 200
            continue
        answer = await client.request(method, path, headers={"accept": accept})
        if scope in (needed, Scope.ADMIN):
            assert answer.status not in (401, 403), (method, path, answer.text)
        else:
            assert (answer.status, answer.json["code"]) == (403, "forbidden"), (method, path)
            assert needed in answer.json["detail"]


async def test_no_owner_sees_anothers(keyed: House):
    ann, bob = await keyed.client_of("ann"), await keyed.client_of("bob", [READ, WRITE, AGENTS])
    thread = (await ann.post("/threads", {"title": "private"})).json["id"]
    run = (await ann.post("/runs", {"input": "private", "thread_id": thread})).json["id"]
    for method, path, body in (
        ("GET", f"/runs/{run}", ...), ("GET", f"/runs/{run}/events", ...), ("GET", f"/runs/{run}/steps", ...),
        ("POST", f"/runs/{run}/cancel", ...), ("POST", f"/runs/{run}/answer", {"answer": 1}),
        ("POST", f"/runs/{run}/retry", ...), ("DELETE", f"/runs/{run}", ...),
        ("GET", f"/threads/{thread}", ...), ("PATCH", f"/threads/{thread}", {"title": "x"}),
        ("DELETE", f"/threads/{thread}", ...), ("GET", f"/threads/{thread}/messages", ...),
        ("POST", f"/threads/{thread}/messages", {"role": "user", "content": "x"}),
        ("POST", "/runs", {"input": "x", "thread_id": thread}),
    ):  # fmt: skip
        answer = await bob.request(method, path, json=body)
        assert answer.status == 404, (method, path, answer.text)
        assert "private" not in answer.text
    for path in ("/runs", "/threads", f"/runs?thread_id={thread}"):
        assert "private" not in (await bob.get(path)).text
    assert (await ann.get(f"/runs/{run}")).json["status"] == "queued"


MINE = {"url": "http://public.test/private"}


async def anns_things(house: House, ann: AsgiClient) -> dict[str, str]:
    """One of each kind, by the parameter that names it in a path; all of them say `private`."""
    thread = (await ann.post("/threads", {"title": "private"})).json["id"]
    await ann.put("/agents/mine", {"model": "m", "description": "private"})
    callback = (await ann.post("/callbacks", {**MINE, "description": "private"})).json["id"]
    trigger = (await ann.post("/triggers", {"agent": "echo", "name": "private"})).json["id"]
    timed = {"agent": "echo", "cron": "0 9 * * *", "name": "private", "input": "private"}
    schedule = (await ann.post("/schedules", timed)).json["id"]
    run = (await ann.post("/runs", {"input": "private", "thread_id": thread, "callbacks": [MINE]})).json["id"]
    await house.succeed(await house.claim(await house.store.runs.get(parse_id(run))), "private")
    delivery = (await ann.get("/deliveries")).json["deliveries"][0]["id"]
    return {
        "run_id": run, "thread_id": thread, "callback_id": callback, "delivery_id": delivery,
        "trigger_id": trigger, "schedule_id": schedule, "name": "mine",
    }  # fmt: skip


BODIES = {
    "answer": {"answer": 1}, "messages": {"role": "user", "content": "x"}, "PATCH": {}, "PUT": {"model": "m"}
}  # fmt: skip


@pytest.mark.parametrize("scopes", [[READ, WRITE, AGENTS], [ADMIN]])
async def test_whatever_is_named_in_a_path_is_its_owners_alone(keyed: House, scopes):
    """Every documented route with a parameter, asked by somebody who has every scope it wants."""
    ann, bob = await keyed.client_of("ann"), await keyed.client_of("bob", scopes)
    things = await anns_things(keyed, ann)
    reads = ("/runs", "/threads", "/callbacks", "/triggers", "/schedules", "/deliveries", "/agents")
    seen = {path: (await ann.get(path)).text for path in reads}
    tried = 0
    for path, item in keyed.native_app.openapi()["paths"].items():
        for method in (word.upper() for word in item):
            if "{" not in path or "{key_id}" in path or "{user_id}" in path or method == "PUT":
                continue  # keys and users are the administrators', and PUT makes one of the caller's own
            body = BODIES.get(path.rpartition("/")[2], BODIES.get(method, ...))
            for headers in ({}, {"accept": "text/event-stream"}):
                answer = await bob.request(method, path.format(**things), json=body, headers=headers)
                assert answer.status == 404, (method, path, answer.text)
                assert "private" not in answer.text
                tried += 1
    assert tried > 40
    for path in reads:
        assert "private" not in (await bob.get(path)).text
        assert (await ann.get(path)).text == seen[path]
    assert (await bob.post("/deliveries/redeliver", {"status": ["pending"]})).json == {"redelivered": 0}
    assert (await bob.post("/runs", {"agent": "mine", "input": "x"})).status == 404
    assert (await bob.put("/agents/own", {"steps": [{"id": "a", "agent": "mine"}]})).status == 422
    assert (await bob.post("/triggers", {"agent": "mine"})).status == 404


async def test_one_owners_idempotency_key_is_no_other_owners(keyed: House):
    ann, bob = await keyed.client_of("ann"), await keyed.client_of("bob")
    headers = {"idempotency-key": "k"}
    ids = [(await who.post("/runs", {"input": "x"}, headers=headers)).json["id"] for who in (ann, bob, ann)]
    assert ids[0] == ids[2] != ids[1]


async def test_admin_reaches_into_no_other_owners_runs(keyed: House):
    ann, admin = await keyed.client_of("ann"), await keyed.client_of("root", [ADMIN])
    run = (await ann.post("/runs", {"input": "x"})).json["id"]
    assert (await admin.get(f"/runs/{run}")).status == 404
    assert len((await admin.get("/keys")).json["keys"]) == 2


async def test_local_mode_is_the_local_owner_and_refuses_wrong_keys(house: House):
    run = (await house.client.post("/runs", {"input": "x"})).json["id"]
    local = await house.client_of("local")
    assert (await local.get(f"/runs/{run}")).status == 200
    wrong = house.client.with_headers(authorization="Bearer rw_wrong")
    assert (await wrong.get(f"/runs/{run}")).status == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_a_key_in_either_header(keyed: House, scheme):
    secret = await keyed.secret("ann")
    for headers in ({"authorization": f"{scheme} {secret}"}, {"x-api-key": secret}):
        assert (await keyed.client.get("/runs", headers=headers)).status == 200
