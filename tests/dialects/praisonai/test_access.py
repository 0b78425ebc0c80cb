"""Who may do what: every route, every scope, every owner."""

from collections.abc import AsyncIterator

import pytest

from runwell.auth.keys import issue
from runwell.dialects.praisonai.dialect import build_praisonai
from runwell.domain.principal import ALL_SCOPES, Scope
from tests.support.house import House, a_house

READ, WRITE = Scope.RUNS_READ, Scope.RUNS_WRITE
SOME = "run_0190c3b1000040008000000000000001"
JOB = "/api/v1/runs/{job_id}"
ROUTES = {
    ("POST", "/api/v1/runs"): WRITE,
    ("GET", "/api/v1/runs"): READ,
    ("GET", JOB): READ,
    ("GET", f"{JOB}/result"): READ,
    ("GET", f"{JOB}/stream"): READ,
    ("POST", f"{JOB}/cancel"): WRITE,
    ("DELETE", JOB): WRITE,
    ("GET", "/stats"): READ,
}
OPEN = {("GET", "/health")}


@pytest.fixture
async def keyed(tmp_path) -> AsyncIterator[House]:
    """A server that wants a key."""
    async with a_house(tmp_path, local_mode=False) as house:
        yield house


async def test_this_table_has_every_route(house: House):
    paths = build_praisonai(house.services).app.openapi()["paths"]
    documented = {(method.upper(), path) for path, item in paths.items() for method in item}
    assert documented == set(ROUTES) | OPEN


@pytest.mark.parametrize("mount", ["", "/praisonai"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_wants_a_key(keyed: House, method, path, mount):
    revoked = await issue(keyed.store, keyed.clock, owner="ann", name="old", scopes=ALL_SCOPES)
    await keyed.store.keys.revoke(revoked.key.id, None, keyed.clock.now())
    for headers in (
        {},
        {"authorization": "Bearer rw_wrong"},
        {"authorization": f"Bearer {revoked.secret}"},
        {"x-api-key": ""},
        {"authorization": "Basic eDp5"},
        {"origin": "http://localhost:3000"},
    ):
        # A stranger is told nothing about its body either.
        answer = await keyed.client.request(
            method, mount + path.format(job_id=SOME), headers=headers, body=b"{"
        )
        assert (answer.status, answer.json) == (401, {"error": "Unauthorized"}), headers


@pytest.mark.parametrize("origin", [{}, {"origin": "http://localhost:3000"}])
@pytest.mark.parametrize("scope", list(Scope))
async def test_every_route_wants_its_scope(keyed: House, scope, origin):
    client = await keyed.client_of("ann", [scope])
    for (method, path), needed in ROUTES.items():
        answer = await client.request(method, path.format(job_id=SOME), headers=origin)
        if scope in (needed, Scope.ADMIN):
            assert answer.status not in (401, 403), (method, path, answer.text)
        else:
            assert answer.status == 403, (method, path)
            assert needed in answer.json["detail"]


async def test_no_owner_sees_anothers(keyed: House):
    ann, bob = await keyed.client_of("ann"), await keyed.client_of("bob")
    run = await keyed.succeed(await keyed.claim(await keyed.submit("private", owner="ann")))
    job_id = f"run_{run.id}"
    for method, path in ROUTES:
        if "{job_id}" in path:
            answer = await bob.request(method, path.format(job_id=job_id))
            assert (answer.status, answer.json) == (404, {"detail": f"Job not found: {job_id}"}), path
    assert (await bob.get("/api/v1/runs")).json["total"] == 0
    assert (await ann.get("/api/v1/runs")).json["total"] == 1
    assert (await bob.get("/stats")).json["total_jobs"] == 0


async def test_one_owners_idempotency_key_is_no_other_owners(keyed: House):
    ann, bob = await keyed.client_of("ann"), await keyed.client_of("bob")
    body = {"prompt": "x", "idempotency_key": "k"}
    headers = {"content-type": "application/json"}
    ids = [
        (await each.post("/api/v1/runs", body, headers=headers)).json["job_id"] for each in (ann, bob, ann)
    ]
    assert ids[0] == ids[2] != ids[1]


async def test_a_key_stands_behind_bearer_or_in_its_own_header(keyed: House):
    secret = await keyed.secret("ann")
    given: tuple[tuple[dict[str, str], int], ...] = (
        ({"authorization": f"Bearer {secret}"}, 200),
        ({"x-api-key": secret}, 200),
        ({"x-api-key": secret, "authorization": "Basic proxy"}, 200),
        ({"authorization": secret}, 401),
        ({"x-api-key": secret, "authorization": "Bearer wrong"}, 401),
    )
    for headers, status in given:
        assert (await keyed.client.get("/api/v1/runs", headers=headers)).status == status, list(headers)


async def test_local_mode_refuses_wrong_keys_and_foreign_pages(house: House):
    wrong = house.client.with_headers(authorization="Bearer rw_wrong")
    assert (await wrong.get("/api/v1/runs")).status == 401
    foreign = await house.client.get("/api/v1/runs", headers={"origin": "https://evil.example"})
    assert foreign.status == 403
    assert "Origin" in foreign.json["detail"]
