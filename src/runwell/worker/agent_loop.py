"""The loops that agents run on: threads of their own, so that no agent can stop a heartbeat.

All attempts share the current loop. An agent that blocks it (a plain `time.sleep` in async code)
is noticed by a ping that stays unanswered; new attempts then get a fresh loop, and the blocked one
is left to finish what it holds.
"""

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

LOG = logging.getLogger(__name__)

STEP_THREADS = 64
"""Blocking step functions at once per loop; more of them queue."""

PING_EVERY = 1.0
STUCK_AFTER = 3.0
"""Seconds a loop may leave a ping unanswered before new attempts avoid it."""


class Handle:
    """One agent at work. `done` is a future of the worker's loop: (value, error)."""

    def __init__(self, home: asyncio.AbstractEventLoop) -> None:
        self._home = home
        self.done: asyncio.Future[tuple[Any, BaseException | None]] = home.create_future()
        self.reached = False
        self._task: asyncio.Task[None] | None = None
        self._interrupted = False

    def finish(self, value: Any, error: BaseException | None) -> None:
        """Called from the agent's thread, once."""
        try:
            self._home.call_soon_threadsafe(self._settle, value, error)
        except RuntimeError:
            LOG.debug("an agent ended after its worker had gone")

    def _settle(self, value: Any, error: BaseException | None) -> None:
        if not self.done.done():
            self.done.set_result((value, error))

    def interrupt(self, loop: "AgentLoop | None") -> None:
        """Cancel the agent's task, which closes whatever it awaits; a thread cannot be interrupted."""
        if loop is not None:
            loop.post(self._cancel)

    def _cancel(self) -> None:
        self.reached = True
        self._interrupted = True
        if self._task is not None:
            self._task.cancel()

    def attach(self, task: asyncio.Task[None]) -> None:
        self._task = task
        if self._interrupted:
            task.cancel()


class AgentLoop:
    """An event loop in a daemon thread."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(STEP_THREADS, thread_name_prefix=f"{name}-step"))
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        while not self._stopped:
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt):
                # asyncio lets these two of any task through; the loop is everybody's and goes on.
                LOG.exception("an agent's task raised; its loop goes on")

    def post(self, call: Callable[..., object], *args: Any) -> None:
        """Call soon, on this loop, from any thread."""
        self._loop.call_soon_threadsafe(call, *args)

    def begin(self, handle: Handle, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Run `work()` as a task here; its end settles `handle`."""
        self.post(self._begin, handle, work)

    def _begin(self, handle: Handle, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        ended = False

        async def body() -> None:
            nonlocal ended
            try:
                value = await work()
            except BaseException as error:  # noqa: BLE001 - whatever ends an agent is reported, not raised here
                ended = True
                handle.finish(None, error)
            else:
                ended = True
                handle.finish(value, None)

        def gone(task: asyncio.Task[None]) -> None:
            if not ended:  # cancelled before its first line
                handle.finish(None, asyncio.CancelledError())

        task = self._loop.create_task(body(), context=contextvars.Context())
        task.add_done_callback(gone)
        handle.attach(task)

    def stop(self) -> None:
        self._stopped = True
        self.post(self._loop.stop)


class AgentLoops:
    """The current loop, and the watch over it. `watch` runs on the worker's loop."""

    def __init__(self) -> None:
        self._count = 0
        self._all: list[AgentLoop] = []
        self.current = self._fresh()

    def _fresh(self) -> AgentLoop:
        self._count += 1
        loop = AgentLoop(f"agents-{self._count}")
        self._all.append(loop)
        return loop

    async def watch(self) -> None:
        """Ping the current loop for ever; replace it for new attempts when it does not answer."""
        home = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(PING_EVERY)
            answered = asyncio.Event()
            self.current.post(home.call_soon_threadsafe, answered.set)
            try:
                async with asyncio.timeout(STUCK_AFTER):
                    await answered.wait()
            except TimeoutError:
                self.replace(self.current)

    def replace(self, stuck: AgentLoop) -> None:
        """New attempts avoid `stuck` from now on."""
        if stuck is self.current:
            LOG.warning(
                "an async agent blocks its event loop for more than %.0f s: new runs get a fresh one. "
                "Make the agent a plain function, or put the blocking call into ctx.step().",
                STUCK_AFTER,
            )
            self.current = self._fresh()

    def stop(self) -> None:
        for loop in self._all:
            loop.stop()
