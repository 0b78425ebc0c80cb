"""Nobody knows whether a commit has happened, or whether this process is still taken for alive."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from runwell import Context, agent
from runwell.domain.errors import StoreUnavailable
from runwell.domain.run import RunStatus
from tests.support.machines import a_machine, run_to_end, whole_log

WORDS = [f"{n} " for n in range(20)]


@agent
async def talker(ctx: Context) -> None:
    for word in WORDS:
        await ctx.text(word)
        await ctx.step("work", lambda: 1)


@pytest.mark.parametrize("written", [True, False])
async def test_what_may_have_been_written_is_in_the_log_once(tmp_path: Path, written: bool) -> None:
    lost = 0
    async with a_machine(tmp_path / "runs.db", talker) as machine:
        commit = machine.store.runs.commit

        async def in_doubt(change: Any, *given: Any, **named: Any) -> Any:
            nonlocal lost
            if change.command != "record" or lost == 3:
                return await commit(change, *given, **named)
            lost += 1
            if written:
                await commit(change, *given, **named)
            raise StoreUnavailable("it was lost", "it may have been written")

        machine.store.runs.commit = in_doubt  # type: ignore[method-assign]
        run = await run_to_end(machine, "talker")
        assert lost == 3
        assert run.status is RunStatus.SUCCEEDED
        log = await whole_log(machine, run.id)
        said = [line.event.text for line in log if line.type == "output.text_delta"]
        assert said == WORDS
        assert sum(line.type == "step.finished" for line in log) == len(WORDS)


async def test_a_process_that_may_be_taken_for_gone_begins_no_step_and_hands_the_run_back(
    tmp_path: Path,
) -> None:
    done: list[int] = []
    answers = iter([True, False])

    @agent
    async def stepping(ctx: Context) -> int:
        for _ in range(3):
            await ctx.step("work", lambda: done.append(ctx.run.attempt))
        return ctx.run.attempt

    async with a_machine(tmp_path / "runs.db", stepping) as machine:
        desk = machine.worker._desk
        machine.worker._desk = dataclasses.replace(desk, heard=lambda: next(answers, True))
        run = await run_to_end(machine, "stepping")
        assert (run.status, run.tries, run.attempt) == (RunStatus.SUCCEEDED, 0, 2)
        assert done == [1, 2, 2]
