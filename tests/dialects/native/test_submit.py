"""POST /runs."""

import asyncio
import json

import pytest

from runwell.domain.run import RunStatus
from tests.support.asgi import AsgiClient, soon
from tests.support.house import House, a_house

MOUNTS = ("", "/native")


@pytest.fixture(params=["front", "app"])
def client(house: House, request: pytest.FixtureRequest) -> AsgiClient:
    """Through the front, which has a hot route, and through the app alone: there is no difference."""
    if request.param == "front":
        return house.client
    return AsgiClient(house.native_app)


async def test_a_run_is_queued_and_named(house: House, client: AsgiClient):
    answer = await client.post("/runs", {"input": "tides"})
    body = answer.json
    assert answer.status == 202
    assert list(body) == ["id", "status", "agent", "created_at", "links"]
    assert body["status"] == "queued"
    assert body["agent"] == "echo"
    assert body["created_at"] == "2027-01-15T08:00:00.000000Z"
    path = f"/runs/{body['id']}"
    assert body["links"] == {
        "self": path,
        **{verb: f"{path}/{verb}" for verb in ("events", "steps", "cancel", "answer", "retry")},
    }
    assert answer.headers["location"] == path
    run = await house.store.runs.get(body["id"].removeprefix("run_"))
    assert (run.status, run.owner, run.source) == (RunStatus.QUEUED, "local", "native")


async def test_links_carry_the_mount(house: House):
    answer = await house.client.post("/native/runs", {"input": "x"})
    assert answer.headers["location"] == f"/native/runs/{answer.json['id']}"
    assert all(link.startswith("/native/runs/run_") for link in answer.json["links"].values())


async def test_everything_that_can_be_asked_for_arrives(house: House, client: AsgiClient):
    thread = (await client.post("/threads", {})).json["id"]
    wanted = {
        "agent": "counter", "input": 3, "thread_id": thread, "if_busy": "together", "concurrency_key": "k",
        "metadata": {"a": [1, None]}, "priority": -7, "not_before": "2027-01-15T10:00:00+01:00",
        "timeout": 12.5, "max_attempts": 5, "expires_in": 60,
    }  # fmt: skip
    created = await client.post("/runs", wanted)
    assert created.status == 202, created.text
    body = (await client.get(created.headers["location"])).json
    assert body["agent"] == "counter"
    assert body["thread_id"] == thread
    assert body["metadata"] == {"a": [1, None]}
    assert (body["priority"], body["concurrency_key"]) == (-7, "k")
    assert (body["timeout"], body["max_attempts"]) == (12.5, 5)
    assert body["not_before"] == "2027-01-15T09:00:00.000000Z"
    assert body["expires_at"] == "2027-01-15T08:01:00.000000Z"


async def test_the_same_key_and_body_are_the_same_run(house: House, client: AsgiClient):
    headers = {"idempotency-key": "k1"}
    first = await client.post("/runs", {"input": "x"}, headers=headers)
    assert "idempotent-replayed" not in first.headers
    run = await house.store.runs.get(first.json["id"].removeprefix("run_"))
    await house.succeed(await house.claim(run))
    again = await client.post("/runs", {"input": "x"}, headers=headers)
    assert again.status == 202
    assert again.body == first.body
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert len((await client.get("/runs")).json["runs"]) == 1


async def test_the_same_key_with_another_body_is_refused(house: House, client: AsgiClient):
    headers = {"idempotency-key": "k1"}
    first = await client.post("/runs", {"input": "x"}, headers=headers)
    other = await client.post("/runs", {"input": "y"}, headers=headers)
    assert other.status == 422
    assert other.json["code"] == "idempotency_mismatch"
    assert other.json["run_id"] == first.json["id"]


async def test_a_key_is_its_owners(house: House):
    headers = {"idempotency-key": "k1"}
    ann, bob = await house.client_of("ann"), await house.client_of("bob")
    first = await ann.post("/runs", {"input": "x"}, headers=headers)
    second = await bob.post("/runs", {"input": "y"}, headers=headers)
    assert second.status == 202
    assert first.json["id"] != second.json["id"]


async def test_a_hundred_at_once_with_one_key_are_one_run(house: House):
    headers = {"idempotency-key": "storm"}
    answers = await asyncio.gather(
        *(house.client.post("/runs", {"input": "x"}, headers=headers) for _ in range(100))
    )
    assert {answer.status for answer in answers} == {202}
    assert len({answer.body for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_has_a_length(client: AsgiClient, key):
    answer = await client.post("/runs", {"input": "x"}, headers={"idempotency-key": key})
    assert answer.status == 422
    assert answer.json["path"] == "header.Idempotency-Key"


async def test_a_wait_brings_the_end(house: House, client: AsgiClient):
    async with client.open("POST", "/runs", headers={"prefer": "wait=20"}, body=b'{"input":"x"}') as exchange:
        run = await house.the_only_run()
        await house.succeed(await house.claim(run), {"answer": 42})
        await exchange.started()
        body = json.loads(await exchange.read())
    assert exchange.status == 200
    assert exchange.headers["preference-applied"] == "wait=20"
    assert exchange.headers["location"] == f"/runs/run_{run.id}"
    assert exchange.headers["etag"]
    assert (body["status"], body["output"]) == ("succeeded", {"answer": 42})


async def test_a_wait_that_is_over_is_a_submit(client: AsgiClient):
    answer = await client.post("/runs", {"input": "x"}, headers={"prefer": "wait=0"})
    assert answer.status == 202
    assert answer.headers["preference-applied"] == "wait=0"
    assert answer.json["status"] == "queued"


async def test_the_servers_end_cuts_a_wait_short(house: House, client: AsgiClient):
    async with client.open("POST", "/runs", headers={"prefer": "wait=60"}, body=b'{"input":"x"}') as exchange:
        await house.the_only_run()
        await soon(lambda: house.closing.polls)
        house.closing.begin()
        await exchange.started()
        assert exchange.status == 202
    assert not house.closing.polls


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "malformed_json"), (b"{", "malformed_json"), (b"nonsense", "malformed_json"),
        (b'{"input": NaN}', "malformed_json"), (b'{"input": "\xff"}', "malformed_json"),
        (b'{"input": "\\ud800"}', "malformed_json"), (b'\xef\xbb\xbf{"input": 1}', "malformed_json"),
    ],
)  # fmt: skip
async def test_what_is_no_json_is_400(client: AsgiClient, body, code):
    answer = await client.request("POST", "/runs", body=body)
    assert (answer.status, answer.json["code"]) == (400, code)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"[]", "$"), (b"{}", "$"), (b"null", "$"), (b'{"inptu": 1}', "$"),
        (b'{"input": 1, "extra": 2}', "$"),
        (b'{"input": "x", "agent": 3}', "$.agent"), (b'{"input": "x", "priority": 101}', "$.priority"),
        (b'{"input": "x", "priority": "1"}', "$.priority"), (b'{"input": "x", "timeout": 0}', "$.timeout"),
        (b'{"input": "x", "timeout": 1e300}', "$.timeout"),
        (b'{"input": "x", "max_attempts": 0}', "$.max_attempts"),
        (b'{"input": "x", "max_attempts": 101}', "$.max_attempts"),
        (b'{"input": "x", "expires_in": -1}', "$.expires_in"),
        (b'{"input": "x", "metadata": []}', "$.metadata"),
        (b'{"input": "x", "if_busy": "perhaps"}', "$.if_busy"),
        (b'{"input": "x", "concurrency_key": ""}', "$.concurrency_key"),
        (b'{"input": "x", "concurrency_key": "\\u0000"}', "$.concurrency_key"),
        (b'{"input": "x", "not_before": "tomorrow"}', "$.not_before"),
        (b'{"input": "x", "not_before": "2027-01-15T10:00:00"}', "$.not_before"),
        (b'{"input": {"a": ["\\u0000"]}}', "$.input.a[0]"), (b'{"input": 9223372036854775808}', "$.input"),
        (b'{"input": 1e400}', "$.input"), (b'{"input": "x", "metadata": {"k": "\\u0000"}}', "$.metadata.k"),
        (b'{"input": ' + b"[" * 65 + b"]" * 65 + b"}", "$.input" + "[0]" * 64),
        (b'{"input": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "$"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_422_with_the_path_to_the_fault(house: House, client: AsgiClient, body, path):
    answer = await client.request("POST", "/runs", body=body)
    assert answer.status == 422, answer.text
    assert answer.json["path"] == path
    assert answer.json["errors"][0]["path"] == path
    assert answer.json["errors"][0]["fault"]
    assert (await client.get("/runs")).json["runs"] == []


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"agent": "nobody"}, 404, "agent_not_found"),
        ({"agent": "counter", "input": "three"}, 422, "invalid_input"),
        ({"thread_id": "not an id"}, 422, "invalid_id"),
    ],
)
async def test_what_the_core_refuses(client: AsgiClient, fields, status, code):
    answer = await client.post("/runs", {"input": "x", **fields})
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.json["hint"]


async def test_a_busy_thread_refuses_when_asked_to(house: House, client: AsgiClient):
    thread = (await client.post("/threads", {})).json["id"]
    first = await client.post("/runs", {"input": "x", "thread_id": thread})
    answer = await client.post("/runs", {"input": "y", "thread_id": thread, "if_busy": "refuse"})
    assert (answer.status, answer.json["code"]) == (409, "thread_busy")
    assert answer.json["run_id"] == first.json["id"]


async def test_half_a_body_is_no_request(house: House):
    """A client that leaves in the middle of its body has asked for nothing."""
    async with house.client.open("POST", "/runs", body=[b'{"input":', b'"x"}']) as exchange:
        await exchange.started()
        assert exchange.status == 202
    scope_body = [{"type": "http.request", "body": b'{"input": 1', "more_body": True}]

    async def receive():
        return scope_body.pop() if scope_body else {"type": "http.disconnect"}

    sent = []

    async def send(message):
        sent.append(message)

    async with house.client.open("GET", "/healthz") as other:
        scope = {**other.scope, "method": "POST", "path": "/runs"}
    await house.app(scope, receive, send)
    assert sent == []
    assert len((await house.client.get("/runs")).json["runs"]) == 1


async def test_no_agents_is_said(tmp_path):
    async with a_house(tmp_path / "empty", agents=()) as empty:
        answer = await empty.client.post("/runs", {"input": "x"})
        assert (answer.status, answer.json["code"]) == (404, "agent_not_found")
