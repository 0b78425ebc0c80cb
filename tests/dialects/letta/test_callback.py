"""What a run's `callback_url` is told, and what became of it on the run."""

import json

import pytest

from runwell.dialects.letta.callbacks import AlreadyTold
from runwell.dialects.letta.dialect import build_letta
from runwell.domain.callback import Delivery, DeliveryStatus, Post
from runwell.domain.run import Run
from runwell.engine import control
from tests.dialects.letta.sent import a_sent_run, an_agent, shown, types
from tests.support.house import House

URL = "http://receiver.test/told"


async def deliveries(house: House, run: Run) -> list[Delivery]:
    return await house.store.deliveries.of(run.id)


async def body(house: House, delivery: Delivery) -> dict:
    """As the sender renders it: with the run as it is now."""
    run = await house.store.runs.get(delivery.run_id)
    line = (await house.store.events.read(run.id, delivery.seq - 1, 1))[0]
    return json.loads(await build_letta(house.services).callback_bodies[delivery.format](run, line))


async def a_called_run(house: House) -> Run:
    return await a_sent_run(house, await an_agent(house.client), callback_url=URL)


async def test_a_run_that_succeeds(house: House):
    run = await a_called_run(house)
    await house.claim(run)
    house.clock.move(1)
    await house.say(run, "hello ", "there")
    run = await house.succeed(run, "hello there")
    (delivery,) = await deliveries(house, run)
    told = await body(house, delivery)
    assert list(told) == ["run_id", "status", "completed_at", "metadata"]
    assert (told["status"], told["completed_at"]) == ("completed", (await shown(house, run))["completed_at"])
    assert told["metadata"]["run_type"] == "send_message_async"
    result = told["metadata"]["result"]
    assert list(result) == ["messages", "stop_reason", "usage", "logprobs", "turns"]
    assert types(result["messages"]) == ["user_message", "assistant_message"]
    assert result["usage"]["message_type"] == "usage_statistics"
    assert delivery.url == URL


@pytest.mark.parametrize(("end", "status"), [("fail", "failed"), ("cancel", "cancelled")])
async def test_a_run_that_does_not(house: House, end, status):
    run = await a_called_run(house)
    if end == "fail":
        await house.fail(await house.claim(run))
    else:
        await control.cancel(house.core, run.owner, run.id)
    (delivery,) = await deliveries(house, run)
    told = await body(house, delivery)
    assert told["status"] == status
    assert told["metadata"].get("error") == ("it broke" if end == "fail" else None)


async def test_a_run_that_asks_is_told_once_when_it_asks(house: House):
    run = await a_called_run(house)
    await house.ask(await house.claim(run))
    (waiting,) = await deliveries(house, run)
    house.clock.move(5)
    before = await body(house, waiting)
    assert (before["status"], before["metadata"]["result"]["stop_reason"]["stop_reason"]) == (
        "completed", "requires_approval"
    )  # fmt: skip
    await control.go_on(house.core, run.owner, run.id, "yes")
    _, ending = await deliveries(house, run)
    with pytest.raises(AlreadyTold):
        await body(house, ending)
    assert await body(house, waiting) == before


async def test_the_last_post_is_shown_on_the_run(house: House):
    run = await a_called_run(house)
    run = await house.succeed(await house.claim(run))
    (delivery,) = await deliveries(house, run)
    record = house.store.deliveries.record
    fault = Post(number=0, at=house.clock.now(), duration=0.1, error="connection refused")
    await record(delivery.id, fault, DeliveryStatus.PENDING, house.clock.now())
    body = await shown(house, run)
    assert body["callback_sent_at"] == "2027-01-15T08:00:01.000000Z"
    assert body["callback_status_code"] is None
    assert body["callback_error"] == (
        f"Failed to dispatch callback for run {body['id']} to {URL}: connection refused"
    )
    house.clock.move(1)
    posted = Post(number=0, at=house.clock.now(), duration=0.1, status_code=500)
    await record(delivery.id, posted, DeliveryStatus.PENDING, house.clock.now())
    body = await shown(house, run)
    assert (body["callback_status_code"], body["callback_error"]) == (500, None)


async def test_no_callback_without_an_address(house: House):
    for url in (None, ""):
        run = await a_sent_run(house, await an_agent(house.client), callback_url=url)
        assert run.callbacks == ()
    too_long = {"input": "x", "callback_url": "http://receiver.test/" + "x" * 3000}
    agent = await an_agent(house.client)
    assert (await house.client.post(f"/v1/agents/{agent}/messages/async", too_long)).status == 422
