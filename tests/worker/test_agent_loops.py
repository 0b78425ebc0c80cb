"""The threads that agents and their steps live on."""

import asyncio
import logging
import subprocess
import sys
import threading
import time

import pytest

from runwell.domain.events import TextDelta
from runwell.domain.memory import Memory
from runwell.domain.retelling import Retelling
from runwell.worker.agent_loop import AgentLoop, Handle
from runwell.worker.threads import DaemonThreads
from tests.support.machines import LONG


async def hang() -> None:
    await asyncio.Event().wait()


async def test_an_agent_that_is_cancelled_before_its_first_line_has_ended() -> None:
    loop, released = AgentLoop("test"), threading.Event()
    loop.post(released.wait, LONG)
    handle = Handle(asyncio.get_running_loop())
    loop.begin(handle, hang)
    handle.interrupt()
    released.set()
    async with asyncio.timeout(LONG):
        value, error = await handle.done
    assert value is None and isinstance(error, asyncio.CancelledError) and handle.told
    loop.stop()


async def test_an_interrupt_moves_with_what_has_not_begun() -> None:
    stuck, fresh, released = AgentLoop("stuck"), AgentLoop("fresh"), threading.Event()
    stuck.post(released.wait, LONG)
    handle = Handle(asyncio.get_running_loop())
    stuck.begin(handle, hang)
    handle.interrupt()
    stuck.move(fresh)
    async with asyncio.timeout(LONG):
        _, error = await handle.done
    assert isinstance(error, asyncio.CancelledError) and not released.is_set()
    released.set()
    for loop in (stuck, fresh):
        loop.stop()


async def test_a_stopped_loop_ends_its_tasks_and_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    loop = AgentLoop("test")
    handle = Handle(asyncio.get_running_loop())
    loop.begin(handle, hang)
    loop.stop()
    async with asyncio.timeout(LONG):
        _, error = await handle.done
    await asyncio.to_thread(loop._thread.join, LONG)
    assert isinstance(error, asyncio.CancelledError)
    assert loop._loop.is_closed() and caplog.records == []
    loop.post(print)
    handle.interrupt()


def test_threads_are_no_more_than_allowed_and_every_call_is_made() -> None:
    threads, gate, begun = DaemonThreads("test", 2), threading.Event(), threading.Semaphore(0)
    going, most = [0], [0]
    lock = threading.Lock()

    def call(number: int) -> int:
        with lock:
            going[0] += 1
            most[0] = max(most[0], going[0])
        begun.release()
        assert gate.wait(LONG)
        with lock:
            going[0] -= 1
        return number

    futures = [threads.submit(call, number) for number in range(6)]
    assert begun.acquire(timeout=LONG) and begun.acquire(timeout=LONG)
    assert futures[5].cancel(), "what queues can be cancelled"
    gate.set()
    assert [future.result(LONG) for future in futures[:5]] == [0, 1, 2, 3, 4]
    assert most == [2]


def test_what_a_thread_raises_is_its_callers() -> None:
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        DaemonThreads("test", 1).submit(leave).result(LONG)


HANGING = """
import asyncio, threading
from runwell.worker.agent_loop import AgentLoop, Handle
async def main():
    begun = threading.Event()
    async def work():
        await asyncio.to_thread(lambda: (begun.set(), threading.Event().wait()))
    loop = AgentLoop("agents")
    loop.begin(Handle(asyncio.get_running_loop()), work)
    await asyncio.to_thread(begun.wait)
    loop.stop()
asyncio.run(main())
print("over")
"""


def test_a_call_that_hangs_does_not_keep_the_process_alive() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=LONG, check=True
    )
    assert (ended.stdout, ended.stderr) == ("over\n", "")


def test_telling_again_is_linear_in_steps_and_in_text() -> None:
    many = 20_000
    said = [TextDelta(text="w ") for _ in range(many)]
    retelling = Retelling(Memory(said={None: [*said], "gone": [TextDelta(text="x")]}), 2)
    began = time.monotonic()
    for index in range(many):
        assert retelling.tell(said[index]) == () == retelling.finish_step(f"s{index}")
    long = Retelling(Memory(said={None: [TextDelta(text="ab" * 100_000)]}), 2)
    for _ in range(100_000):
        assert long.tell(TextDelta(text="ab")) == ()
    assert not long.comparing
    assert time.monotonic() - began < 5.0, "quadratic took 20 s and more"
