"""Who may do what, and how a refusal looks."""

from typing import Any

import pytest

from runwell.dialects.recoup.recoup import STRANGERS_BODY
from runwell.dialects.recoup.requests import MOST_MESSAGES
from runwell.domain.principal import Scope
from tests.dialects.recoup.wire import (
    CORS,
    UNKNOWN,
    a_headless_run,
    a_session,
    check_refused,
    send_body,
)
from tests.support.asgi import AsgiClient
from tests.support.house import House, a_house

READ, WRITE = Scope.RUNS_READ, Scope.RUNS_WRITE
CHAT = "/api/sessions/{sessionId}/chats/{chatId}"
ROUTES: dict[tuple[str, str], Scope] = {
    ("POST", "/api/chat/runs"): WRITE,
    ("GET", "/api/chat/runs/{runId}"): READ,
    ("POST", "/api/chat"): WRITE,
    ("GET", "/api/chat/{chatId}/stream"): READ,
    ("POST", "/api/chat/{chatId}/stop"): WRITE,
    ("POST", "/api/sessions"): WRITE,
    ("GET", "/api/sessions/{sessionId}"): READ,
    ("PATCH", "/api/sessions/{sessionId}"): WRITE,
    ("GET", "/api/sessions/{sessionId}/chats"): READ,
    ("POST", "/api/sessions/{sessionId}/chats"): WRITE,
    ("GET", CHAT): READ,
    ("PATCH", CHAT): WRITE,
    ("DELETE", CHAT): WRITE,
    ("POST", f"{CHAT}/read"): WRITE,
}
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/api/chat/runs"): {"prompt": "x"},
    ("POST", "/api/chat"): send_body(UNKNOWN, UNKNOWN),
    ("PATCH", "/api/sessions/{sessionId}"): {"title": "x"},
    ("PATCH", CHAT): {"title": "x"},
}
EXACTLY_ONE = "Exactly one of x-api-key or Authorization must be provided"
Ids = dict[str, str]
UNKNOWN_IDS: Ids = {"sessionId": UNKNOWN, "chatId": UNKNOWN, "runId": "wrun_01KVWZNM82NA7XKNEWWHG8VPHJ"}


def with_key(client: AsgiClient, secret: str) -> AsgiClient:
    return client.with_headers(x_api_key=secret)


async def ask(client: AsgiClient, route: tuple[str, str], ids: Ids = UNKNOWN_IDS, **given: Any):
    method, path = route
    body = BODIES.get(route, ...)
    if route == ("POST", "/api/chat"):
        body = send_body(ids["sessionId"], ids["chatId"])
    return await client.request(method, path.format(**ids), json=body, **given)


@pytest.fixture
async def keyed(tmp_path):
    async with a_house(tmp_path, local_mode=False) as house:
        yield house


async def test_this_table_has_every_route(house: House):
    document = (await house.client.get("/recoup/openapi.json")).json
    documented = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert documented == set(ROUTES)


@pytest.mark.parametrize("mount", ["", "/recoup"])
@pytest.mark.parametrize("route", ROUTES)
async def test_every_route_wants_exactly_one_credential(keyed: House, route, mount):
    method, path = route
    mounted = method, mount + path
    key = await keyed.secret("ann")
    given: tuple[tuple[dict[str, str], str], ...] = (
        ({}, EXACTLY_ONE),
        ({"x-api-key": key, "authorization": f"Bearer {key}"}, EXACTLY_ONE),
        ({"x-api-key": ""}, "Unauthorized"),
        ({"x-api-key": "recoup_sk_wrong"}, "Unauthorized"),
        ({"authorization": "Bearer rw_wrong"}, "Unauthorized"),
        ({"authorization": "bearer "}, "Unauthorized"),
        ({"authorization": "Basic eDp5"}, "Authorization header with Bearer token required"),
        ({"authorization": key}, "Authorization header with Bearer token required"),
    )
    for headers, text in given:
        body = BODIES.get(route, ...)
        answer = await keyed.client.request(
            mounted[0], mounted[1].format(**UNKNOWN_IDS), json=body, headers=headers
        )
        check_refused(answer, 401, text)


@pytest.mark.parametrize("route", ROUTES)
async def test_a_revoked_key_is_no_key(keyed: House, route):
    client = with_key(keyed.client, await keyed.secret("ann"))
    assert (await ask(client, route)).status not in (401, 403)
    (key,) = await keyed.store.keys.all("ann")
    await keyed.store.keys.revoke(key.id, "ann", keyed.clock.now())
    keyed.authenticator.forget()
    check_refused(await ask(client, route), 401, "Unauthorized")


@pytest.mark.parametrize("scope", list(Scope))
async def test_every_route_wants_its_scope(keyed: House, scope):
    client = with_key(keyed.client, await keyed.secret("ann", [scope]))
    for route, needed in ROUTES.items():
        answer = await ask(client, route)
        if scope in (needed, Scope.ADMIN):
            assert answer.status not in (401, 403), (route, answer.text)
        else:
            check_refused(answer, 403)
            assert needed in answer.json["error"]


@pytest.mark.parametrize("route", [route for route in BODIES if route[0] != "GET"])
async def test_the_large_body_of_a_stranger_is_not_read(keyed: House, route):
    method, path = route
    for body in (b"[" * (STRANGERS_BODY + 1), b'{"prompt":"' + b"x" * STRANGERS_BODY + b'"}'):
        answer = await keyed.client.request(method, path.format(**UNKNOWN_IDS), body=body)
        check_refused(answer, 401, EXACTLY_ONE)
    client = with_key(keyed.client, await keyed.secret("ann"))
    answer = await client.request(method, path.format(**UNKNOWN_IDS), body=b"[" * (STRANGERS_BODY + 1))
    assert answer.status == 400


async def test_a_headless_run_brings_no_more_messages_than_are_written_one_by_one(keyed: House):
    client = with_key(keyed.client, await keyed.secret("ann"))
    messages = [{"role": "user", "content": "x"}] * (MOST_MESSAGES + 1)
    answer = await client.post("/api/chat/runs", {"messages": messages})
    assert answer.status == 400
    assert answer.json["missing_fields"] == ["messages"]


async def test_no_owner_sees_or_touches_anothers(keyed: House):
    ann, bob = [with_key(keyed.client, await keyed.secret(name)) for name in ("ann", "bob")]
    started = await a_headless_run(ann, prompt="private")
    before = (await ann.get(f"/api/sessions/{started['sessionId']}/chats/{started['chatId']}")).json
    foreign = {(404, "Run not found"), (403, "Forbidden"), (404, "Session not found")}
    for route in ROUTES:
        if route in (("POST", "/api/chat/runs"), ("POST", "/api/sessions")):
            continue  # makes something of the caller's own
        answer = await ask(bob, route, started)
        assert (answer.status, answer.json["error"]) in foreign, (route, answer.text)
        if "{chatId}" in route[1] or route[1] == "/api/chat":
            check_refused(answer, 403, "Forbidden")
        assert "private" not in answer.text
    after = (await ann.get(f"/api/sessions/{started['sessionId']}/chats/{started['chatId']}")).json
    assert after == before
    by_run = await bob.get(f"/api/chat/{started['runId']}/stream")
    check_refused(by_run, 404, "Chat not found")


async def test_anothers_chat_is_none_of_ones_own_session(keyed: House):
    ann, bob = [with_key(keyed.client, await keyed.secret(name)) for name in ("ann", "bob")]
    _, chat = await a_session(ann)
    session, _ = await a_session(bob)
    check_refused(await bob.post("/api/chat", send_body(session, chat)), 403, "Forbidden")
    conflict = await bob.post(f"/api/sessions/{session}/chats", {"id": chat})
    assert conflict.status == 409


async def test_local_mode_needs_no_key_and_refuses_wrong_ones_and_foreign_pages(house: House):
    started = await a_headless_run(house.client)
    path = f"/api/chat/runs/{started['runId']}"
    assert (await house.client.get(path)).status == 200
    check_refused(await with_key(house.client, "wrong").get(path), 401, "Unauthorized")
    for method in ("GET", "OPTIONS"):
        foreign = await house.client.request(method, path, headers={"origin": "https://evil.test"})
        check_refused(foreign, 403)


@pytest.mark.parametrize("mount", ["", "/recoup"])
@pytest.mark.parametrize("path", sorted({path for _, path in ROUTES}))
async def test_browsers_may_ask_first_everywhere(keyed: House, path, mount):
    headers = {"origin": "https://chat.example", "access-control-request-method": "POST"}
    answer = await keyed.client.request("OPTIONS", mount + path.format(**UNKNOWN_IDS), headers=headers)
    assert (answer.status, answer.body) == (200, b"")
    assert CORS.items() <= answer.headers.items()


async def test_each_answer_names_the_origins_once(keyed: House):
    client = with_key(keyed.client, await keyed.secret("ann"))
    for path in ("/api/chat/runs/x", "/api/chat/nothing", "/api/chat/runs"):
        async with client.open("GET", path, headers={"origin": "https://chat.example"}) as exchange:
            await exchange.started()
            names = [name for name, _ in exchange.sends[0]["headers"]]
            assert names.count(b"access-control-allow-origin") == 1, path
