"""POST …/cancel: the answer waits until the agent has let go."""

import pytest

from runwell.dialects.praisonai import routes
from runwell.domain.commands import Stop, Succeed
from runwell.domain.json_gate import encode
from runwell.domain.lifecycle import decide
from runwell.domain.run import RunStatus
from runwell.engine import control
from tests.support.asgi import soon
from tests.support.house import House


async def test_a_running_job_is_cancelled_when_the_answer_comes(house: House):
    run = await house.a_running_run()
    async with house.client.open("POST", f"/api/v1/runs/run_{run.id}/cancel") as exchange:
        await soon(lambda: house.closing.polls)
        assert not exchange.sends
        await house.do(run, Stop())
        await exchange.started()
        assert exchange.status == 200
        assert b'"status":"cancelled"' in await exchange.read()


async def test_an_agent_that_does_not_let_go_is_told_of_as_it_is(house: House, monkeypatch):
    monkeypatch.setattr(routes, "CANCEL_WAIT", 0.01)
    run = await house.a_running_run()
    answer = await house.client.post(f"/api/v1/runs/run_{run.id}/cancel")
    assert (answer.status, answer.json["status"]) == (202, "running")
    assert answer.json["retry_after"] == 5


async def test_a_job_that_ends_first_is_told_of(house: House, monkeypatch):
    run = await house.a_running_run()
    cancel = control.cancel

    async def too_late(core, owner, run_id, by=None):
        await house.store.runs.commit(
            decide(run, Succeed(output=encode(1)), house.clock.now()), house.clock.now()
        )
        return await cancel(core, owner, run_id, by)

    monkeypatch.setattr(control, "cancel", too_late)
    answer = await house.client.post(f"/api/v1/runs/run_{run.id}/cancel")
    assert (answer.status, answer.json) == (409, {"detail": "Job is already complete. Status: succeeded"})


async def test_a_waiting_job_is_cancelled_at_once(house: House):
    run = await house.ask(await house.a_running_run())
    answer = await house.client.post(f"/api/v1/runs/run_{run.id}/cancel")
    assert (answer.status, answer.json["status"]) == (200, "cancelled")
    assert answer.json["progress"]["current_step"] is None


@pytest.mark.parametrize("closing", [True, False])
async def test_a_closing_server_does_not_wait(house: House, closing: bool):
    run = await house.a_running_run()
    async with house.client.open("POST", f"/api/v1/runs/run_{run.id}/cancel") as exchange:
        await soon(lambda: house.closing.polls)
        if closing:
            house.closing.begin()
        else:
            exchange.leave()
        await exchange.started()
        assert exchange.status == 202
    assert (await house.store.runs.get(run.id)).status is RunStatus.RUNNING
