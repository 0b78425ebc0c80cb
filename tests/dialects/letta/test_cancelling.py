"""Cancelling runs of an agent: what is answered is what is true."""

from runwell.dialects.letta import ids
from runwell.domain.commands import Stop
from runwell.domain.run import RunStatus
from tests.dialects.letta.sent import a_sent_run, an_agent, shown
from tests.support.house import House


async def test_named_runs(house: House):
    agent = await an_agent(house.client)
    queued, ended = await a_sent_run(house, agent), await a_sent_run(house, agent)
    waiting = await a_sent_run(house, agent)
    await house.succeed(await house.claim(ended))
    await house.ask(await house.claim(waiting))
    names = [ids.run_id(run.id) for run in (queued, ended, waiting)]
    unknown = "run-11111111-1111-4111-8111-111111111111"
    path = f"/v1/agents/{agent}/messages/cancel"
    answer = await house.client.post(path, {"run_ids": [*names, unknown, "bogus"]})
    assert answer.json == {**dict.fromkeys(names, "cancelled"), unknown: "failed", "bogus": "failed"}
    body = await shown(house, queued)
    assert (body["status"], body["stop_reason"]) == ("cancelled", "cancelled")
    assert body["completed_at"] is not None
    assert (await shown(house, ended))["status"] == "completed"
    assert (await shown(house, waiting))["status"] == "completed"
    assert (await house.client.post(path, {"run_ids": names[:1]})).json == {names[0]: "cancelled"}


async def test_a_running_run_is_waited_for(house: House):
    agent = await an_agent(house.client)
    run = await house.claim(await a_sent_run(house, agent))
    async with house.client.open("POST", f"/v1/agents/{agent}/messages/cancel") as exchange:

        async def asked() -> bool:
            return (await house.store.runs.get(run.id)).cancel_requested_at is not None

        with house.signals.watch(run.id) as watch:
            while not await asked():
                await watch.wait(20)
        assert not exchange.sends
        await house.do(run, Stop())
        await exchange.started()
        assert await exchange.read() == f'{{"{ids.run_id(run.id)}":"cancelled"}}'.encode()
    assert (await house.store.runs.get(run.id)).status is RunStatus.CANCELLED


async def test_without_names_all_that_are_active_and_no_one_else_s(house: House):
    agent, other = await an_agent(house.client), await an_agent(house.client)
    mine = [await a_sent_run(house, agent) for _ in range(2)]
    theirs = await a_sent_run(house, other)
    path = f"/v1/agents/{agent}/messages/cancel"
    answer = await house.client.post(path, {})
    assert answer.json == {ids.run_id(run.id): "cancelled" for run in reversed(mine)}
    assert (await house.store.runs.get(theirs.id)).status is RunStatus.QUEUED
    nothing = await house.client.post(path)
    assert (nothing.status, nothing.headers["x-should-retry"]) == (409, "false")


async def test_a_cancelled_run_stays_cancelled_in_its_stream(house: House):
    agent = await an_agent(house.client)
    run = await a_sent_run(house, agent)
    await house.client.post(f"/v1/agents/{agent}/messages/cancel", {"run_ids": [ids.run_id(run.id)]})
    for _ in range(2):
        stream = (await house.client.post(f"/v1/runs/{run.id}/stream", {})).body
        assert stream.endswith(
            b'data: {"message_type": "stop_reason", "stop_reason": "cancelled"}\n\ndata: [DONE]\n\n'
        )
        assert stream.count(b'"stop_reason"') == 2  # a type and a reason: one frame
