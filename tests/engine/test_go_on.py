"""Answering a waiting run in a new run."""

import asyncio
from pathlib import Path

import pytest

from runwell import Context, agent
from runwell.domain.errors import QuestionChanged, RunNotWaiting
from runwell.domain.ids import new_id
from runwell.domain.json_gate import decode
from runwell.domain.run import RunStatus
from runwell.engine import control, read
from runwell.ports.store import RunFilter
from tests.support.machines import OWNER, a_machine, finish, start, types, waiting


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


async def test_the_old_run_ends_and_the_new_one_repeats_no_step(path: Path) -> None:
    bought: list[str] = []
    seen: list[list[str]] = []

    @agent
    async def shop(ctx: Context, what: str) -> str:
        seen.append([decode(message.content) for message in ctx.messages])
        await ctx.step("look", bought.append, what)
        first = await ctx.ask("which?")
        second = await ctx.ask("sure?")
        return f"{what} {first} {second}"

    async with a_machine(path, shop) as machine:
        thread = new_id(machine.clock.now())
        asked = await waiting(machine, (await start(machine, "shop", "tea", thread_id=thread)).id)
        assert asked.question is not None
        with pytest.raises(QuestionChanged):
            await control.go_on(machine.core, OWNER, asked.id, "green", key="another")
        added = await control.go_on(machine.core, OWNER, asked.id, "green", key=asked.question.key, label="l")
        old = await machine.store.runs.get(asked.id)
        assert (old.status, old.reason) == (RunStatus.SUCCEEDED, "continued")
        assert (added.run.continues, added.run.thread_id, added.run.label) == (asked.id, thread, "l")
        with pytest.raises(RunNotWaiting):
            await control.go_on(machine.core, OWNER, asked.id, "black")
        again = await waiting(machine, added.run.id)
        last = await control.go_on(machine.core, OWNER, again.id, "yes")
        done = await finish(machine, last.run.id)
        assert decode(done.output or b"") == "tea green yes"
        assert bought == ["tea"]
        assert seen == [["tea"]] * 3
        assert (await types(machine, old.id))[-1] == "run.succeeded"
        messages = await machine.store.threads.messages(thread, limit=9)
        assert [decode(message.content) for message in messages] == ["tea", "tea green yes"]


async def test_of_two_answers_at_once_one_makes_a_run_and_the_other_is_told(path: Path) -> None:
    @agent
    async def ask(ctx: Context, what: str) -> str:
        return str(await ctx.ask(what))

    async with a_machine(path, ask) as machine:
        asked = await waiting(machine, (await start(machine, "ask")).id)
        outcomes = await asyncio.gather(
            *(control.go_on(machine.core, OWNER, asked.id, word) for word in ("one", "two", "six")),
            return_exceptions=True,
        )
        refused = [each for each in outcomes if isinstance(each, RunNotWaiting)]
        assert len(refused) == 2, outcomes
        assert len(await read.page(machine.core, OWNER, RunFilter(), limit=9)) == 2


async def test_a_cancelled_run_is_not_continued(path: Path) -> None:
    @agent
    async def ask(ctx: Context, what: str) -> str:
        return str(await ctx.ask(what))

    async with a_machine(path, ask) as machine:
        asked = await waiting(machine, (await start(machine, "ask")).id)
        await control.cancel(machine.core, OWNER, asked.id)
        with pytest.raises(RunNotWaiting):
            await control.go_on(machine.core, OWNER, asked.id, "x")
        assert len(await read.page(machine.core, OWNER, RunFilter(), limit=9)) == 1
