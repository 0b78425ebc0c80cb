"""Which runs changed is told to those whose they are, together, and looked up once for all."""

import asyncio
from collections.abc import Collection
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest

from runwell.domain.errors import StoreUnavailable
from runwell.ports.signals import SignalKind
from runwell.stream import changes as stream
from runwell.stream.changes import MOST, Changed, Changes
from tests.support.house import House

LONG = 20.0


class Looks:
    """The store's runs, of which it is noted what was looked up."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.of: list[list[str]] = []
        self.broken: Exception | None = None
        look = house.store.runs.owners

        async def owners(run_ids: Collection[str]) -> dict[str, str]:
            self.of.append(sorted(run_ids))
            if self.broken is not None:
                raise self.broken
            return await look(run_ids)

        monkeypatch.setattr(house.store.runs, "owners", owners)


@pytest.fixture
def changes(house: House, monkeypatch: pytest.MonkeyPatch) -> Changes:
    monkeypatch.setattr(stream, "REST", 0.01)
    return Changes(house.store, house.signals)


@pytest.fixture
def looks(house: House, monkeypatch: pytest.MonkeyPatch) -> Looks:
    return Looks(house, monkeypatch)


async def listening(stack: AsyncExitStack, changes: Changes, owner: str | None) -> Any:
    reader = await stack.enter_async_context(aclosing(changes.of(owner)))
    assert await anext(reader) == Changed((), False), "listening has begun"
    return reader


async def told(reader: Any) -> Changed:
    while (changed := await asyncio.wait_for(anext(reader), LONG)) is None:
        continue
    assert isinstance(changed, Changed)
    return changed


async def test_everybody_is_told_of_their_own_runs_and_all_is_looked_up_once(
    house: House, changes: Changes, looks: Looks
):
    async with AsyncExitStack() as stack:
        ann, other, bob, boss = [await listening(stack, changes, who) for who in ("ann", "ann", "bob", None)]
        run = await house.submit(owner="ann")
        assert [await told(reader) for reader in (ann, other, boss)] == [Changed((run.id,), False)] * 3
        assert looks.of == [[run.id]]
        await house.claim(run)
        assert await told(ann) == Changed((run.id,), False)
        assert looks.of == [[run.id]], "whose a run is never changes"
        theirs = await house.submit(owner="bob")
        assert await told(bob) == Changed((theirs.id,), False)


async def test_two_tellings_are_a_rest_apart(house: House, monkeypatch):
    monkeypatch.setattr(stream, "REST", 0.2)
    clock = asyncio.get_running_loop().time
    async with AsyncExitStack() as stack:
        reader = await listening(stack, Changes(house.store, house.signals), "ann")
        run = await house.submit(owner="ann")
        await told(reader)
        first = clock()
        await house.claim(run)
        await told(reader)
        # Half of it: when the first was told is not when it was heard.
        assert clock() - first > 0.1


async def test_what_comes_while_nobody_takes_it_is_told_together_and_has_an_end(
    house: House, changes: Changes
):
    async with AsyncExitStack() as stack:
        slow, quick = [await listening(stack, changes, "ann") for _ in range(2)]
        runs = [await house.submit(owner="ann") for _ in range(MOST + 1)]
        seen: set[str] = set()
        while len(seen) <= MOST:
            changed = await told(quick)
            assert len(changed.run_ids) <= MOST
            seen |= set(changed.run_ids)
            if changed.more:
                break
        late = await told(slow)
        assert len(late.run_ids) == MOST
        assert late.more
        assert set(late.run_ids) <= {run.id for run in runs}


async def test_owners_that_were_forgotten_are_looked_up_again(
    house: House, changes: Changes, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stream, "KEPT", 0)
    known, new = [await house.submit(owner="ann") for _ in range(2)]
    async with AsyncExitStack() as stack:
        ann = await listening(stack, changes, "ann")
        await changes._tell([known.id])
        assert await told(ann) == Changed((known.id,), False)
        await changes._tell([known.id, new.id])
        assert await told(ann) == Changed((known.id, new.id), False)


@pytest.mark.parametrize("error", [StoreUnavailable("it is away"), RuntimeError("unforeseen")], ids=type)
async def test_whatever_goes_wrong_readers_are_told_to_look_and_told_again(
    house: House, changes: Changes, looks: Looks, error: Exception, caplog: pytest.LogCaptureFixture
):
    async with AsyncExitStack() as stack:
        ann, bob = [await listening(stack, changes, who) for who in ("ann", "bob")]
        looks.broken = error
        run = await house.submit(owner="ann")
        assert [await told(ann), await told(bob)] == [Changed((), True)] * 2
        looks.broken = None
        await house.claim(run)
        assert await told(ann) == Changed((run.id,), False)
    assert ("unforeseen" in caplog.text) is isinstance(error, RuntimeError)


async def test_more_signals_than_are_kept_are_told_as_more(
    house: House, changes: Changes, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stream, "KEPT", 3)
    async with AsyncExitStack() as stack:
        ann = await listening(stack, changes, "ann")
        for number in range(9):
            house.signals.publish(SignalKind.CHANGED, f"{number:032x}")
        assert await told(ann) == Changed((), True)


async def test_it_listens_only_while_somebody_reads(house: House, changes: Changes, looks: Looks):
    await house.submit(owner="ann")
    async with AsyncExitStack() as stack:
        await listening(stack, changes, "ann")
        assert len(house.signals._listeners) == 1
    assert len(house.signals._listeners) == 0
    await house.submit(owner="ann")
    assert looks.of == []
    async with AsyncExitStack() as stack:
        again = await listening(stack, changes, "ann")
        run = await house.submit(owner="ann")
        assert await told(again) == Changed((run.id,), False), "what came before is not told"


async def test_a_quiet_reader_is_given_its_turn(
    house: House, changes: Changes, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stream, "LOOKS", (0.01,))
    async with AsyncExitStack() as stack:
        ann = await listening(stack, changes, "ann")
        assert await asyncio.wait_for(anext(ann), LONG) is None
