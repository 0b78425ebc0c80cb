"""Long-poll: the answer comes with the change, or when the time is over."""

import asyncio

import pytest

from runwell.domain.errors import RunNotFound
from runwell.domain.run import RunStatus
from runwell.stream.poll import wait_until
from tests.support.house import House
from tests.support.lost_signals import LostSignals


def until(house: House, run, done, timeout=20.0, owner=None, signals=None):
    owner = run.owner if owner is None else owner
    return wait_until(house.store, signals or house.signals, run.id, owner, done, timeout)


async def test_what_is_done_is_answered_at_once(house: House):
    run = await house.a_finished_run()
    signals = LostSignals()
    assert (await until(house, run, lambda run: run.final, signals=signals)).final
    assert signals.waits == []


async def test_the_change_ends_the_wait(house: House):
    run = await house.a_running_run()
    waiting = asyncio.ensure_future(until(house, run, lambda run: run.final))
    await asyncio.sleep(0)
    await house.say(run, "not the end")
    await house.succeed(run)
    assert (await waiting).status is RunStatus.SUCCEEDED


async def test_the_time_is_over(house: House):
    run = await house.a_running_run()
    seen = await until(house, run, lambda run: run.final, timeout=0)
    assert seen.status is RunStatus.RUNNING


async def test_a_lost_signal_is_made_good_within_a_second(house: House):
    run = await house.a_running_run()
    signals = LostSignals()
    looks = 0

    def done(run):
        nonlocal looks
        looks += 1
        return looks == 3

    await until(house, run, done, signals=signals)
    assert len(signals.waits) == 2
    assert max(signals.waits) <= 1.0
    assert signals.watching == 0


async def test_another_owners_run_is_not_there(house: House):
    run = await house.a_running_run()
    with pytest.raises(RunNotFound):
        await until(house, run, lambda run: True, owner="somebody else")
