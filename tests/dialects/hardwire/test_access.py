"""Who may do what, and how a refusal looks: every route, from the app's own document."""

from dataclasses import replace
from typing import Any

import pytest

from runwell.auth.authenticator import Authenticator
from runwell.auth.rate_limit import RateLimit
from runwell.dialects.dialect import Options
from runwell.domain.ids import spell_uuid
from runwell.server.app import build_app
from tests.dialects.hardwire.people import (
    CHAT,
    COOKIE,
    Person,
    a_person,
    check_app_refused,
    check_refused,
)
from tests.support.asgi import Answer, AsgiClient
from tests.support.house import House, a_house

Route = tuple[str, str]
CHATS, RUNS = "/api/chats/{chatId}", "/api/chats/{chatId}/workflow-runs"
USER, WORKFLOW = "/api/users/{userId}", "/api/workflows/{workflowId}"
OPEN: set[Route] = {
    ("POST", "/api/auth/sign-up/email"),
    ("POST", "/api/auth/sign-in/email"),
    ("GET", "/api/auth/session"),
    ("GET", "/api/auth/get-session"),
    ("POST", "/api/auth/sign-out"),
    ("GET", "/api/liveness"),
}
EVERYBODYS: set[Route] = {
    ("GET", "/api/models"),
    ("GET", "/api/tools"),
    ("GET", "/api/tools/search"),
    ("GET", "/api/tools/{toolId}"),
    ("POST", "/api/workflows"),
}
"""For all who are signed in, alike or each for itself."""
OWN: dict[Route, str] = {
    ("GET", RUNS): "chat",
    ("GET", f"{RUNS}/{{workflowRunId}}/stream"): "chat",
    ("GET", f"{CHATS}/messages"): "chat",
    ("POST", f"{CHATS}/messages"): "chat",
    ("POST", f"{CHATS}/messages/stream"): "chat",
    ("DELETE", CHATS): "chat",
    ("GET", f"{USER}/chats"): "user",
    ("GET", f"{USER}/workflows"): "user",
    ("GET", f"{USER}/model-preference"): "user",
    ("POST", f"{USER}/model-preference"): "user",
    ("GET", WORKFLOW): "workflow",
    ("PATCH", WORKFLOW): "workflow",
    ("DELETE", WORKFLOW): "workflow",
}
"""What belongs to somebody, and what it belongs by."""
REFUSALS = {
    "chat": ("Cannot access another user's chat", "CHAT_ACCESS_DENIED"),
    "user": ("Cannot access another user's resources", "USER_ID_MISMATCH"),
    "workflow": ("Cannot access another user's workflow", "WORKFLOW_ACCESS_DENIED"),
}
GUARDED = [*sorted(EVERYBODYS), *OWN]
BODIES: dict[Route, Any] = {
    ("POST", "/api/workflows"): {"userId": "x", "name": "x"},
    ("POST", f"{CHATS}/messages"): {"content": "x", "workflowId": CHAT},
    ("POST", f"{CHATS}/messages/stream"): {"content": "x", "workflowId": CHAT},
    ("POST", f"{USER}/model-preference"): {"modelId": "x"},
    ("PATCH", WORKFLOW): {"name": "x"},
}
UNKNOWN = {"chatId": CHAT, "workflowRunId": CHAT, "workflowId": CHAT, "userId": "0" * 32, "toolId": "x"}


async def ask(client: AsgiClient, route: Route, ids: dict[str, str], mount: str = "", **given: Any) -> Answer:
    method, path = route
    return await client.request(method, mount + path.format(**ids), json=BODIES.get(route, ...), **given)


@pytest.mark.parametrize("form", ["docs", "app"])
async def test_these_tables_have_every_route(tmp_path, form):
    async with a_house(tmp_path, options=Options(hardwire_wire=form)) as house:
        document = (await house.client.get("/hardwire/openapi.json")).json
    documented = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert documented == OPEN | EVERYBODYS | set(OWN)


@pytest.mark.parametrize("mount", ["", "/hardwire"])
@pytest.mark.parametrize("local_mode", [True, False])
async def test_every_route_wants_a_session_and_nothing_stands_in_for_it(tmp_path, local_mode, mount):
    async with a_house(tmp_path, local_mode=local_mode) as house:
        key = await house.secret("ann")
        gone = await a_person(house)
        await gone.client.post("/api/auth/sign-out", {})
        given: tuple[dict[str, str], ...] = (
            {},
            {"authorization": f"Bearer {key}"},
            {"x-api-key": key},
            {"cookie": f"{COOKIE}={key}"},
            {"cookie": f"{COOKIE}="},
            {"cookie": f"{COOKIE}={gone.token}"},
            {"cookie": f"runwell_session={gone.token}"},
            {"cookie": f"__Host-{COOKIE}={gone.token}"},
        )
        for route in GUARDED:
            for headers in given:
                answer = await ask(house.client, route, UNKNOWN, mount, headers=headers)
                check_refused(answer, 401, "Valid session required")


async def test_a_session_ends_with_its_time_its_password_and_its_user(house: House, ann: Person):
    path = "/api/models"
    assert (await ann.client.get(path)).status == 200
    await house.accounts.set_password(ann.id, "another password")
    check_refused(await ann.client.get(path), 401)
    bob = await a_person(house, "bob")
    await house.accounts.disable(bob.id)
    check_refused(await bob.client.get(path), 401)
    eve = await a_person(house, "eve")
    house.clock.move(7 * 24 * 3600)
    check_refused(await eve.client.get(path), 401)


@pytest.mark.parametrize("route", OWN)
async def test_nobody_sees_or_touches_what_is_anothers(house: House, ann: Person, bob: Person, route):
    run = await ann.start(workflow := await ann.workflow(), content="private")
    ids = {
        "chatId": CHAT, "workflowRunId": spell_uuid(run.id), "workflowId": workflow, "userId": ann.id,
    }  # fmt: skip
    before = await everything(ann, workflow)
    answer = await ask(bob.client, route, ids)
    check_refused(answer, 403, REFUSALS[OWN[route]][0])
    assert "private" not in answer.text
    assert await everything(ann, workflow) == before


async def everything(ann: Person, workflow: str) -> list[Any]:
    paths = (
        f"/api/workflows/{workflow}", f"/api/chats/{CHAT}/messages", f"/api/chats/{CHAT}/workflow-runs",
        f"/api/users/{ann.id}/chats", f"/api/users/{ann.id}/workflows",
    )  # fmt: skip
    return [(await ann.client.get(path)).json for path in paths]


@pytest.mark.parametrize("route", OWN)
async def test_the_web_clients_form_refuses_with_its_codes(app_house: House, app_ann: Person, route):
    bob = await a_person(app_house, "bob")
    workflow = await app_ann.workflow()
    run = await app_ann.start(workflow)
    ids = {
        "chatId": CHAT, "workflowRunId": spell_uuid(run.id), "workflowId": workflow, "userId": app_ann.id,
    }  # fmt: skip
    check_app_refused(await ask(bob.client, route, ids), 403, REFUSALS[OWN[route]][1])
    check_app_refused(await ask(app_house.client, route, ids), 401, "UNAUTHORIZED")


async def test_what_one_owner_lists_is_ones_own(ann: Person, bob: Person):
    await ann.start()
    for what in ("chats", "workflows"):
        assert (await bob.client.get(f"/api/users/{bob.id}/{what}")).json["data"][what] == []


async def test_anothers_workflow_cannot_be_run(house: House, ann: Person, bob: Person):
    workflow = await ann.workflow()
    answer = await bob.client.post(f"/api/chats/{CHAT}/messages", bob.say(workflowId=workflow))
    check_refused(answer, 403, "Cannot access another user's workflow")
    assert await house.store.threads.owner(CHAT.replace("-", "")) is None


WRITES = [route for route in GUARDED if route[0] != "GET"]


@pytest.mark.parametrize("route", WRITES)
async def test_a_foreign_page_writes_nothing_with_the_cookie_it_is_given(tmp_path, route):
    async with a_house(tmp_path, local_mode=False) as house:
        ann = await a_person(house)
        for headers in (
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"origin": "http://localhost:3000"},
            {"sec-fetch-site": "cross-site"},
        ):
            check_refused(await ask(ann.client, route, UNKNOWN, headers=headers), 403)
        for headers in (
            {"origin": "http://127.0.0.1:8005"},
            {"sec-fetch-site": "same-origin"},
            {},
        ):
            answer = await ask(ann.client, route, {**UNKNOWN, "userId": ann.id}, headers=headers)
            assert answer.status != 401, answer.text
            assert "Origin" not in answer.text


async def test_pages_of_listed_origins_may_write_and_read_with_cookies(tmp_path):
    options, page = Options(origins=("https://app.example",)), {"origin": "https://app.example"}
    async with a_house(tmp_path, local_mode=False, options=options, origins=options.origins) as house:
        ann = await a_person(house)
        preference = f"/api/users/{ann.id}/model-preference"
        answer = await ann.client.post(preference, {"modelId": "m"}, headers=page)
        assert answer.status == 200
        for path in (
            preference,
            f"/api/chats/{CHAT}/workflow-runs",
            "/api/auth/session",
            "/api/chats/x/messages",
        ):
            answer = await ann.client.get(path, headers=page)
            assert answer.headers["access-control-allow-origin"] == "https://app.example"
            assert answer.headers["access-control-allow-credentials"] == "true"
        other = await ann.client.get(preference, headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


async def test_browsers_may_ask_first_everywhere(house: House):
    page = {"origin": "http://localhost:3000", "access-control-request-method": "POST"}
    for _, path in (*OPEN, *GUARDED):
        answer = await house.client.request("OPTIONS", path.format(**UNKNOWN), headers=page)
        assert (answer.status, answer.body) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "PATCH" in answer.headers["access-control-allow-methods"]


async def test_browsers_of_foreign_pages_are_granted_nothing(tmp_path):
    async with a_house(tmp_path, local_mode=False) as house:
        page = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        answer = await house.client.request("OPTIONS", "/api/models", headers=page)
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_in_local_mode_a_foreign_page_is_refused_before_anything_else(house: House, ann: Person):
    answer = await ann.client.get("/api/models", headers={"origin": "https://evil.example"})
    check_refused(answer, 403)
    own = await ann.client.post("/api/workflows", {"name": "x"}, headers={"origin": "http://localhost:3000"})
    assert own.status == 201


async def test_what_a_person_changes_is_limited_as_for_a_key_and_what_they_read_is_not(
    house: House, ann: Person
):
    auth = Authenticator(house.store, house.clock, rate_limit=RateLimit(2, seconds=60))
    client = AsgiClient(build_app(replace(house.services, authenticator=auth)), ann.client.headers)
    body = {"userId": ann.id, "name": "Report", "steps": []}
    assert [(await client.get("/api/tools")).status for _ in range(5)] == [200] * 5
    assert [(await client.post("/api/workflows", body)).status for _ in range(3)] == [201, 201, 429]
