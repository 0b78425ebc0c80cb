"""Web pages: those that the original lets in, and no others."""

import pytest

from runwell.dialects.dialect import Options
from runwell.dialects.praisonai.dialect import ORIGINS, build_praisonai
from tests.support.asgi import AsgiClient
from tests.support.house import House, a_house

PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "idempotency-key"}


@pytest.mark.parametrize("path", ["/api/v1/runs", "/praisonai/api/v1/runs/run_x", "/health"])
@pytest.mark.parametrize("origin", ORIGINS)
async def test_pages_where_people_develop_may_ask(tmp_path, path, origin):
    async with a_house(tmp_path, local_mode=False) as house:
        answer = await house.client.request("OPTIONS", path, headers={"origin": origin, **PREFLIGHT})
    assert (answer.status, answer.text) == (200, "OK")
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-max-age"] == "600"
    assert "POST" in answer.headers["access-control-allow-methods"]


async def test_other_pages_may_not(tmp_path):
    async with a_house(tmp_path, local_mode=False) as house:
        headers = {"origin": "https://evil.example", **PREFLIGHT}
        answer = await house.client.request("OPTIONS", "/api/v1/runs", headers=headers)
    assert (answer.status, answer.text) == (400, "Disallowed CORS origin")
    assert "access-control-allow-origin" not in answer.headers


async def test_the_status_read_says_so_too_although_it_is_hot(house: House):
    run = await house.submit()
    path = f"/api/v1/runs/run_{run.id}"
    with_page = await house.client.get(path, headers={"origin": "http://localhost:3000"})
    without = await house.client.get(path)
    assert with_page.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "access-control-allow-origin" not in without.headers
    assert with_page.body == without.body
    assert without.headers["vary"] == with_page.headers["vary"] == "Origin"


async def test_what_the_front_refuses_depends_on_the_page_too(tmp_path):
    async with a_house(tmp_path, local_mode=False, max_body=10) as house:
        client = await house.client_of("ann")
        answers = [
            await client.get("/api/v1/runs/run_x"),
            await house.client.get("/api/v1/runs/run_x"),
            await client.post("/api/v1/runs", {"prompt": "too long"}),
            await client.get("/api/v1/runs/run_x/result"),
        ]
    assert [answer.status for answer in answers] == [404, 401, 413, 404]
    assert {answer.headers["vary"] for answer in answers} == {"Origin"}


async def test_local_mode_lets_every_page_of_this_machine_read(house: House):
    answer = await house.client.get("/stats", headers={"origin": "http://127.0.0.1:5173"})
    assert answer.headers["access-control-allow-origin"] == "http://127.0.0.1:5173"


async def test_origins_of_the_settings_are_let_in_beside(house: House):
    options = Options(origins=("https://App.example/",))
    services = type(house.services)(
        house.core, house.authenticator, house.closing, house.services.check_address, options
    )
    client = AsgiClient(build_praisonai(services).app)
    answer = await client.get("/health", headers={"origin": "https://app.example"})
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
