"""What an administrator sees of processes and people, and does about people."""

import pytest

from runwell.domain.principal import ALL_SCOPES, Scope
from runwell.domain.worker import Heartbeat
from tests.support.house import BEGINNING, House

PASSWORD = "correct horse battery"


async def test_workers_are_alive_while_they_are_heard(house: House):
    beat = Heartbeat(
        name="w1", host="one", pid=7, version="1.2", started_at=BEGINNING, seen_at=BEGINNING, lapse=10.0,
        agents=("echo",), places=4, running=1, serves=True,
    )  # fmt: skip
    await house.store.workers.beat(beat)
    (worker,) = (await house.client.get("/workers")).json["workers"]
    at = "2027-01-15T08:00:00.000000Z"
    assert worker == {
        "name": "w1", "alive": True, "host": "one", "pid": 7, "version": "1.2", "started_at": at,
        "seen_at": at, "lapse": 10.0, "agents": ["echo"], "places": 4, "running": 1, "serves": True,
        "stopping": False,
    }  # fmt: skip
    house.clock.move(10)
    (worker,) = (await house.client.get("/workers")).json["workers"]
    assert worker["alive"] is False


async def test_a_user_is_disabled_enabled_and_signed_out(house: House):
    ada = await house.accounts.create("ada@example.com", "Ada", PASSWORD, admin=True)
    first = await house.accounts.sign_in(
        "ada@example.com", PASSWORD, address="10.1.1.1", user_agent="Firefox"
    )
    (user,) = (await house.client.get("/users")).json["users"]
    path = f"/users/{user['id']}"
    assert (user["email"], user["admin"], user["owner"], user["disabled_at"]) == (
        "ada@example.com", True, ada.owner, None,
    )  # fmt: skip
    (session,) = (await house.client.get(f"{path}/sessions")).json["sessions"]
    assert (session["user_agent"], session["address"]) == ("Firefox", "10.1.1.1")
    assert (await house.client.delete(f"{path}/sessions")).json == {"ended": 1}
    assert await house.accounts.find(first.token) is None
    second = await house.accounts.sign_in("ada@example.com", PASSWORD)
    disabled = (await house.client.post(f"{path}/disable")).json
    assert disabled["disabled_at"] is not None
    assert await house.accounts.find(second.token) is None
    assert (await house.client.post(f"{path}/enable")).json == user
    assert await house.accounts.sign_in("ada@example.com", PASSWORD)
    assert "password" not in (await house.client.get("/users")).text


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/workers"), ("GET", "/users"), ("POST", "/users/{id}/disable"), ("POST", "/users/{id}/enable"),
     ("GET", "/users/{id}/sessions"), ("DELETE", "/users/{id}/sessions")],
)  # fmt: skip
async def test_only_an_admin_may_and_what_is_not_there_is_404(house: House, method: str, path: str):
    url = path.replace("{id}", "user_" + "0" * 12 + "4" + "0" * 19)
    anybody = await house.client_of("ann", ALL_SCOPES - {Scope.ADMIN})
    assert (await anybody.request(method, url)).status == 403
    unknown = await house.client.request(method, url)
    assert unknown.status == (404 if "{id}" in path else 200)
