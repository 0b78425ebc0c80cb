"""Who may start now, in which order, and when to look again."""

import pytest

from runwell.domain.commands import Answer, Cancel, Claim, HandBack, Pause, Succeed, TryAgain
from runwell.ports.store import QueueDepth, Store
from tests.support.runs import (
    BROKE,
    NOW,
    WHICH,
    WORKER,
    a_queued_run,
    a_running_run,
    a_succeeded_run,
    a_waiting_run,
    an_id,
    do,
    doc,
    startable,
)


async def test_higher_priority_goes_first_then_who_was_queued_earlier(store: Store) -> None:
    late = await a_queued_run(store, NOW + 2)
    early = await a_queued_run(store, NOW + 1)
    urgent = await a_queued_run(store, NOW + 3, priority=5)
    never = await a_queued_run(store, NOW, priority=-5)
    order = [urgent, early, late, never]
    assert await startable(store, NOW + 9) == [run.id for run in order]
    assert await startable(store, NOW + 9, limit=2) == [urgent.id, early.id]
    assert [await store.runs.position(run) for run in order] == [0, 1, 2, 3]


async def test_within_one_microsecond_it_is_first_in_first_out(store: Store) -> None:
    runs = [await a_queued_run(store) for _ in range(20)]
    assert await startable(store) == [run.id for run in runs]


async def test_a_run_that_was_handed_back_queues_again_at_the_end(store: Store) -> None:
    run = await a_running_run(store, NOW)
    other = await a_queued_run(store, NOW + 1)
    run = await do(store, run, HandBack(), NOW + 2)
    assert await startable(store, NOW + 2) == [other.id, run.id]


@pytest.mark.parametrize("fields", [{}, {"concurrency_key": "gpu"}, {"priority": 3}])
async def test_not_before_is_kept_to_the_microsecond(store: Store, fields) -> None:
    run = await a_queued_run(store, not_before=NOW + 10, **fields)
    assert await startable(store, NOW + 9) == []
    assert await store.runs.next_due(NOW + 9) == NOW + 10
    assert await startable(store, NOW + 10) == [run.id]
    assert await store.runs.next_due(NOW + 10) is None


async def test_a_run_whose_time_has_come_stands_where_its_priority_says(store: Store) -> None:
    plain = await a_queued_run(store, NOW)
    due = await a_queued_run(store, NOW + 1, not_before=NOW + 5, priority=1)
    assert await startable(store, NOW + 4) == [plain.id]
    assert await startable(store, NOW + 5) == [due.id, plain.id]


async def test_a_retry_waits_for_its_delay(store: Store) -> None:
    run = await do(store, await a_running_run(store), TryAgain(error=BROKE, delay=1.0), NOW)
    assert await startable(store, NOW + 999_999) == []
    assert await startable(store, NOW + 1_000_000) == [run.id]


async def test_only_queued_runs_start(store: Store) -> None:
    await a_running_run(store)
    await a_waiting_run(store)
    await a_succeeded_run(store)
    await do(store, await a_queued_run(store), Cancel())
    assert await startable(store) == []
    resumed = await do(store, await a_waiting_run(store), Answer(answer=doc(1)))
    assert await startable(store) == [resumed.id]


@pytest.mark.parametrize("fields", [{}, {"concurrency_key": "k"}, {"not_before": NOW}])
async def test_only_runs_of_served_agents_or_with_a_definition_start(store: Store, fields) -> None:
    await a_queued_run(store, agent="elsewhere", **fields)
    defined = await a_queued_run(store, agent="made", definition=doc({"model": "m"}), owner="o", **fields)
    here = await a_queued_run(store, agent="here", owner="p", **fields)
    assert await startable(store, agents=("here", "idle")) == [defined.id, here.id]
    assert await startable(store, agents=()) == [defined.id]


async def test_what_is_being_tried_is_left_out(store: Store) -> None:
    first, second = await a_queued_run(store), await a_queued_run(store)
    assert await startable(store, exclude=(first.id, an_id())) == [second.id]


async def test_runs_of_one_thread_start_one_after_the_other(store: Store) -> None:
    thread = an_id()
    runs = [await a_queued_run(store, thread_id=thread, in_order=True) for _ in range(3)]
    other = await a_queued_run(store, thread_id=an_id(), in_order=True)
    assert await startable(store) == [runs[0].id, other.id]
    running = await do(store, runs[0], Claim(worker=WORKER))
    assert await startable(store) == [other.id]
    waiting = await do(store, running, Pause(question=WHICH))
    assert await startable(store) == [other.id], "a waiting run keeps its place in the thread"
    resumed = await do(store, waiting, Answer(answer=doc(1)), NOW + 5)
    assert await startable(store, NOW + 5) == [other.id, resumed.id]
    await do(store, resumed, Cancel(), NOW + 6)
    assert await startable(store, NOW + 6) == [runs[1].id, other.id]


async def test_a_run_in_the_middle_of_a_thread_may_end_without_letting_anybody_past(store: Store) -> None:
    thread = an_id()
    runs = [await a_queued_run(store, thread_id=thread, in_order=True) for _ in range(4)]
    await do(store, runs[1], Cancel())
    assert await startable(store) == [runs[0].id]
    await do(store, runs[0], Cancel())
    assert await startable(store) == [runs[2].id]
    assert await startable(store, exclude=(runs[2].id,)) == []


async def test_priority_does_not_overtake_in_a_thread(store: Store) -> None:
    thread = an_id()
    first = await a_queued_run(store, thread_id=thread, in_order=True)
    await a_queued_run(store, thread_id=thread, in_order=True, priority=9)
    assert await startable(store) == [first.id]


async def test_a_delayed_run_holds_up_its_thread(store: Store) -> None:
    thread = an_id()
    first = await a_queued_run(store, thread_id=thread, in_order=True, not_before=NOW + 10)
    second = await a_queued_run(store, thread_id=thread, in_order=True)
    assert await startable(store, NOW + 9) == []
    assert await startable(store, NOW + 10) == [first.id]
    await do(store, first, Cancel(), NOW + 10)
    assert await startable(store, NOW + 10) == [second.id]


async def test_one_run_per_concurrency_key_and_owner(store: Store) -> None:
    first = await a_queued_run(store, concurrency_key="gpu")
    second = await a_queued_run(store, NOW + 1, concurrency_key="gpu")
    foreign = await a_queued_run(store, NOW + 2, concurrency_key="gpu", owner="eve")
    free = await a_queued_run(store, NOW + 3)
    assert await startable(store, NOW + 9) == [first.id, foreign.id, free.id]
    running = await do(store, first, Claim(worker=WORKER))
    assert await startable(store, NOW + 9) == [foreign.id, free.id]
    waiting = await do(store, running, Pause(question=WHICH))
    assert await startable(store, NOW + 9) == [second.id, foreign.id, free.id], "waiting holds no key"
    second = await do(store, second, Claim(worker=WORKER))
    resumed = await do(store, waiting, Answer(answer=doc(1)))
    assert await startable(store, NOW + 9) == [foreign.id, free.id]
    await do(store, second, Succeed(output=doc(1)))
    assert await startable(store, NOW + 9) == [resumed.id, foreign.id, free.id]


async def test_a_run_that_is_being_tried_holds_its_key(store: Store) -> None:
    tried = await a_queued_run(store, concurrency_key="gpu", agent="full")
    await a_queued_run(store, concurrency_key="gpu")
    assert await startable(store, exclude=(tried.id,)) == []
    await do(store, tried, Claim(worker=WORKER))
    assert await startable(store, exclude=(tried.id,)) == []


async def test_many_runs_of_a_held_key_hide_nobody(store: Store) -> None:
    await a_running_run(store, concurrency_key="held")
    for _ in range(600):
        await a_queued_run(store, concurrency_key="held", priority=9)
    wanted = []
    for owner in ("ada", "bob"):
        for key in ("x", "y"):
            first = await a_queued_run(store, NOW + 1, concurrency_key=key, owner=owner)
            await a_queued_run(store, NOW + 2, concurrency_key=key, owner=owner)
            wanted.append(first.id)
    assert await startable(store, NOW + 9) == wanted
    assert await startable(store, NOW + 9, limit=3) == wanted[:3]


async def test_a_key_and_a_thread_both_have_a_say(store: Store) -> None:
    thread = an_id()
    first = await a_queued_run(store, thread_id=thread, in_order=True, concurrency_key="k")
    second = await a_queued_run(store, thread_id=thread, in_order=True, concurrency_key="k", priority=9)
    assert await startable(store) == [first.id]
    running = await do(store, first, Claim(worker=WORKER))
    assert await startable(store) == []
    await do(store, running, Succeed(output=doc(1)))
    assert await startable(store) == [second.id]


async def test_the_position_is_counted_up_to_a_thousand(store: Store) -> None:
    last = await a_queued_run(store, NOW + 10, priority=-1)
    assert await store.runs.position(last) == 0
    for number in range(1_002):
        await a_queued_run(store, NOW, priority=number % 2)
        if number in (0, 998, 999):
            assert await store.runs.position(last) == number + 1
    assert await store.runs.position(last) == 1_000
    claimed = await do(store, last, Claim(worker=WORKER), NOW + 11)
    assert await store.runs.position(claimed) is None
    assert await store.runs.position(last) is None, "the run is looked at as it is now"


async def test_the_next_thing_due_is_the_earliest_of_both_kinds(store: Store) -> None:
    assert await store.runs.next_due(NOW) is None
    await a_queued_run(store, expires_at=NOW + 50)
    assert await store.runs.next_due(NOW) == NOW + 50
    waiting = await a_waiting_run(store, expires_at=NOW + 40)
    delayed = await a_queued_run(store, not_before=NOW + 30, expires_at=NOW + 90)
    await a_running_run(store, expires_at=NOW + 10)
    assert await store.runs.next_due(NOW) == NOW + 30
    assert await store.runs.next_due(NOW + 30) == NOW + 40
    await do(store, delayed, Cancel())
    await do(store, waiting, Cancel())
    assert await store.runs.next_due(NOW) == NOW + 50


async def test_depths_count_queued_and_running_runs_per_agent(store: Store) -> None:
    assert await store.runs.depths() == []
    await a_queued_run(store, NOW + 2, agent="a")
    await a_queued_run(store, NOW + 1, agent="a")
    await a_running_run(store, agent="a")
    await a_running_run(store, agent="b")
    await a_succeeded_run(store, agent="c")
    assert await store.runs.depths() == [QueueDepth("a", 2, 1, NOW + 1), QueueDepth("b", 0, 1, None)]
    oldest = [await store.stats.oldest_queued(agent) for agent in ("a", "b", "c", "none")]
    assert oldest == [NOW + 1, None, None, None]


@pytest.mark.parametrize("fields", [{}, {"concurrency_key": "k"}, {"not_before": NOW + 1}])
async def test_an_agent_without_a_place_is_passed_over(store: Store, fields) -> None:
    made = doc({"model": "m"})
    defined = await a_queued_run(store, NOW, agent="writer", definition=made, **fields)
    await a_queued_run(store, NOW + 1, agent="echo", **fields)
    later = NOW + 9
    full = frozenset({"writer", "echo"})
    nobody: frozenset[str] = frozenset()
    assert await store.runs.claimable(later, agents=nobody, full=full, limit=9, exclude=nobody) == []
    full = frozenset({"echo"})
    found = await store.runs.claimable(later, agents=nobody, full=full, limit=9, exclude=nobody)
    assert found == [defined.id]


@pytest.mark.parametrize(
    "fields",
    [{}, {"concurrency_key": "k"}, {"not_before": NOW + 1}, {"definition": doc({"model": "m"})}],
)
async def test_what_has_expired_is_not_offered(store: Store, fields) -> None:
    run = await a_queued_run(store, expires_at=NOW + 5, **fields)
    assert await startable(store, NOW + 4) == [run.id]
    assert await startable(store, NOW + 5) == []


async def test_expired_runs_with_a_key_hide_nobody(store: Store) -> None:
    for number in range(520):
        await a_queued_run(store, concurrency_key=f"k{number % 20}", expires_at=NOW + 5, priority=1)
    run = await a_queued_run(store, concurrency_key="k3")
    assert await startable(store, NOW + 5) == [run.id]


async def test_queued_runs_are_counted_per_owner_and_in_all_to_a_bound(store: Store) -> None:
    assert await store.runs.queued(None, 10) == 0
    for fields in ({}, {"not_before": NOW + 10}, {"concurrency_key": "k"}, {"agent": "other"}):
        await a_queued_run(store, owner="ann", **fields)
    await a_queued_run(store, owner="bob")
    await a_running_run(store, owner="ann")
    await a_waiting_run(store, owner="ann")
    await a_succeeded_run(store, owner="ann")
    owners = (None, "ann", "bob", "cleo")
    assert [await store.runs.queued(owner, 10) for owner in owners] == [5, 4, 1, 0]
    assert [await store.runs.queued(owner, 3) for owner in owners] == [3, 3, 1, 0]
    assert await store.runs.queued(None, 0) == 0
