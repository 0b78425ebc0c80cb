"""A change is written whole or not at all, numbered without gaps, and only by whoever may."""

import asyncio
from itertools import pairwise

import pytest

from runwell.domain.commands import (
    AskCancel,
    Cancel,
    Claim,
    Command,
    Expire,
    Fail,
    HandBack,
    Lapse,
    Pause,
    Record,
    Stop,
    Succeed,
    TryAgain,
)
from runwell.domain.errors import AttemptSuperseded, RunNotFinal, RunNotFound, StaleRun
from runwell.domain.events import (
    FINAL_TYPES,
    ProgressNoted,
    RunCancelled,
    RunSucceeded,
    TextDelta,
    UsageCounted,
)
from runwell.domain.lifecycle import decide
from runwell.domain.run import Progress, Question, Reason, RunStatus, Usage
from runwell.ports.store import Store
from tests.support.runs import (
    BROKE,
    NOW,
    OWNER,
    WHICH,
    WORKER,
    a_create,
    a_queued_run,
    a_resumed_run,
    a_running_run,
    a_succeeded_run,
    a_waiting_run,
    an_id,
    do,
    doc,
    log_of,
    record,
    say,
)


async def test_every_field_comes_back_as_it_was_committed(store: Store) -> None:
    run = await a_queued_run(
        store, source="letta", thread_id=an_id(), in_order=True, concurrency_key="gpu", priority=-7,
        timeout=1.5, max_attempts=9, not_before=NOW, expires_at=NOW + 99, retry_of=an_id(),
        continues=an_id(), metadata=doc({"a": ["ü", None]}), definition=doc({"model": "m"}),
    )  # fmt: skip
    assert await store.runs.get(run.id) == run
    run = await do(store, run, Claim(worker=WORKER), NOW + 1)
    assert await store.runs.get(run.id) == run
    run = await record(
        store, run, ProgressNoted(progress=Progress(12.5, "reading")),
        UsageCounted(usage=Usage(1, 2, cost=0.1)), TextDelta(text="hi"), at=NOW + 2,
    )  # fmt: skip
    assert await store.runs.get(run.id) == run
    asked = Question(key="k", question=doc({"q": 1}), schema=doc({"type": "string"}))
    run = await do(store, run, Pause(question=asked), NOW + 3)
    assert await store.runs.get(run.id) == run
    run = await do(store, await a_running_run(store), Fail(reason=Reason.ERROR, error=BROKE), NOW + 4)
    assert await store.runs.get(run.id) == run
    run = await a_succeeded_run(store, output={"big": "x" * 100_000})
    assert await store.runs.get(run.id) == run


@pytest.mark.parametrize("command", [HandBack(), Lapse(seen_at=NOW), TryAgain(error=BROKE, delay=5)])
async def test_a_requeued_run_comes_back_as_it_was_committed(store: Store, command) -> None:
    run = await do(store, await a_running_run(store), command, NOW + 7)
    assert run.status is RunStatus.QUEUED
    assert await store.runs.get(run.id) == run


async def test_a_foreign_run_is_as_unknown_as_none(store: Store) -> None:
    run = await a_queued_run(store)
    assert await store.runs.get(run.id, OWNER) == run
    with pytest.raises(RunNotFound):
        await store.runs.get(run.id, "eve")
    with pytest.raises(RunNotFound):
        await store.runs.get(an_id(), OWNER)


async def test_a_change_decided_on_an_old_version_is_refused(store: Store) -> None:
    run = await a_queued_run(store)
    claimed = await do(store, run, Claim(worker=WORKER))
    with pytest.raises(StaleRun):
        await do(store, run, Cancel())
    assert await store.runs.get(run.id) == claimed
    assert (await do(store, claimed, AskCancel())).version == claimed.version + 1


async def test_of_two_claims_one_wins(store: Store) -> None:
    run = await a_queued_run(store)
    results = await asyncio.gather(
        do(store, run, Claim(worker="a")), do(store, run, Claim(worker="b")), return_exceptions=True
    )
    assert [type(result) for result in results].count(StaleRun) == 1
    assert (await store.runs.get(run.id)).attempt == 1
    assert [event.type for event in await log_of(store, run)] == ["run.created", "attempt.started"]


async def test_a_superseded_attempt_writes_nothing(store: Store) -> None:
    first = await a_running_run(store)
    again = await do(store, await do(store, first, Lapse(seen_at=NOW)), Claim(worker="worker-2"))
    before = await log_of(store, first)
    for command in (Record(events=(TextDelta(text="late"),)), Succeed(output=doc(1)), HandBack()):
        with pytest.raises(AttemptSuperseded):
            await do(store, first, command)
    assert await log_of(store, first) == before
    assert (await say(store, again)).last_seq == again.last_seq + 1


async def test_an_ended_attempt_writes_nothing(store: Store) -> None:
    running = await a_running_run(store)
    await do(store, running, HandBack())
    with pytest.raises(AttemptSuperseded):
        await say(store, running)
    running = await a_running_run(store)
    final = await do(store, running, Succeed(output=doc(1)))
    with pytest.raises(AttemptSuperseded):
        await say(store, running)
    assert await store.runs.get(running.id) == final


async def test_a_change_of_an_unknown_run_is_refused(store: Store) -> None:
    run = decide(None, a_create(), NOW).run
    with pytest.raises(RunNotFound):
        await do(store, run, Cancel())


async def test_a_worker_that_did_not_see_the_cancel_still_writes_and_learns_of_it(store: Store) -> None:
    seen = await say(store, await a_running_run(store))
    asked = await do(store, seen, AskCancel(), NOW + 1)
    written = await say(store, seen, at=NOW + 2)
    assert written.cancel_requested_at == asked.cancel_requested_at == NOW + 1
    assert written.version == asked.version
    told = await record(store, seen, UsageCounted(usage=Usage(input_tokens=1)), at=NOW + 2)
    assert (told.version, told.cancel_requested_at) == (asked.version + 1, NOW + 1)
    assert await store.runs.get(seen.id) == told
    with pytest.raises(StaleRun):
        await do(store, seen, Succeed(output=doc("too late")), NOW + 3)
    ended = await do(store, told, Succeed(output=doc("too late")), NOW + 3)
    assert ended.status is RunStatus.CANCELLED
    assert isinstance((await log_of(store, ended))[-1], RunCancelled)


async def test_asking_twice_is_asking_once(store: Store) -> None:
    asked = await do(store, await a_running_run(store), AskCancel(), NOW + 1)
    assert await do(store, asked, AskCancel(), NOW + 2) == asked
    assert await store.runs.get(asked.id) == asked


async def test_text_does_not_change_the_version_and_all_else_does(store: Store) -> None:
    run = await say(store, await a_running_run(store))
    for _ in range(3):
        later = await say(store, run)
        assert (later.version, later.last_seq) == (run.version, run.last_seq + 1)
        assert await store.runs.get(run.id) == later
        run = later
    told = await record(store, run, ProgressNoted(progress=Progress(1.0)))
    assert told.version == run.version + 1


async def test_the_first_text_is_visible_since_it_tells_the_time_to_it(store: Store) -> None:
    run = await a_running_run(store)
    told = await say(store, run, at=NOW + 3)
    assert (told.version, told.first_output_at) == (run.version + 1, NOW + 3)


async def test_concurrent_commits_leave_no_gap_and_no_double(store: Store) -> None:
    runs = [await a_running_run(store) for _ in range(8)]

    async def talk(run, count: int) -> None:
        for number in range(count):
            run = await record(
                store, run, *(TextDelta(text=f"{number}.{part}") for part in range(number % 3 + 1))
            )

    await asyncio.gather(*(talk(run, 20) for run in runs for _ in range(2)))
    for run in runs:
        log = await store.events.read(run.id, 0, 1000)
        assert [line.seq for line in log] == list(range(1, len(log) + 1))
        assert len(log) == 2 + 2 * sum(number % 3 + 1 for number in range(20))
        assert (await store.runs.get(run.id)).last_seq == len(log)


async def test_two_ways_to_end_at_once_leave_one_end(store: Store) -> None:
    run = await a_running_run(store)
    ends: list[Command] = [
        Succeed(output=doc(1)),
        Fail(reason=Reason.ERROR, error=BROKE),
        Stop(),
        Lapse(seen_at=NOW),
        HandBack(),
    ]
    results = await asyncio.gather(*(do(store, run, end) for end in ends), return_exceptions=True)
    assert sum(isinstance(result, Exception) for result in results) == len(ends) - 1
    finals = [event for event in await log_of(store, run) if event.type in FINAL_TYPES]
    assert len(finals) == 1
    assert isinstance(finals[0], RunSucceeded)


async def test_a_log_is_read_in_pages_from_any_cursor(store: Store) -> None:
    run = await a_running_run(store)
    for number in range(5):
        run = await say(store, run, f"{number}", at=NOW + number)
    log = await store.events.read(run.id, 0, 100)
    assert [line.seq for line in log] == [1, 2, 3, 4, 5, 6, 7]
    assert [line.at for line in log][2:] == [NOW, NOW + 1, NOW + 2, NOW + 3, NOW + 4]
    assert await store.events.read(run.id, 2, 2) == log[2:4]
    assert await store.events.read(run.id, 7, 10) == []
    assert await store.events.read(run.id, 2**40, 10) == []
    assert await store.events.read(run.id, -5, 1) == log[:1]
    assert await store.events.read(an_id(), 0, 10) == []


async def test_logs_of_neighbours_do_not_mix(store: Store) -> None:
    first, second = await a_running_run(store), await a_running_run(store)
    await say(store, first, "one")
    await say(store, second, "two")
    assert [event.text for event in await log_of(store, first) if isinstance(event, TextDelta)] == ["one"]
    assert [event.text for event in await log_of(store, second) if isinstance(event, TextDelta)] == ["two"]


async def test_time_that_goes_backwards_is_kept_as_it_was(store: Store) -> None:
    run = await say(store, await a_running_run(store), at=NOW - 5_000_000)
    assert (await store.events.read(run.id, run.last_seq - 1, 1))[0].at == NOW - 5_000_000


async def test_only_a_final_run_of_ones_own_can_be_deleted(store: Store) -> None:
    for alive in (await a_queued_run(store), await a_running_run(store), await a_waiting_run(store)):
        with pytest.raises(RunNotFinal):
            await store.runs.delete(alive.id, OWNER)
    run = await a_succeeded_run(store)
    with pytest.raises(RunNotFound):
        await store.runs.delete(run.id, "eve")
    assert await log_of(store, run)
    await store.runs.delete(run.id, OWNER)
    assert await log_of(store, run) == []
    assert await store.steps.of(run.id) == []
    with pytest.raises(RunNotFound):
        await store.runs.get(run.id)
    with pytest.raises(RunNotFound):
        await store.runs.delete(run.id, OWNER)


async def test_a_run_made_after_a_deleted_one_has_a_log_of_its_own(store: Store) -> None:
    gone = await a_succeeded_run(store)
    await store.runs.delete(gone.id, OWNER)
    run = await say(store, await a_running_run(store))
    assert [line.seq for line in await store.events.read(run.id, 0, 10)] == [1, 2, 3]
    with pytest.raises(RunNotFound):
        await store.runs.get(gone.id)


async def test_deleting_waits_for_the_end_that_is_being_written(store: Store) -> None:
    run = await a_running_run(store)
    _, deleted = await asyncio.gather(
        do(store, run, Succeed(output=doc(1))), store.runs.delete(run.id, OWNER), return_exceptions=True
    )
    assert deleted is None
    assert await log_of(store, run) == []


async def test_held_runs_are_found_by_their_worker(store: Store) -> None:
    mine, other = await a_running_run(store, worker="a"), await a_running_run(store, worker="b")
    await a_queued_run(store)
    await a_waiting_run(store)
    assert await store.runs.held() == [mine, other]
    assert await store.runs.held(frozenset({"b", "c"})) == [other]
    assert await store.runs.held(frozenset()) == []


async def test_expired_runs_are_queued_or_waiting_ones_whose_time_has_come(store: Store) -> None:
    queued = await a_queued_run(store, expires_at=NOW + 10)
    waiting = await a_waiting_run(store, expires_at=NOW + 11)
    await a_running_run(store, expires_at=NOW + 5)
    resumed = await a_resumed_run(store, expires_at=NOW + 3)
    assert resumed.expires_at is None
    assert await store.runs.expired(NOW + 9, 10) == []
    assert await store.runs.expired(NOW + 10, 10) == [queued]
    assert await store.runs.expired(NOW + 11, 10) == [queued, waiting]
    assert await store.runs.expired(NOW + 11, 1) == [queued]
    await do(store, queued, Expire(), NOW + 10)
    assert await store.runs.expired(NOW + 11, 10) == [waiting]


async def test_a_waiting_run_keeps_its_question_until_it_is_answered(store: Store) -> None:
    waiting = await a_waiting_run(store)
    assert (await store.runs.get(waiting.id)).question == WHICH
    resumed = await a_resumed_run(store)
    assert (await store.runs.get(resumed.id)).question is None


async def test_every_run_is_listed_to_the_operator_in_the_order_of_ids(store: Store) -> None:
    runs = [await a_queued_run(store, NOW + 1000 * n, owner=f"owner-{n % 3}") for n in range(7)]
    assert await store.runs.every(None, 100) == runs
    pages, after = [], None
    while page := await store.runs.every(after, 3):
        pages += page
        after = page[-1].id
    assert pages == runs
    assert all(a.id < b.id for a, b in pairwise(pages))
