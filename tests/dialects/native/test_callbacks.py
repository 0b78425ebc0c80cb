"""Callbacks and deliveries over HTTP."""

import asyncio
from typing import Any

import pytest
from standardwebhooks import Webhook

from runwell.domain.callback import DeliveryStatus, Post
from runwell.domain.instant import SECOND
from runwell.domain.principal import LOCAL_OWNER, Scope
from runwell.engine import callbacks
from tests.support.house import House, a_house

URL = "http://receiver.test/hook"
MINE = "whsec_" + "QUJD" * 8
ENDINGS = ["run.succeeded", "run.failed", "run.cancelled"]


async def made(house: House, **fields: Any) -> dict[str, Any]:
    answer = await house.client.post("/callbacks", {"url": URL, **fields})
    assert answer.status == 201, answer.text
    return answer.json


async def test_a_callback_is_made_and_its_secret_shown_once(house: House) -> None:
    answer = await house.client.post("/callbacks", {"url": URL, "description": "ours"})
    assert answer.headers["cache-control"] == "no-store"
    assert {**answer.json, "id": "", "created_at": "", "secret": ""} == {
        "id": "", "url": URL, "events": ENDINGS, "agents": [], "description": "ours", "paused": False,
        "created_at": "", "secret": "",
    }  # fmt: skip
    assert Webhook(answer.json["secret"])
    shown = await house.client.get(f"/callbacks/{answer.json['id']}")
    assert shown.json == {name: value for name, value in answer.json.items() if name != "secret"}
    assert (await house.client.get("/callbacks")).json == {"callbacks": [shown.json]}


async def test_a_secret_may_be_brought(house: House) -> None:
    assert (await made(house, secret=MINE))["secret"] == MINE
    answer = await house.client.post("/callbacks", {"url": URL, "secret": "whsec_short"})
    assert (answer.status, answer.json["path"]) == (422, "$.secret")
    assert "short" not in answer.text


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"events": []}, "$.events"), ({"events": ["run.flew"]}, "$.events"), ({"url": ""}, "$.url"),
        ({"url": "x" * 2049}, "$.url"), ({"description": "x" * 501}, "$.description"), ({"color": 1}, "$"),
        ({"agents": "echo"}, "$.agents"), ({"url": None}, "$.url"),
    ],
)  # fmt: skip
async def test_a_bad_callback_is_refused_with_its_place(house: House, fields: Any, path: str) -> None:
    made_one = await made(house)
    for method, where in (("POST", "/callbacks"), ("PATCH", f"/callbacks/{made_one['id']}")):
        given = {"url": URL, **fields} if method == "POST" else fields
        answer = await house.client.request(method, where, json=given)
        assert (answer.status, answer.json["path"]) == (422, path), answer.text
    assert len((await house.client.get("/callbacks")).json["callbacks"]) == 1


ADDRESSES = [
    ("http://10.1.2.3/", "not posted to"), ("http://inner.test/", "not posted to"),
    ("http://localhost/", "this machine"), ("ftp://receiver.test/", "http://"), ("receiver", "http://"),
    ("http://a:b@receiver.test/", "password"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "sentence"), [*ADDRESSES, ("http://unknown.test/", "could not be resolved")])
async def test_an_address_is_looked_at_when_it_is_given(house: House, url: str, sentence: str) -> None:
    one = await made(house)
    for answer in (
        await house.client.post("/callbacks", {"url": url}),
        await house.client.patch(f"/callbacks/{one['id']}", {"url": url}),
    ):
        assert (answer.status, answer.json["code"]) == (422, "address_refused")
        assert sentence in answer.json["detail"]
        assert answer.json["hint"]
    assert (await house.client.get(f"/callbacks/{one['id']}")).json["url"] == URL


@pytest.mark.parametrize(("url", "sentence"), ADDRESSES)
async def test_a_runs_address_is_looked_at_too(house: House, url: str, sentence: str) -> None:
    body = {"input": "x", "callbacks": [{"url": URL}, {"url": url}]}
    answer = await house.client.post("/runs", body)
    assert (answer.status, answer.json["code"]) == (422, "address_refused")
    assert sentence in answer.json["detail"]
    assert (await house.client.get("/runs")).json["runs"] == []


async def test_a_runs_address_may_get_its_name_later(house: House) -> None:
    answer = await house.client.post("/runs", {"input": "x", "callbacks": [{"url": "http://unknown.test/"}]})
    assert answer.status == 202


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ([{"url": URL}] * 11, "$.callbacks"),
        ([{"url": URL, "events": ["run.flew"]}], "$.callbacks[0].events"),
        ([{"url": URL}, {"events": ENDINGS}], "$.callbacks[1]"),
        ([{"url": URL, "secret": MINE}], "$.callbacks[0]"), (URL, "$.callbacks"),
    ],
)  # fmt: skip
async def test_bad_callbacks_of_a_run_are_refused_with_their_place(
    house: House, given: Any, path: str
) -> None:
    answer = await house.client.post("/runs", {"input": "x", "callbacks": given})
    assert answer.status == 422, answer.text
    place = answer.json["path"].replace("[...]", "[0]" if "[0]" in path else "[1]")
    assert place == path, answer.text


async def test_a_runs_own_callbacks_are_told_of_what_they_chose(house: House) -> None:
    wanted = [{"url": URL, "events": ["run.created", "run.succeeded"]}, {"url": f"{URL}/2"}]
    run = (await house.client.post("/runs", {"input": "x", "callbacks": wanted})).json["id"]
    stored = await house.the_only_run()
    await house.succeed(await house.claim(stored))
    shown = (await house.client.get(f"/runs/{run}/deliveries")).json["deliveries"]
    assert [(each["event"], each["url"], each["status"]) for each in shown] == [
        ("run.created", URL, "pending"), ("run.succeeded", URL, "pending"),
        ("run.succeeded", f"{URL}/2", "pending"),
    ]  # fmt: skip
    assert all(each["run_id"] == run and each["callback_id"] is None for each in shown)
    assert all(each["history"] == [] and each["last"] is None for each in shown)


async def test_a_callback_is_changed_paused_and_deleted(house: House) -> None:
    one = await made(house)
    where = f"/callbacks/{one['id']}"
    await house.a_finished_run()
    changed = (await house.client.patch(where, {"events": ["run.failed"], "paused": True})).json
    assert (changed["events"], changed["paused"], changed["url"]) == (["run.failed"], True, URL)
    await house.fail(await house.a_running_run())
    assert (await house.client.patch(where, {"paused": False})).json["events"] == ["run.failed"]
    await house.a_finished_run()
    assert (await house.client.delete(where)).status == 204
    assert (await house.client.get(where)).json["code"] == "callback_not_found"
    assert (await house.client.delete(where)).status == 404
    assert len((await house.client.get("/deliveries")).json["deliveries"]) == 1


async def test_secrets_are_rotated(house: House) -> None:
    one = await made(house)
    id = one["id"].removeprefix("cb_")
    house.clock.move(1)
    answer = await house.client.post(f"/callbacks/{one['id']}/rotate", {"overlap": 60})
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    assert set(answer.json) == {"secret", "created_at", "old_valid_until"}

    async def valid() -> list[str]:
        found = await callbacks.valid_secrets(house.core, LOCAL_OWNER, id)
        return [callbacks.spell_secret(each) for each in found]

    assert await valid() == [answer.json["secret"], one["secret"]]
    house.clock.move(60)
    assert await valid() == [answer.json["secret"]]
    brought = await house.client.post(f"/callbacks/{one['id']}/rotate", {"secret": MINE, "overlap": 0})
    assert brought.json["secret"] == MINE
    assert await valid() == [MINE]


async def test_an_owner_has_a_secret_of_their_own(house: House) -> None:
    first = await house.client.get("/callbacks/secret")
    assert first.headers["cache-control"] == "no-store"
    assert (await house.client.get("/callbacks/secret")).json == first.json
    house.clock.move(1)
    rotated = (await house.client.post("/callbacks/secret/rotate")).json
    assert rotated["secret"] != first.json["secret"]
    assert (await house.client.get("/callbacks/secret")).json["secret"] == rotated["secret"]
    found = await callbacks.valid_secrets(house.core, LOCAL_OWNER, None)
    assert [callbacks.spell_secret(each) for each in found] == [rotated["secret"], first.json["secret"]]


@pytest.mark.parametrize("overlap", [-1, 31 * 86_400, "soon"])
async def test_an_overlap_has_bounds(house: House, overlap: Any) -> None:
    answer = await house.client.post("/callbacks/secret/rotate", {"overlap": overlap})
    assert (answer.status, answer.json["path"]) == (422, "$.overlap")


async def _gave_up(house: House, delivery_id: str) -> None:
    failed = Post(number=0, at=house.clock.now(), duration=0.25, status_code=500)
    await house.store.deliveries.record(delivery_id, failed, DeliveryStatus.PENDING, house.clock.now())
    lost = Post(number=0, at=house.clock.now() + SECOND, duration=0.5, error="no connection")
    await house.store.deliveries.record(delivery_id, lost, DeliveryStatus.GIVEN_UP, None)


async def test_deliveries_are_listed_and_read(house: House) -> None:
    one = await made(house)
    runs = []
    for _ in range(5):
        house.clock.move(1)
        runs.append(await house.a_finished_run())
    first = (await house.client.get("/deliveries?limit=3")).json
    rest = (await house.client.get(f"/deliveries?limit=3&cursor={first['next_cursor']}")).json
    found = [*first["deliveries"], *rest["deliveries"]]
    assert [each["run_id"] for each in found] == [f"run_{run.id}" for run in reversed(runs)]
    assert rest["next_cursor"] is None
    assert all(each["callback_id"] == one["id"] for each in found)
    await _gave_up(house, found[0]["id"].removeprefix("msg_"))
    shown = (await house.client.get(f"/deliveries/{found[0]['id']}")).json
    assert [post["number"] for post in shown["history"]] == [1, 2]
    assert [post["status_code"] for post in shown["history"]] == [500, None]
    assert shown["last"] == shown["history"][-1]
    assert (shown["status"], shown["posts"], shown["next_at"]) == ("given_up", 2, None)
    for query, count in (
        ("status=given_up", 1), ("status=given_up&status=pending", 5), (f"callback_id={one['id']}", 5),
        (f"callback_id={'a' * 32}", 0), (f"since={found[2]['created_at']}", 3),
        (f"until={found[2]['created_at']}", 2),
    ):  # fmt: skip
        assert len((await house.client.get(f"/deliveries?{query}")).json["deliveries"]) == count, query
    assert (await house.client.get("/deliveries?status=lost")).status == 422


async def test_a_delivery_is_posted_again_when_asked(house: House) -> None:
    await made(house)
    await house.a_finished_run()
    (delivery,) = (await house.client.get("/deliveries")).json["deliveries"]
    await _gave_up(house, delivery["id"].removeprefix("msg_"))
    signalled = asyncio.Event()
    house.signals.listen(lambda kind, run_id: signalled.set())
    again = await house.client.post(f"/deliveries/{delivery['id']}/redeliver")
    assert (again.status, again.json["status"], again.json["posts"]) == (202, "pending", 2)
    assert again.json["next_at"] is not None
    assert signalled.is_set(), "nobody woke the sender"
    assert (await house.client.post(f"/deliveries/{'a' * 32}/redeliver")).status == 404


async def test_a_range_of_deliveries_is_posted_again(house: House) -> None:
    one = await made(house)
    for _ in range(4):
        house.clock.move(1)
        await house.a_finished_run()
    found = (await house.client.get("/deliveries")).json["deliveries"]
    for each in found[:3]:
        await _gave_up(house, each["id"].removeprefix("msg_"))
    for body, count in (
        ({"since": found[0]["created_at"]}, 1), ({"callback_id": "b" * 32}, 0),
        ({"status": ["given_up"], "callback_id": one["id"], "until": found[1]["created_at"]}, 1),
        ({}, 1), ({}, 0), ({"status": ["pending", "given_up"]}, 4),
    ):  # fmt: skip
        answer = await house.client.post("/deliveries/redeliver", body)
        assert (answer.status, answer.json) == (202, {"redelivered": count}), body
    for body, path in (
        ({"since": "soon"}, "$.since"), ({"status": []}, "$.status"), ({"what": 1}, "$"),
    ):  # fmt: skip
        answer = await house.client.post("/deliveries/redeliver", body)
        assert (answer.status, answer.json["path"]) == (422, path)


async def test_no_owner_sees_anothers(tmp_path: Any) -> None:
    async with a_house(tmp_path, local_mode=False) as house:
        ann = await house.client_of("ann")
        bob = await house.client_of("bob", [Scope.RUNS_READ, Scope.RUNS_WRITE])
        mine = (await ann.post("/callbacks", {"url": f"{URL}/private"})).json["id"]
        run = await house.a_finished_run(owner="ann")
        (delivery,) = (await ann.get("/deliveries")).json["deliveries"]
        for method, path, body in (
            ("GET", f"/callbacks/{mine}", ...), ("PATCH", f"/callbacks/{mine}", {"paused": True}),
            ("DELETE", f"/callbacks/{mine}", ...), ("POST", f"/callbacks/{mine}/rotate", {}),
            ("GET", f"/runs/{run.id}/deliveries", ...), ("GET", f"/deliveries/{delivery['id']}", ...),
            ("POST", f"/deliveries/{delivery['id']}/redeliver", ...),
        ):  # fmt: skip
            answer = await bob.request(method, path, json=body)
            assert answer.status == 404, (method, path, answer.text)
        for path in ("/callbacks", "/deliveries", f"/deliveries?callback_id={mine}"):
            assert "private" not in (await bob.get(path)).text
        assert (await bob.post("/deliveries/redeliver", {"status": ["pending"]})).json == {"redelivered": 0}
        secrets = [(await client.get("/callbacks/secret")).json["secret"] for client in (ann, bob)]
        assert len(set(secrets)) == 2
        await house.a_finished_run(owner="bob")
        assert len((await ann.get("/deliveries")).json["deliveries"]) == 1


async def test_a_callback_chooses_by_a_hundred_names_at_most(house: House) -> None:
    """They are looked at in every commit that ends a run."""
    made_of = await made(house, agents=["echo"] * 200)
    assert made_of["agents"] == ["echo"]
    names = [f"agent-{number}" for number in range(101)]
    assert (await house.client.post("/callbacks", {"url": URL, "agents": names})).status == 422
    answer = await house.client.patch(f"/callbacks/{made_of['id']}", {"agents": names})
    assert (answer.status, answer.json["path"]) == (422, "$.agents")
    assert (await house.client.patch(f"/callbacks/{made_of['id']}", {"agents": names[:100]})).status == 200
