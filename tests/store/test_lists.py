"""Lists of runs: newest first, every filter, stable while runs are added."""

import pytest

from runwell.domain.callback import Callback
from runwell.domain.commands import Cancel
from runwell.domain.preview import preview_of
from runwell.domain.run import Run, RunStatus
from runwell.ports.store import RunFilter, Store
from tests.support.runs import (
    NOW,
    OWNER,
    a_queued_run,
    a_running_run,
    a_succeeded_run,
    a_waiting_run,
    an_id,
    do,
    doc,
)

ALL = RunFilter()
STEP = 1_000_000


async def some_runs(store: Store, count: int) -> list[Run]:
    """Newest first."""
    return [await a_queued_run(store, NOW + number * STEP) for number in range(count)][::-1]


async def listed(store: Store, where: RunFilter = ALL, owner: str = OWNER) -> list[Run]:
    return await store.runs.page(owner, where, before=None, after=None, limit=100)


async def test_a_list_is_walked_to_older_runs_while_new_ones_come(store: Store) -> None:
    runs = await some_runs(store, 7)
    seen, before = [], None
    while page := await store.runs.page(OWNER, ALL, before=before, after=None, limit=3):
        seen += page
        before = page[-1].id
        await a_queued_run(store, NOW + 100 * STEP)
    assert seen == runs


async def test_a_list_is_walked_to_newer_runs_while_new_ones_come(store: Store) -> None:
    runs = await some_runs(store, 5)
    page = await store.runs.page(OWNER, ALL, before=None, after=runs[-1].id, limit=2)
    assert page == [runs[2], runs[3]], "the next newer ones, newest of them first"
    newest = await a_queued_run(store, NOW + 100 * STEP)
    page = await store.runs.page(OWNER, ALL, before=None, after=page[0].id, limit=2)
    assert page == [runs[0], runs[1]]
    assert await store.runs.page(OWNER, ALL, before=None, after=page[0].id, limit=2) == [newest]
    assert await store.runs.page(OWNER, ALL, before=None, after=newest.id, limit=2) == []


async def test_a_list_between_two_runs(store: Store) -> None:
    runs = await some_runs(store, 5)
    assert await store.runs.page(OWNER, ALL, before=runs[0].id, after=runs[4].id, limit=9) == runs[1:4]


async def test_nobody_sees_anothers_runs(store: Store) -> None:
    mine, foreign = await a_queued_run(store), await a_queued_run(store, owner="eve")
    assert await listed(store) == [mine]
    assert await listed(store, owner="eve") == [foreign]
    assert await listed(store, RunFilter(agent=mine.agent), owner="nobody") == []


async def test_every_status_is_in_the_list_and_can_be_asked_for(store: Store) -> None:
    runs = [
        await a_queued_run(store, NOW + 1 * STEP),
        await a_running_run(store, NOW + 2 * STEP),
        await a_waiting_run(store, NOW + 3 * STEP),
        await a_succeeded_run(store, NOW + 4 * STEP),
        await do(store, await a_queued_run(store, NOW + 5 * STEP), Cancel(), NOW + 5 * STEP),
    ]
    assert await listed(store) == runs[::-1]
    for run in runs:
        assert await listed(store, RunFilter(statuses=frozenset({run.status}))) == [run]
    live = frozenset({RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING})
    assert await listed(store, RunFilter(statuses=live)) == runs[2::-1]
    assert await listed(store, RunFilter(statuses=frozenset({RunStatus.FAILED}))) == []


async def test_agent_thread_and_source_narrow_a_list(store: Store) -> None:
    thread = an_id()
    first = await a_queued_run(store, NOW, agent="a", thread_id=thread, source="letta")
    second = await a_succeeded_run(store, NOW + STEP, agent="a", thread_id=thread)
    third = await a_queued_run(store, NOW + 2 * STEP, agent="b", source="letta")
    assert await listed(store, RunFilter(agent="a")) == [second, first]
    assert await listed(store, RunFilter(thread_id=thread)) == [second, first]
    assert await listed(store, RunFilter(source="letta")) == [third, first]
    queued = frozenset({RunStatus.QUEUED})
    assert await listed(store, RunFilter(agent="a", statuses=queued)) == [first]
    assert await listed(store, RunFilter(thread_id=thread, statuses=queued)) == [first]
    assert await listed(store, RunFilter(thread_id=thread, agent="b")) == []
    assert await listed(store, RunFilter(agent="a", source="native")) == [second]
    assert await listed(store, RunFilter(thread_id=thread), owner="eve") == []


@pytest.mark.parametrize("where", [{}, {"agent": "echo"}, {"statuses": frozenset({RunStatus.QUEUED})}])
async def test_since_is_inclusive_and_until_is_not(store: Store, where) -> None:
    runs = await some_runs(store, 4)
    since, until = runs[2].created_at, runs[1].created_at
    assert await listed(store, RunFilter(since=since, **where)) == runs[:3]
    assert await listed(store, RunFilter(since=since + 1, **where)) == runs[:2]
    assert await listed(store, RunFilter(until=until, **where)) == runs[2:]
    assert await listed(store, RunFilter(until=until + 1, **where)) == runs[1:]
    assert await listed(store, RunFilter(since=since, until=until, **where)) == [runs[2]]


@pytest.mark.parametrize(
    "where", [{"agent": "a"}, {"statuses": frozenset(RunStatus)}, {"thread_id": "0" * 32}]
)
async def test_a_filtered_list_is_walked_both_ways(store: Store, where) -> None:
    fields = {"agent": "a", "thread_id": "0" * 32}
    runs = [await a_queued_run(store, NOW + n * STEP, **fields) for n in range(0, 10, 2)][::-1]
    runs[1] = await do(store, runs[1], Cancel())
    await a_queued_run(store, NOW + STEP, owner="eve", agent="a")
    filtered = RunFilter(**where)
    older = await store.runs.page(OWNER, filtered, before=runs[1].id, after=None, limit=2)
    assert older == runs[2:4]
    newer = await store.runs.page(OWNER, filtered, before=None, after=older[-1].id, limit=3)
    assert newer == runs[:3]


async def test_page_numbers_and_totals(store: Store) -> None:
    runs = await some_runs(store, 7)
    ended = await do(store, runs[3], Cancel())
    await a_queued_run(store, owner="eve")
    page = await store.runs.page(OWNER, ALL, before=None, after=None, limit=3, offset=3)
    assert [run.id for run in page] == [run.id for run in runs[3:6]]
    assert await store.runs.page(OWNER, ALL, before=None, after=None, limit=3, offset=7) == []
    assert await store.runs.count(OWNER, ALL) == 7
    assert await store.runs.count(OWNER, RunFilter(statuses=frozenset({RunStatus.QUEUED}))) == 6
    assert await listed(store, RunFilter(reasons=frozenset({"requested"}))) == [ended]
    assert await store.runs.count(OWNER, RunFilter(reasons=frozenset({None}))) == 6
    assert await store.runs.count(OWNER, RunFilter(reasons=frozenset({None, "requested"}))) == 7


async def test_runs_are_listed_by_their_dialects_label(store: Store) -> None:
    thread = an_id()
    labelled = [await a_queued_run(store, NOW + n * STEP, label="s:1", thread_id=thread) for n in range(3)]
    other = await a_queued_run(store, NOW + 9 * STEP, label="s:2")
    await a_queued_run(store, NOW, label="s:1", owner="eve")
    await a_queued_run(store, NOW + 4 * STEP)
    assert await listed(store, RunFilter(label="s:1")) == labelled[::-1]
    assert await store.runs.count(OWNER, RunFilter(label="s:1")) == 3
    assert await listed(store, RunFilter(label="s:2")) == [other]
    assert await listed(store, RunFilter(label="s:1", thread_id=thread)) == labelled[::-1]
    assert await listed(store, RunFilter(label="s:1", agent="another")) == []
    assert await listed(store, RunFilter(label="s:2", thread_id=thread)) == []


async def test_what_a_dialect_keeps_on_a_run_comes_back(store: Store) -> None:
    callbacks = (Callback(url="https://a.test/x", events=("run.waiting",), format="odd"),)
    made = await a_queued_run(store, label="l", extra=doc({"a": 1}), callbacks=callbacks)
    found = (await listed(store))[0]
    assert (found.label, found.extra, found.callbacks) == ("l", doc({"a": 1}), callbacks)
    assert found == made
    plain = await a_queued_run(store, NOW + STEP)
    assert (plain.label, plain.extra, plain.callbacks) == (None, doc({}), ())


async def test_a_brief_list_reads_of_long_outputs_only_what_is_shown(store: Store) -> None:
    long = await a_succeeded_run(store, output="word " * 100_000)
    short = await a_succeeded_run(store, NOW + STEP, output={"a": [1]})
    none = await a_queued_run(store, NOW + 2 * STEP)
    for owner, where in (
        (OWNER, ALL),
        (OWNER, RunFilter(agent=long.agent)),
        (None, ALL),
        (None, RunFilter(statuses=frozenset({RunStatus.SUCCEEDED, RunStatus.QUEUED}))),
    ):
        runs = await store.runs.page(owner, where, before=None, after=None, limit=9, brief=True)
        assert [run.id for run in runs] == [none.id, short.id, long.id]
        assert [run.output and bytes(run.output) for run in runs] == [None, b'{"a":[1]}', mine(runs[2])]
        assert preview_of(runs[2].output or doc("")) == ("word " * 100_000)[:200]
    assert (await store.runs.get(long.id)).output == long.output, "nothing of this is remembered"


def mine(run: Run) -> bytes:
    assert run.output is not None
    assert len(bytes(run.output)) < 2_000
    return bytes(run.output)


async def test_whose_runs_are_is_told_of_those_that_are_there(store: Store) -> None:
    own, theirs = await a_queued_run(store), await a_queued_run(store, owner="bob")
    assert await store.runs.owners([own.id, theirs.id, an_id()]) == {own.id: OWNER, theirs.id: "bob"}
    assert await store.runs.owners([]) == {}
