"""Every reason for being where it is has its sentence."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from runwell.domain.commands import (
    Answer,
    AskCancel,
    Cancel,
    Claim,
    Continue,
    Expire,
    HandBack,
    Lapse,
    Stop,
    TryAgain,
)
from runwell.domain.errors import RunNotFound
from runwell.domain.events import StepStarted
from runwell.domain.instant import SECOND
from runwell.domain.json_gate import Json
from runwell.domain.run import Run, RunError, RunStatus
from runwell.domain.thread import IfBusy
from runwell.domain.worker import Heartbeat
from runwell.engine.why import LONGEST_QUOTE, Facts, clock, sentence, span, why
from tests.support.house import BEGINNING, House, a_house

BROKE = RunError("Boom", "it broke")
QUEUED = Run(
    id="0" * 32, owner="ada", agent="echo", status=RunStatus.QUEUED, created_at=BEGINNING, queued_at=BEGINNING
)


@pytest.fixture
async def house(tmp_path: Path):
    async with a_house(tmp_path / "house") as house:
        yield house


async def beat(house: House, name: str = "hand", agents: tuple[str, ...] = ("echo",)) -> None:
    now = house.clock.now()
    await house.store.workers.beat(
        Heartbeat(
            name=name, host="h", pid=1, version="1", started_at=now, seen_at=now, lapse=10.0, agents=agents,
            places=1,
        )
    )  # fmt: skip


async def said(house: House, run: Run) -> str:
    return (await why(house.core, run.owner, run.id)).why


async def test_a_queued_run_says_what_it_waits_for(house: House) -> None:
    first = await house.submit()
    assert await said(house, first) == "Queued: no live worker serves the agent `echo`."
    await beat(house)
    assert await said(house, first) == "Queued, and next: it starts when a worker has a free place."
    house.clock.move(3)
    await house.submit(owner="bob")
    last = await house.submit()
    house.clock.move(5)
    assert await said(house, last) == "Queued behind 2 runs; the oldest of `echo` waits 8 s."
    later = await house.submit(not_before=house.clock.now() + 60 * SECOND)
    assert await said(house, later) == "Queued until 08:01:08 UTC, as it was asked to start no sooner."
    house.clock.move(20)
    assert await said(house, last) == "Queued: no live worker serves the agent `echo`."


async def test_the_queues_of_other_agents_are_not_counted_for_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def counted() -> None:
        raise AssertionError("all that is queued was counted")

    monkeypatch.setattr(house.core.store.runs, "depths", counted)
    await beat(house)
    await house.submit(agent="counter", input=1)
    house.clock.move(2)
    await house.submit()
    house.clock.move(3)
    last = await house.submit()
    assert await said(house, last) == "Queued behind 2 runs; the oldest of `echo` waits 3 s."


async def test_a_run_behind_another_names_it(house: House) -> None:
    await beat(house)
    key = {"concurrency_key": "k"}
    holder = await house.a_running_run(**key)
    assert await said(house, await house.submit(**key)) == (
        f"Queued: run_{holder.id} holds its concurrency key `k`."
    )
    theirs = await house.submit(owner="bob", **key)
    assert "holds" not in await said(house, theirs)
    thread = {"thread_id": "a" * 32, "if_busy": IfBusy.QUEUE}
    ahead = await house.submit(**thread)
    house.clock.move(1)
    behind = await house.submit(**thread)
    assert await said(house, behind) == f"Queued behind run_{ahead.id} in its thread."
    await house.do(ahead, Cancel())
    assert "thread" not in await said(house, behind)


async def test_what_ended_the_attempt_before_is_told_while_queued_and_while_running(house: House) -> None:
    await beat(house)
    for command, told in (
        (Lapse(seen_at=BEGINNING), "the worker of attempt 1 vanished at 08:00:00 UTC"),
        (HandBack(), "the worker of attempt 1 shut down at 08:00:00 UTC and handed it back"),
        (TryAgain(error=BROKE, delay=0.0), "attempt 1 failed at 08:00:00 UTC: it broke"),
    ):
        run = await house.do(await house.a_running_run(), command)
        next_one = "Queued again ({}), and next: it starts when a worker has a free place."
        assert await said(house, run) == next_one.format(told)
        await house.claim(run)
        assert await said(house, run) == f"Attempt 2 since 08:00:00 UTC: {told}."
        await house.succeed(run)
        assert await said(house, run) == "Succeeded in 0 s, in attempt 2."


async def test_a_run_that_is_tried_later_says_when_and_why(house: House) -> None:
    run = await house.do(await house.a_running_run(), TryAgain(error=BROKE, delay=600.0))
    assert await said(house, run) == "Queued until 08:10:00 UTC after a failed try (1 of 3): it broke."


async def test_a_running_run_says_who_is_at_it(house: House) -> None:
    await beat(house)
    run = await house.a_running_run()
    assert await said(house, run) == "Attempt 1 since 08:00:00 UTC on `hand`."
    await house.say(run, StepStarted(key="look up", name="look up"))
    assert await said(house, run) == "Attempt 1 since 08:00:00 UTC on `hand`, now in step `look up`."
    house.clock.move(11)
    over = "the run is about to be taken over"
    silent = f"Attempt 1 since 08:00:00 UTC, but its worker `hand` was last heard at 08:00:00 UTC: {over}."
    assert await said(house, run) == silent
    await house.store.workers.remove("hand")
    assert await said(house, run) == f"Attempt 1 since 08:00:00 UTC, but its worker `hand` is gone: {over}."


async def test_a_cancel_says_who_asked_and_what_happens_now(house: House) -> None:
    run = await house.do(await house.a_running_run(), AskCancel(by="ada"))
    asked = "Cancel asked for at 08:00:00 UTC by ada"
    assert await said(house, run) == f"{asked}; the agent has 5 s to let go."
    house.clock.move(6)
    assert await said(house, run) == f"{asked}; the agent has not let go in 5 s and is cut off."
    await house.do(run, Stop())
    assert await said(house, run) == "Cancelled at 08:00:06 UTC by ada, 6 s after it started."
    unstarted = await house.do(await house.submit(), Cancel())
    assert await said(house, unstarted) == "Cancelled at 08:00:06 UTC, before it started."


async def test_a_waiting_run_asks_its_question(house: House) -> None:
    run = await house.ask(await house.a_running_run(), "sure?\n really?")
    assert await said(house, run) == "Waiting for an answer: sure? really?"
    run = await house.ask(await house.a_running_run(), {"pick": [1, 2]})
    assert await said(house, run) == 'Waiting for an answer: {"pick":[1,2]}.'
    until = sentence(Facts(run=replace(run, expires_at=BEGINNING + 90_000 * SECOND), now=BEGINNING))
    assert until == 'Waiting for an answer until 2027-01-16 09:00:00 UTC: {"pick":[1,2]}.'
    await beat(house)
    answered = await house.do(run, Continue())
    assert await said(house, answered) == (
        "Succeeded: its question was answered in another run, which goes on from here."
    )


async def test_an_answered_run_says_so(house: House) -> None:
    await beat(house)
    run = await house.do(await house.ask(await house.a_running_run()), Answer(answer=Json(b"1")))
    assert (await said(house, run)).startswith("Queued again (it was answered at 08:00:00 UTC), and next")


async def test_a_failed_run_says_after_what(house: House) -> None:
    run = await house.a_running_run()
    house.clock.move(12.3)
    assert await said(house, await house.fail(run)) == "Failed after 12 s: it broke."
    expired = await house.submit(expires_in=1.0)
    house.clock.move(2)
    expired = await house.do(expired, Expire())
    assert (
        await said(house, expired) == "Failed before it started: The run was still queued at its expires_at."
    )
    run = await house.submit()
    for _ in range(3):
        run = await house.do(await house.claim(run), TryAgain(error=BROKE, delay=0.0))
    assert await said(house, run) == "Failed after 3 tries: it broke."


async def test_a_pruned_log_leaves_a_shorter_sentence(house: House) -> None:
    run = await house.do(await house.submit(), Cancel(by="ada"))
    assert await said(house, run) == "Cancelled at 08:00:00 UTC by ada, before it started."
    await house.store.runs.prune_logs(house.clock.now() + 1, 100)
    assert await said(house, run) == "Cancelled at 08:00:00 UTC, before it started."


def test_what_is_long_is_cut_and_what_is_far_is_counted_roughly() -> None:
    facts = Facts(run=QUEUED, now=BEGINNING, ahead=1_000)
    assert sentence(facts) == "Queued behind 1,000 runs or more."
    assert sentence(replace(facts, ahead=1)) == "Queued behind 1 run."
    long = replace(
        QUEUED, status=RunStatus.FAILED, finished_at=BEGINNING, reason="error", error=RunError("x", "y" * 999)
    )
    told = sentence(Facts(run=long, now=BEGINNING))
    assert told == f"Failed before it started: {'y' * LONGEST_QUOTE}…"
    ended = replace(QUEUED, status=RunStatus.SUCCEEDED, started_at=0, finished_at=SECOND, reason="max_steps")
    assert sentence(Facts(run=ended, now=BEGINNING)) == "Succeeded in 1 s, at its last step allowed."


def test_spans_and_clocks_are_short() -> None:
    assert [span(each) for each in (0, 0.42, 40, 119, 130, 7_300, 180_000)] == [
        "0 s", "0.4 s", "40 s", "119 s", "2 min", "2 h", "2 d",
    ]  # fmt: skip
    assert clock(BEGINNING, BEGINNING) == "08:00:00 UTC"
    assert clock(BEGINNING, BEGINNING + 86_400 * SECOND) == "2027-01-15 08:00:00 UTC"


async def test_another_owners_run_is_not_explained(house: House) -> None:
    run = await house.submit(owner="bob")
    await house.do(run, Claim(worker="hand"))
    with pytest.raises(RunNotFound):
        await why(house.core, "ada", run.id)
