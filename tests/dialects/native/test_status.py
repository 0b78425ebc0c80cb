"""GET /runs/{id}: what it shows, and how polling it is cheap."""

import json

import pytest

from runwell.domain.events import ProgressNoted, StepFinished, StepStarted, UsageCounted
from runwell.domain.ids import spell_crockford, spell_uuid
from runwell.domain.json_gate import Json
from runwell.domain.run import Progress, Usage
from tests.support.asgi import AsgiClient, soon
from tests.support.house import BEGINNING, House

FIELDS = [
    "id", "status", "reason", "agent", "thread_id", "source", "progress", "steps", "attempt", "tries",
    "max_attempts", "worker", "usage", "queue_position", "priority", "concurrency_key", "timeout",
    "created_at", "queued_at", "started_at", "finished_at", "not_before", "expires_at",
    "cancel_requested_at", "ttft", "duration", "question", "error", "output", "metadata", "retry_of",
    "continues", "links",
]  # fmt: skip


@pytest.fixture(params=["front", "app"])
def client(house: House, request: pytest.FixtureRequest) -> AsgiClient:
    """Through the front, which has a hot route, and through the app alone: there is no difference."""
    if request.param == "front":
        return house.client
    return AsgiClient(house.native_app)


async def test_a_queued_run(house: House, client: AsgiClient):
    first, second = await house.submit(), await house.submit(metadata={"k": 1})
    answer = await client.get(f"/runs/run_{second.id}")
    body = answer.json
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert list(body) == FIELDS
    assert body["id"] == f"run_{second.id}"
    assert (body["status"], body["queue_position"], body["metadata"]) == ("queued", 1, {"k": 1})
    assert body["steps"] == {"total": 0, "finished": 0, "failed": 0, "current": None}
    assert answer.headers["etag"] == '"1.1"'
    assert (await client.get(f"/runs/run_{first.id}")).headers["etag"] == '"1.0"'


async def test_a_running_run(house: House, client: AsgiClient):
    run = await house.submit()
    house.clock.move(2)
    await house.claim(run)
    house.clock.move(1.5)
    await house.say(
        run,
        StepStarted(key="search", name="search"),
        StepFinished(key="search", name="search", started_at=BEGINNING, output=Json(b"[]")),
        StepStarted(key="write", name="write"),
        ProgressNoted(progress=Progress(40.0, "writing")),
        UsageCounted(usage=Usage(input_tokens=7, cost=0.5)),
        "Once",
    )
    body = (await client.get(f"/runs/run_{run.id}")).json
    assert (body["status"], body["worker"], body["attempt"]) == ("running", "hand", 1)
    assert body["progress"] == {"percent": 40.0, "step": "writing"}
    assert body["steps"] == {"total": 2, "finished": 1, "failed": 0, "current": "write"}
    assert (body["usage"]["input_tokens"], body["usage"]["cost"]) == (7, 0.5)
    assert (body["ttft"], body["queue_position"]) == (3.5, None)
    assert body["started_at"] == "2027-01-15T08:00:02.000000Z"


async def test_a_waiting_run(house: House, client: AsgiClient):
    run = await house.ask(await house.a_running_run(), {"really": True})
    answer = await client.get(f"/runs/run_{run.id}")
    assert answer.json["question"] == {"key": "q", "question": {"really": True}, "schema": None}
    assert answer.headers["retry-after"] == "15"


async def test_an_ended_run(house: House, client: AsgiClient):
    run = await house.a_running_run()
    house.clock.move(3)
    await house.succeed(run, [1, "zwei", None])
    answer = await client.get(f"/runs/run_{run.id}")
    assert (answer.json["status"], answer.json["output"]) == ("succeeded", [1, "zwei", None])
    assert answer.json["duration"] == 3.0
    assert "retry-after" not in answer.headers


async def test_a_failed_run(house: House, client: AsgiClient):
    run = await house.fail(await house.a_running_run(), "model_error")
    body = (await client.get(f"/runs/run_{run.id}")).json
    assert (body["status"], body["reason"]) == ("failed", "model_error")
    assert body["error"] == {"code": "model_error", "message": "it broke"}


async def test_any_spelling_of_the_id(house: House, client: AsgiClient):
    run = await house.submit()
    for spelled in (f"run_{run.id}", run.id, spell_uuid(run.id), f"wrun_{spell_crockford(run.id)}"):
        assert (await client.get(f"/runs/{spelled}")).json["id"] == f"run_{run.id}"


async def test_unknown_and_foreign_are_the_same(house: House, client: AsgiClient):
    foreign = await house.submit(owner="somebody else")
    answers = [await client.get(f"/runs/run_{id}") for id in (foreign.id, foreign.id[:-1] + "0")]
    for answer in answers:
        assert (answer.status, answer.json["code"]) == (404, "run_not_found")
    assert (await client.get("/runs/nonsense")).json["code"] == "invalid_id"


async def test_text_does_not_change_the_validator(house: House, client: AsgiClient):
    run = await house.say(await house.a_running_run(), "first words are visible: the time to them")
    before = await client.get(f"/runs/run_{run.id}")
    await house.say(run, "more", "words")
    same = await client.get(f"/runs/run_{run.id}", headers={"if-none-match": before.headers["etag"]})
    assert same.status == 304
    assert same.body == b""
    assert same.headers["etag"] == before.headers["etag"]
    assert same.headers["retry-after"]
    assert "content-type" not in same.headers
    await house.say(run, ProgressNoted(progress=Progress(1.0)))
    assert (
        await client.get(f"/runs/run_{run.id}", headers={"if-none-match": before.headers["etag"]})
    ).status == 200


async def test_equal_validators_mean_equal_bytes(house: House, client: AsgiClient):
    run = await house.submit()
    seen: dict[str, bytes] = {}

    async def look():
        answer = await client.get(f"/runs/run_{run.id}")
        assert seen.setdefault(answer.headers["etag"], answer.body) == answer.body

    for step in (house.claim, lambda run: house.say(run, "a"), lambda run: house.say(run, "b"), house.ask):
        await look()
        await step(run)
        house.clock.move(1)
        await look()
    assert len(seen) == 4


async def test_a_place_in_the_queue_is_part_of_the_validator(house: House, client: AsgiClient):
    first, second = await house.submit(), await house.submit()
    before = await client.get(f"/runs/run_{second.id}")
    await house.claim(first)
    after = await client.get(f"/runs/run_{second.id}", headers={"if-none-match": before.headers["etag"]})
    assert (after.status, after.json["queue_position"]) == (200, 0)


async def test_a_wait_without_a_validator_is_for_the_end(house: House, client: AsgiClient):
    run = await house.a_running_run()
    async with client.open("GET", f"/runs/run_{run.id}", headers={"prefer": "wait=20"}) as exchange:
        await polling(house)
        await house.say(run, ProgressNoted(progress=Progress(50.0)))
        await house.succeed(run)
        await exchange.started()
        assert json.loads(await exchange.read())["status"] == "succeeded"
    assert exchange.headers["preference-applied"] == "wait=20"
    assert not house.closing.polls


async def test_a_wait_with_a_validator_is_for_any_change(house: House, client: AsgiClient):
    run = await house.a_running_run()
    etag = (await client.get(f"/runs/run_{run.id}")).headers["etag"]
    headers = {"prefer": "wait=20", "if-none-match": etag}
    async with client.open("GET", f"/runs/run_{run.id}", headers=headers) as exchange:
        await polling(house)
        await house.say(run, ProgressNoted(progress=Progress(50.0)))
        await exchange.started()
        body = json.loads(await exchange.read())
    assert (exchange.status, body["status"], body["progress"]["percent"]) == (200, "running", 50.0)


async def test_a_wait_that_is_over(house: House, client: AsgiClient):
    run = await house.a_running_run()
    etag = (await client.get(f"/runs/run_{run.id}")).headers["etag"]
    still = await client.get(f"/runs/run_{run.id}", headers={"prefer": "wait=0", "if-none-match": etag})
    assert (still.status, still.headers["preference-applied"]) == (304, "wait=0")
    shown = await client.get(f"/runs/run_{run.id}", headers={"prefer": "wait=0"})
    assert (shown.status, shown.json["status"]) == (200, "running")


async def test_a_wait_for_what_is_there_does_not_wait(house: House, client: AsgiClient):
    run = await house.a_finished_run()
    ended = await client.get(f"/runs/run_{run.id}", headers={"prefer": "wait=60"})
    assert ended.json["status"] == "succeeded"
    changed = await client.get(f"/runs/run_{run.id}", headers={"prefer": "wait=60", "if-none-match": '"1.0"'})
    assert changed.status == 200


async def test_a_client_that_leaves_stops_waiting(house: House, client: AsgiClient):
    run = await house.a_running_run()
    async with client.open("GET", f"/runs/run_{run.id}", headers={"prefer": "wait=60"}) as exchange:
        await polling(house)
        exchange.leave()
        await exchange.ended()
    assert not house.closing.polls
    assert house.signals._watches == {}


async def test_the_servers_end_cuts_a_wait_short(house: House, client: AsgiClient):
    run = await house.a_running_run()
    async with client.open("GET", f"/runs/run_{run.id}", headers={"prefer": "wait=60"}) as exchange:
        await polling(house)
        house.closing.begin()
        await exchange.started()
        assert json.loads(await exchange.read())["status"] == "running"


async def polling(house: House) -> None:
    await soon(lambda: house.closing.polls)
