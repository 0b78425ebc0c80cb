"""A server that stops while its agents work: no try is burnt, no finished work done again."""

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from runwell import Context, SyncContext, agent
from runwell.domain.errors import StoreUnavailable
from runwell.domain.json_gate import decode
from runwell.domain.run import Run, RunStatus
from runwell.wiring import Machine
from runwell.worker import worker as workers
from tests.support.held import Held, turns_until
from tests.support.machines import (
    LONG,
    a_machine,
    finish,
    start,
    types,
    until,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@agent
async def hangs() -> None:
    await asyncio.Event().wait()


async def test_a_stop_during_a_claim_burns_no_try(path: Path) -> None:
    async with a_machine(path, hangs, grace=0.2) as machine:
        claim = Held(machine, "claim")
        run = await start(machine, "hangs")
        await asyncio.to_thread(claim.reached.wait, LONG)
        stopping = asyncio.create_task(machine.worker.stop())
        await asyncio.sleep(0)
        claim.gate.set()
        await stopping
        run = await machine.store.runs.get(run.id)
        assert (run.status, run.tries) == (RunStatus.QUEUED, 0)
        assert (await types(machine, run.id))[-1] == "attempt.handed_back"


async def stopping_while(machine: Machine, run: Run, begun: threading.Event) -> asyncio.Task[None]:
    """The worker's stop, once it has reached the attempt."""
    assert await asyncio.to_thread(begun.wait, LONG)
    attempt = machine.worker._attempts[run.id]
    stopping = asyncio.create_task(machine.worker.stop())
    await turns_until(lambda: attempt._session is not None and attempt._session.cancelled)
    return stopping


async def test_a_plain_function_that_returns_while_the_server_stops_has_succeeded(path: Path) -> None:
    begun, released = threading.Event(), threading.Event()

    @agent
    def pays() -> str:
        begun.set()
        released.wait(LONG)
        return "paid"

    async with a_machine(path, pays, grace=LONG) as machine:
        run = await start(machine, "pays")
        stopping = await stopping_while(machine, run, begun)
        released.set()
        await stopping
        run = await machine.store.runs.get(run.id)
        assert (run.status, run.attempt) == (RunStatus.SUCCEEDED, 1)


async def test_a_plain_function_that_saw_the_stop_is_handed_back(path: Path) -> None:
    begun = threading.Event()

    @agent
    def looks(ctx: SyncContext) -> str:
        while not ctx.cancelled:
            begun.set()
        return "half"

    async with a_machine(path, looks, grace=LONG) as machine:
        run = await start(machine, "looks")
        await (await stopping_while(machine, run, begun))
        assert (await machine.store.runs.get(run.id)).status is RunStatus.QUEUED


async def test_a_stop_does_not_wait_for_ever_for_a_store_that_is_away(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "STOP_PATIENCE", 0.05)

    async def away(*given: Any, **more: Any) -> Any:
        raise StoreUnavailable("the disk is full")

    @agent
    async def patient(ctx: Context) -> int:
        if ctx.run.attempt == 1:
            await asyncio.Event().wait()
        return ctx.run.attempt

    async with a_machine(path, patient, grace=0.05) as machine:
        run = await start(machine, "patient")
        await until(machine, run.id, lambda run: run.status is RunStatus.RUNNING)
        monkeypatch.setattr(machine.store.runs, "commit", away)
        await machine.worker.stop()
        assert machine.worker.attempts == 0
        assert f"run_{run.id}" in next(r.getMessage() for r in caplog.records if r.levelno == logging.ERROR)
    async with a_machine(path, patient) as machine:
        assert decode((await finish(machine, run.id)).output or b"") == 2
