"""The loops that agents run on: threads of their own, so that no agent can stop a heartbeat.

All attempts share the current loop. An agent that blocks it (a plain `time.sleep` in async code)
is noticed by a ping that stays unanswered; new attempts then get a fresh loop, what has not begun
moves there, and the blocked one is left to finish what it holds.
"""

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from runwell.ports.agent import Suspended
from runwell.worker.threads import DaemonThreads

LOG = logging.getLogger(__name__)

THREADS = 64
"""Threads of one loop for what agents themselves put into threads; more calls queue."""

PING_EVERY = 1.0
STUCK_AFTER = 3.0
"""Seconds a loop may leave a ping unanswered before new attempts avoid it."""
WIND_UP = 1.0
"""Seconds that tasks have to end when a loop is stopped."""

Work = Callable[[], Coroutine[Any, Any, Any]]


class Handle:
    """One agent at work. `done` is a future of the worker's loop: (value, error)."""

    def __init__(self, home: asyncio.AbstractEventLoop) -> None:
        self._home = home
        self.done: asyncio.Future[tuple[Any, BaseException | None]] = home.create_future()
        self.loop: AgentLoop | None = None
        """Where it works, or will; None for an agent with a thread of its own."""
        self.reached = False
        """Its loop has answered an interrupt."""
        self.told = False
        """Its task was cancelled before it had ended."""
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

    def interrupt(self) -> None:
        """Cancel the agent's task, which closes whatever it awaits; a thread cannot be interrupted."""
        self._interrupted = True
        if self.loop is not None:
            self.loop.post(self._cancel, self.loop)

    def _cancel(self, loop: "AgentLoop") -> None:
        if loop is not self.loop:
            return  # it moved before it began, and begins interrupted
        self.reached = True
        if self._task is not None:
            self.told |= self._task.cancel()

    def attach(self, task: asyncio.Task[None]) -> None:
        self._task = task
        if self._interrupted:
            self.reached = self.told = True
            task.cancel()


def _new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where there is one: waking it from another thread costs half."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class AgentLoop:
    """An event loop in a daemon thread."""

    def __init__(self, name: str) -> None:
        self._loop = _new_loop()
        self._loop.set_default_executor(DaemonThreads(f"{name}-thread", THREADS))
        self._loop.set_exception_handler(self._complain)
        self._waiting: dict[Handle, Work] = {}
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
        self._loop.close()

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What asyncio has nobody else to tell."""
        if isinstance(context.get("exception"), Suspended):
            LOG.debug("a task outlived its run and spoke: %s", context.get("future") or context.get("task"))
        elif self._stopped and "exception" not in context:
            LOG.debug("a task did not end with its loop: %s", context.get("task"))
        else:
            loop.default_exception_handler(context)

    def post(self, call: Callable[..., object], *args: Any) -> None:
        """Call soon, on this loop, from any thread; nothing after it has stopped."""
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:
            LOG.debug("%s has stopped", self._thread.name)

    def begin(self, handle: Handle, work: Work) -> None:
        """Run `work()` as a task here; its end settles `handle`."""
        handle.loop = self
        self._waiting[handle] = work
        self.post(self._begin, handle)

    def move(self, to: "AgentLoop") -> None:
        """What has not begun here begins on `to` instead."""
        for handle in list(self._waiting):
            # Taken out here or by `_begin`, on the other thread, but never by both.
            if (work := self._waiting.pop(handle, None)) is not None:
                to.begin(handle, work)

    def _begin(self, handle: Handle) -> None:
        work = self._waiting.pop(handle, None)
        if work is None:
            return  # moved
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
        """End all tasks and then the loop, soon; a loop that is blocked ends when it is free again."""
        self.post(lambda: self._loop.create_task(self._wind_up()))

    async def _wind_up(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=WIND_UP)
        self._stopped = True
        self._loop.stop()


class AgentLoops:
    """The current loop, and the watch over it. `watch` runs on the worker's loop."""

    def __init__(self) -> None:
        self._count = 0
        self.step_threads = DaemonThreads("step")
        """For plain step functions; those that hang, cancelled or not, hold up nobody else's."""
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
        """New attempts, and those that have not begun, avoid `stuck` from now on."""
        if stuck is self.current:
            LOG.warning(
                "an async agent blocks its event loop for more than %.0f s: new runs get a fresh one. "
                "Make the agent a plain function, or put the blocking call into ctx.step().",
                STUCK_AFTER,
            )
            self.current = self._fresh()
            stuck.move(self.current)

    def stop(self) -> None:
        for loop in self._all:
            loop.stop()
