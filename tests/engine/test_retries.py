"""What a retry inherits, and what its agent sees."""

from pathlib import Path

import apsw
import pytest

from runwell import Context, agent
from runwell.domain.errors import RunNotFound
from runwell.domain.ids import new_id
from runwell.domain.json_gate import decode
from runwell.domain.run import RunStatus
from runwell.domain.thread import IfBusy
from runwell.engine import control
from runwell.store.sqlite.kept import LARGEST_KEPT
from tests.support.machines import OWNER, a_machine, finish, run_to_end


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


async def test_text_streamed_in_an_inherited_step_stays_in_the_output(path: Path) -> None:
    failures = [ValueError("once"), ValueError("twice")]

    @agent
    async def draft(ctx: Context, question: str) -> None:
        async def write() -> None:
            for word in ("the ", "whole ", "draft "):
                await ctx.text(word)

        await ctx.step("draft", write)
        await ctx.text("END")
        if failures:
            raise failures.pop()

    async with a_machine(path, draft) as machine:
        run = await run_to_end(machine, "draft")
        for _ in range(2):
            assert run.status is RunStatus.FAILED
            run = await finish(machine, (await control.retry(machine.core, OWNER, run.id)).run.id)
        assert decode(run.output or b"") == "the whole draft END"


async def test_a_retry_in_a_thread_sees_what_the_original_saw(path: Path) -> None:
    seen: list[list[str]] = []

    @agent
    async def chat(ctx: Context, question: str) -> str:
        seen.append([decode(message.content) for message in ctx.messages])
        return f"re: {question}"

    async with a_machine(path, chat) as machine:
        thread = new_id(machine.clock.now())
        runs = [await run_to_end(machine, "chat", word, thread_id=thread) for word in ("one", "two", "six")]
        again = runs[1]
        for _ in range(2):
            again = await finish(machine, (await control.retry(machine.core, OWNER, again.id)).run.id)
    assert seen[1] == ["one", "re: one", "two"]
    assert seen[3:] == [seen[1]] * 2


@pytest.mark.parametrize("if_busy", list(IfBusy))
async def test_a_retry_waits_its_turn_if_the_original_did(path: Path, if_busy: IfBusy) -> None:
    async with a_machine(path, quick) as machine:
        thread = new_id(machine.clock.now())
        run = await run_to_end(machine, "quick", thread_id=thread, if_busy=if_busy)
        again = (await control.retry(machine.core, OWNER, run.id)).run
    assert again.in_order == run.in_order == (if_busy is not IfBusy.TOGETHER)


@pytest.mark.sqlite
async def test_a_run_that_is_deleted_while_it_is_retried_is_not_found(path: Path) -> None:
    async with a_machine(path, quick) as machine:
        run = await run_to_end(machine, "quick", "x" * LARGEST_KEPT)
        await machine.store.runs.get(run.id)  # the run is remembered, so long a beginning is not
        db = apsw.Connection(str(path))
        db.execute("DELETE FROM runs; DELETE FROM events")
        db.close()
        with pytest.raises(RunNotFound):
            await control.retry(machine.core, OWNER, run.id)


@agent
async def quick(question: str) -> int:
    return 1
