"""Ends of attempts that are easily got wrong: interrupted, stuck, out of time, without a store."""

import asyncio
import contextvars
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from runwell import Context, agent
from runwell.agents.catalogue import Catalog
from runwell.config import Settings
from runwell.domain.errors import StoreUnavailable
from runwell.domain.json_gate import decode
from runwell.domain.run import Reason, RunStatus
from runwell.ports.agent import Suspended
from runwell.wiring import Machine
from runwell.wiring.grounds import local_ground
from runwell.worker import attempt as attempts
from runwell.worker.upkeep.expiry import BATCH, expire_due
from tests.support.held import Held, turns_until
from tests.support.machines import (
    LONG,
    a_machine,
    answer,
    cancel,
    finish,
    run_to_end,
    start,
    types,
    until,
    until_said,
    waiting,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


class MovedClock:
    offset = 0

    def now(self) -> int:
        return time.time_ns() // 1_000 + self.offset


@asynccontextmanager
async def a_machine_with(clock: MovedClock, path: Path, *agents: Any) -> AsyncIterator[Machine]:
    """Not started."""
    settings = Settings(db=str(path), durability="normal", grace=0.2)
    async with local_ground(settings, clock) as ground:
        machine = Machine(ground, Catalog(agents), settings)
        try:
            yield machine
        finally:
            await machine.stop()


async def one() -> int:
    return 1


@agent
async def quick() -> str:
    return "done"


@agent
async def hangs() -> None:
    await asyncio.Event().wait()


async def test_whoever_is_cancelled_while_waiting_for_the_disk_breaks_nothing(path: Path) -> None:
    held: list[Held] = []

    @agent
    async def impatient(ctx: Context) -> str:
        step = asyncio.create_task(ctx.step("a", one))
        await asyncio.to_thread(held[0].reached.wait, LONG)
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
        held[0].gate.set()
        await ctx.step("b", one)
        return "done"

    async with a_machine(path, impatient) as machine:
        held.append(Held(machine, "record"))
        run = await run_to_end(machine, "impatient")
        assert (run.status, run.steps.finished) == (RunStatus.SUCCEEDED, 2)


async def test_a_failing_sibling_of_a_waiting_step_breaks_nothing(path: Path) -> None:
    held: list[Held] = []

    @agent
    async def group(ctx: Context) -> str:
        async def bad() -> None:
            await asyncio.to_thread(held[0].reached.wait, LONG)
            raise ValueError("x")

        async def both() -> None:
            async with asyncio.TaskGroup() as together:
                together.create_task(ctx.step("a", one))
                together.create_task(bad())

        with pytest.raises(ExceptionGroup):
            await both()
        held[0].gate.set()
        await ctx.step("after", one)
        return "done"

    async with a_machine(path, group) as machine:
        held.append(Held(machine, "record"))
        assert (await run_to_end(machine, "group")).status is RunStatus.SUCCEEDED


async def test_a_childs_system_exit_ends_its_run_only(path: Path) -> None:
    @agent
    async def quits() -> None:
        async def child() -> None:
            raise SystemExit(3)

        async with asyncio.TaskGroup() as together:
            together.create_task(child())

    async with a_machine(path, quits, hangs) as machine:
        other = await start(machine, "hangs")
        await until(machine, other.id, lambda run: run.status is RunStatus.RUNNING)
        run = await run_to_end(machine, "quits")
        assert run.error is not None and run.error.code == "SystemExit"
        await cancel(machine, other.id)
        assert (await finish(machine, other.id)).status is RunStatus.CANCELLED


async def test_an_attempt_waits_for_the_store_to_begin(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "RETRY_EVERY", 0.001)
    async with a_machine(path, quick) as machine:
        real, tried = machine.store.events.read, []

        async def read(*given: Any) -> Any:
            tried.append(given)
            if len(tried) == 1:
                raise StoreUnavailable("the disk failed")
            return await real(*given)

        monkeypatch.setattr(machine.store.events, "read", read)
        run = await run_to_end(machine, "quick")
        assert (run.status, len(tried)) == (RunStatus.SUCCEEDED, 2)


async def test_a_clock_set_back_while_the_agent_lets_go_does_not_take_the_timeout_back(path: Path) -> None:
    clock = MovedClock()

    @agent
    async def moves_time() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            clock.offset -= 10_000_000
            raise

    async with a_machine_with(clock, path, moves_time) as machine:
        await machine.start()
        run = await run_to_end(machine, "moves_time", timeout=0.05)
        assert (run.status, run.reason) == (RunStatus.FAILED, Reason.TIMED_OUT)


async def test_a_clock_set_back_while_the_agent_works_does_not_postpone_the_timeout(path: Path) -> None:
    clock = MovedClock()

    @agent
    async def moves_time() -> None:
        clock.offset -= 3_600_000_000
        await asyncio.Event().wait()

    async with a_machine_with(clock, path, moves_time) as machine:
        await machine.start()
        run = await run_to_end(machine, "moves_time", timeout=0.3)
        assert (run.status, run.reason) == (RunStatus.FAILED, Reason.TIMED_OUT)


async def test_one_look_expires_more_than_one_batch(path: Path) -> None:
    clock = MovedClock()
    async with a_machine_with(clock, path, quick) as machine:
        await machine.store.agents.publish(machine.catalog.specs, clock.now())
        many = BATCH * 2 + 50
        await asyncio.gather(*(start(machine, "quick", expires_in=60) for _ in range(many)))
        assert await expire_due(machine.store, clock) == 0
        clock.offset += 61_000_000
        assert await expire_due(machine.store, clock) == many


async def test_hanging_steps_of_one_run_hold_up_no_other(path: Path) -> None:
    gate, begun = threading.Event(), threading.Semaphore(0)

    def blocks() -> None:
        begun.release()
        gate.wait(LONG)

    @agent
    async def crowded(ctx: Context) -> None:
        await asyncio.gather(*(ctx.step("s", blocks, key=str(index)) for index in range(70)))

    @agent
    async def steps(ctx: Context) -> int:
        return await ctx.step("s", lambda: 1)

    async with a_machine(path, crowded, steps, grace=0.2) as machine:
        run = await start(machine, "crowded")
        for _ in range(64):
            assert await asyncio.to_thread(begun.acquire, timeout=LONG)
        assert decode((await run_to_end(machine, "steps")).output or b"") == 1
        await cancel(machine, run.id)
        assert (await finish(machine, run.id)).status is RunStatus.CANCELLED
        assert decode((await run_to_end(machine, "steps")).output or b"") == 1
        gate.set()


async def test_what_has_not_begun_on_a_stuck_loop_begins_on_the_fresh_one(path: Path) -> None:
    released = threading.Event()
    async with a_machine(path, quick) as machine:
        stuck = machine.loops.current
        stuck.post(released.wait, LONG)
        run = await start(machine, "quick")
        await turns_until(lambda: stuck._waiting)
        machine.loops.replace(stuck)
        assert (await finish(machine, run.id)).status is RunStatus.SUCCEEDED
        assert not released.is_set()
        released.set()


async def test_a_step_in_flight_may_begin_its_own_steps_after_a_question(path: Path) -> None:
    done: list[str] = []

    @agent
    async def nested(ctx: Any) -> list[Any]:
        async def outer() -> int:
            done.append("outer")
            await turns_until(lambda: ctx._session.question is not None)
            with pytest.raises(Suspended):
                await asyncio.create_task(ctx.step("late", one), context=outside)
            return int(await ctx.step("inner", one)) + 1

        outside = contextvars.copy_context()
        return list(await asyncio.gather(ctx.step("outer", outer), ctx.ask("?")))

    async with a_machine(path, nested) as machine:
        run = await start(machine, "nested")
        await waiting(machine, run.id)
        kinds = await types(machine, run.id)
        assert kinds.count("step.finished") == 2 and kinds[-1] == "run.waiting"
        await answer(machine, run.id, "yes")
        assert decode((await finish(machine, run.id)).output or b"") == [2, "yes"]
        assert done == ["outer"]


async def test_a_long_log_is_remembered_page_by_page(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "LOG_PAGE", 4)
    turns, seen = [0], []

    @agent
    async def asks(ctx: Context) -> list[Any]:
        values = [await ctx.step("s", lambda n=n: n) for n in range(10)]
        return [*values, await ctx.ask("?")]

    async def take_turns() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    async with a_machine(path, asks) as machine:
        run = await start(machine, "asks")
        await waiting(machine, run.id)
        real = machine.store.events.read

        async def read(run_id: str, after: int, limit: int) -> Any:
            if limit == 4:
                seen.append(turns[0])
            return await real(run_id, after, limit)

        monkeypatch.setattr(machine.store.events, "read", read)
        others = asyncio.create_task(take_turns())
        await answer(machine, run.id, "yes")
        assert decode((await finish(machine, run.id)).output or b"") == [*range(10), "yes"]
        others.cancel()
        assert len(seen) > 4 and len(set(seen)) == len(seen), "others get their turn between two pages"


async def test_what_outlives_its_run_makes_no_noise(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ended, spoke = threading.Event(), threading.Event()
    kept: list[Any] = []

    @agent
    async def spawns(ctx: Context) -> int:
        async def later() -> None:
            await asyncio.to_thread(ended.wait, LONG)
            spoke.set()
            await ctx.text("late")

        kept.append(asyncio.create_task(later()))
        return 1

    async with a_machine(path, spawns) as machine:
        await run_to_end(machine, "spawns")
        ended.set()
        assert await asyncio.to_thread(spoke.wait, LONG)
        await turns_until(lambda: kept[0].done())
        kept.clear()
        await run_to_end(machine, "spawns")
        assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_an_agent_that_swallows_one_interrupt_gets_another(path: Path) -> None:
    swallowed, ended = threading.Event(), threading.Event()

    @agent
    async def stubborn(ctx: Context) -> None:
        await ctx.text("begun")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with a_machine(path, stubborn, grace=0.05) as machine:
        run = await start(machine, "stubborn")
        await until_said(machine, run.id, lambda log: log[-1].type == "output.text_delta")
        await cancel(machine, run.id)
        assert (await finish(machine, run.id)).status is RunStatus.CANCELLED
        assert await asyncio.to_thread(ended.wait, LONG) and swallowed.is_set()
