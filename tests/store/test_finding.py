"""Finding runs by the words of their errors and across owners, and counting them by the minute."""

import msgspec
import pytest

from runwell.domain.commands import AskCancel, Cancel, Claim, Fail, Stop, TryAgain
from runwell.domain.errors import LogPruned
from runwell.domain.instant import MILLISECOND, SECOND, Instant
from runwell.domain.run import Run, RunError, RunStatus
from runwell.ports.stats import Standing, Tally
from runwell.ports.store import RunFilter, Store
from tests.support.postgres import a_postgres_store
from tests.support.runs import (
    AGENT,
    NOW,
    OWNER,
    a_queued_run,
    a_running_run,
    a_succeeded_run,
    a_waiting_run,
    add,
    an_id,
    do,
    say,
)

MINUTE = 60 * SECOND
CANCELLED = frozenset({RunStatus.CANCELLED})
FAILED = frozenset({RunStatus.FAILED})


async def a_failed_run(store: Store, said: str, at: Instant = NOW, **fields: str) -> Run:
    run = await a_running_run(store, at, **fields)
    return await do(store, run, Fail(reason="error", error=RunError("Boom", said)), at)


async def found(store: Store, text: str, owner: str | None = OWNER, **where: object) -> list[str]:
    wanted = msgspec.structs.replace(RunFilter(text=text), **where)
    page = await store.runs.page(owner, wanted, before=None, after=None, limit=10)
    return [run.id for run in page]


async def test_errors_are_found_by_words_in_any_case_and_a_last_beginning(store: Store) -> None:
    said = 'httpx.ReadTimeout: "Zeitüberschreitung" after 30s\nat worker-1, naïve_call'
    run, other = await a_failed_run(store, said), await a_failed_run(store, "another", NOW + SECOND)
    await a_succeeded_run(store)
    for text in (
        "readtimeout", "HTTPX", "httpx.Read", "30s after", "zeitüber", "Zeitüberschreitung", "worker 1",
        "at", "naïve", "call", "boom httpx",
    ):  # fmt: skip
        assert await found(store, text) == [run.id], text
    for text in ("read after", "timeout", "naive", "message", "nat", "", "'\" * : & ! -", "²", "x" * 5_000):
        assert await found(store, text) == [], text
    assert await found(store, "boom") == [other.id, run.id]


async def test_a_search_obeys_every_other_filter_and_is_walked_by_pages(store: Store) -> None:
    runs = [await a_failed_run(store, f"it broke {n}", NOW + n * MINUTE) for n in range(5)]
    theirs = await a_failed_run(store, "it broke", owner="bob", agent="b")
    ids = [run.id for run in reversed(runs)]
    assert await found(store, "broke") == ids
    assert await found(store, "broke", owner="bob") == [theirs.id]
    assert set(await found(store, "broke", owner=None)) == {*ids, theirs.id}
    assert await found(store, "broke", owner=None, agent="b") == [theirs.id]
    assert await found(store, "broke", agent="b") == []
    assert await found(store, "broke", statuses=FAILED) == ids
    assert await found(store, "broke", statuses=frozenset({RunStatus.QUEUED})) == []
    assert await found(store, "broke", since=NOW + MINUTE, until=NOW + 3 * MINUTE) == ids[2:4]
    walked, before = [], None
    while page := await store.runs.page(OWNER, RunFilter(text="broke"), before=before, after=None, limit=2):
        walked += [run.id for run in page]
        before = page[-1].id
        if len(walked) == 2:
            await store.runs.delete(before, OWNER)  # the cursor stays good
    assert walked == ids
    assert await found(store, "broke") == [id for id in ids if id != ids[1]]


@pytest.mark.postgres
async def test_what_is_not_among_the_newest_is_found_by_the_index(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runwell.store.postgres.searching.LOOKED_AT", 2)
    async with a_postgres_store(postgres) as store:
        runs = [await a_failed_run(store, f"it broke {n % 2}", NOW + n * SECOND) for n in range(6)]
        ids = [run.id for run in reversed(runs)]
        assert await found(store, "broke") == ids
        assert await found(store, "broke 0") == ids[1::2]
        assert await found(store, "broke 0", owner=None) == ids[1::2]
        broke = RunFilter(text="broke")
        page = await store.runs.page(OWNER, broke, before=None, after=None, limit=2, offset=1)
        assert [run.id for run in page] == ids[1:3]


async def test_what_is_forgotten_is_found_no_more(store: Store) -> None:
    await a_failed_run(store, "it broke")
    await store.runs.prune_logs(NOW + 1, 100)
    await store.runs.forget(NOW + 1, 100)
    assert await found(store, "broke") == []
    again = await a_failed_run(store, "it broke")
    assert await found(store, "broke") == [again.id]


@pytest.mark.parametrize(
    "said", ["\x00 nothing \ud83d".encode("utf-8", "replace").decode(), "x" * 3_000_000, ""]
)
async def test_a_run_ends_whatever_its_error_says(store: Store, said: str) -> None:
    run = await a_failed_run(store, said)
    assert (await store.runs.get(run.id)).status is RunStatus.FAILED


async def test_all_owners_runs_are_one_list(store: Store) -> None:
    runs = []
    for number in range(9):
        made = await a_queued_run(store, NOW + number, owner=f"o{number % 4}", agent=f"a{number % 2}")
        runs.append(await do(store, made, Cancel()) if number % 3 == 0 else made)
    newest = sorted((run.id for run in runs), reverse=True)

    async def listed(where: RunFilter, **cursor: object) -> list[str]:
        given = {"before": None, "after": None, "limit": 4, **cursor}
        return [run.id for run in await store.runs.page(None, where, **given)]  # type: ignore[arg-type]

    for where, fits in (
        (RunFilter(), lambda run: True),
        (RunFilter(statuses=frozenset({RunStatus.QUEUED})), lambda run: run.status is RunStatus.QUEUED),
        (RunFilter(agent="a1"), lambda run: run.agent == "a1"),
        (RunFilter(agent="a0", statuses=CANCELLED), lambda run: run.agent == "a0" and run.final),
    ):  # fmt: skip
        by_id = {run.id: run for run in runs}
        wanted = [id for id in newest if fits(by_id[id])]
        assert await listed(where) == wanted[:4]
        assert await listed(where, before=wanted[1]) == wanted[2:6]
        assert await listed(where, after=wanted[-1], limit=1) == wanted[-2:-1]
        assert await listed(where, offset=1, limit=2) == wanted[1:3]


async def test_runs_are_counted_by_the_minute_they_were_made_and_ended_in(store: Store) -> None:
    await a_succeeded_run(store, NOW)
    run = await a_running_run(store, NOW + MINUTE)
    await do(store, run, Fail(reason="error", error=RunError("x", "y")), NOW + 2 * MINUTE - 1)
    asked = await do(store, await a_running_run(store, NOW + MINUTE), AskCancel(), NOW + MINUTE)
    await do(store, asked, Stop(), NOW + 2 * MINUTE)
    await a_queued_run(store, NOW + 3 * MINUTE - MILLISECOND)
    await a_queued_run(store, NOW + 3 * MINUTE)  # after the end
    await a_succeeded_run(store, NOW, owner="bob")
    empty = Tally(NOW - MINUTE)
    assert await store.stats.tallies(OWNER, NOW - MINUTE, MINUTE, 4) == [
        empty,
        Tally(NOW, created=1, succeeded=1),
        Tally(NOW + MINUTE, created=2, failed=1),
        Tally(NOW + 2 * MINUTE, created=1, cancelled=1),
    ]
    everybodys = await store.stats.tallies(None, NOW, MINUTE, 2)
    assert everybodys == [Tally(NOW, created=2, succeeded=2), Tally(NOW + MINUTE, created=2, failed=1)]
    assert await store.stats.tallies("nobody", NOW, MINUTE, 1) == [Tally(NOW)]


async def test_what_stands_where_is_told_for_each_agent(store: Store) -> None:
    assert await store.stats.standings(OWNER) == await store.stats.standings(None) == []
    await a_queued_run(store, NOW + 5)
    await a_queued_run(store, NOW + 6)
    tried = await a_running_run(store, NOW)
    await do(store, tried, TryAgain(error=RunError("x", "y"), delay=1.0), NOW + 7)
    await a_running_run(store, NOW)
    await a_waiting_run(store, NOW, agent="other")
    await a_succeeded_run(store, NOW, agent="done")
    await a_queued_run(store, NOW + 1, owner="bob")
    own = [Standing(AGENT, 3, 1, 0, NOW + 5), Standing("other", 0, 0, 1, None)]
    assert await store.stats.standings(OWNER) == own
    assert await store.stats.standings(None) == [Standing(AGENT, 4, 1, 0, NOW + 1), own[1]]


async def test_the_newest_events_of_some_types_are_read_backwards(store: Store) -> None:
    run = await say(store, await a_running_run(store), "a")
    await a_running_run(store)
    types = frozenset({"run.created", "attempt.started"})
    assert [line.seq for line in await store.events.newest(run.id, types, 5)] == [2, 1]
    (line,) = await store.events.newest(run.id, types, 1)
    assert (line.type, line.at, line.event.attempt) == ("attempt.started", NOW, 1)
    assert await store.events.newest(run.id, frozenset({"run.failed"}), 5) == []
    assert await store.events.newest(an_id(), types, 5) == []
    ended = await a_succeeded_run(store)
    await store.runs.prune_logs(NOW + 1, 100)
    with pytest.raises(LogPruned):
        await store.events.newest(ended.id, types, 1)
    queued = (await add(store)).run
    await do(store, queued, Claim(worker="w"))
