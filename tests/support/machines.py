"""A real machine (store, worker, dispatcher) in the test's process, and ways to wait for moments."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from runwell import wiring
from runwell.config import Settings
from runwell.domain.events import LoggedEvent
from runwell.domain.run import Run, RunStatus
from runwell.engine import control, submit
from runwell.engine.submit import Submission
from runwell.ports.agent import Agent
from runwell.wiring import Machine
from tests.support.backends import database_of

OWNER = "tester"
LONG = 20.0
"""Seconds after which a test has waited for something that does not come."""


@asynccontextmanager
async def a_machine(path: Path, *agents: Any, **settings: Any) -> AsyncIterator[Machine]:
    """A machine over the database that `path` names, with the given agents, stopped at the end."""
    given: list[Agent] = list(agents)
    async with wiring.machine(
        Settings(db=database_of(path), durability="normal", **settings), given
    ) as machine:
        yield machine


async def start(machine: Machine, agent: str, input: Any = "q", **fields: Any) -> Run:
    added = await submit.submit(machine.core, Submission(owner=OWNER, agent=agent, input=input, **fields))
    return added.run


async def until(machine: Machine, run_id: str, true: Callable[[Run], bool]) -> Run:
    """The run at the first moment that `true` holds."""
    with machine.signals.watch(run_id) as watch:
        while not true(run := await machine.store.runs.get(run_id)):
            assert await watch.wait(LONG), f"nothing happens; the run is {run.status}: {run}"
    return run


async def until_said(
    machine: Machine, run_id: str, true: Callable[[list[LoggedEvent]], bool]
) -> list[LoggedEvent]:
    """The log at the first moment that `true` holds."""
    with machine.signals.watch(run_id) as watch:
        while not true(log := await whole_log(machine, run_id)):
            assert await watch.wait(LONG), f"nothing happens; the log is {[line.type for line in log]}"
    return log


async def finish(machine: Machine, run_id: str) -> Run:
    return await until(machine, run_id, lambda run: run.final)


async def run_to_end(machine: Machine, agent: str, input: Any = "q", **fields: Any) -> Run:
    return await finish(machine, (await start(machine, agent, input, **fields)).id)


async def waiting(machine: Machine, run_id: str) -> Run:
    return await until(machine, run_id, lambda run: run.status is RunStatus.WAITING)


async def whole_log(machine: Machine, run_id: str) -> list[LoggedEvent]:
    return await machine.store.events.read(run_id, 0, 100_000)


async def types(machine: Machine, run_id: str) -> list[str]:
    return [line.type for line in await whole_log(machine, run_id)]


async def answer(machine: Machine, run_id: str, value: Any) -> Run:
    return await control.answer(machine.core, OWNER, run_id, value)


async def cancel(machine: Machine, run_id: str) -> Run:
    return await control.cancel(machine.core, OWNER, run_id)
