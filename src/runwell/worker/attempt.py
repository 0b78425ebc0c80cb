"""One attempt at one run: open, drive, let go, close.

    claimed run -> open (input, memory, agent) -> drive (until it ends or must) -> let go -> close

The agent works on another thread. Here is decided what becomes of it: it returns, raises, asks; is
cancelled, out of time, superseded; or the server shuts down. Whatever it is, exactly one command
closes the attempt, and the store's fence makes sure that it is still ours to close.
"""

import asyncio
import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from runwell.domain.commands import Command, Fail, HandBack, Pause, Stop, Succeed, TimeOut, TryAgain
from runwell.domain.errors import (
    AttemptSuperseded,
    IllegalTransition,
    RunNotFound,
    RunwellError,
    StaleRun,
    Unavailable,
)
from runwell.domain.events import LoggedEvent, RunCreated
from runwell.domain.instant import after
from runwell.domain.json_gate import Json
from runwell.domain.lifecycle import decide
from runwell.domain.memory import Memory
from runwell.domain.prices import Prices
from runwell.domain.retelling import Retelling
from runwell.domain.retry import backoff
from runwell.domain.run import Reason, Run
from runwell.domain.thread import Message, Role
from runwell.ports.agent import Agent, AgentCatalog, AgentFailed, Suspended
from runwell.ports.clock import Clock
from runwell.ports.store import NewMessage, Store
from runwell.worker.agent_loop import AgentLoops, Handle
from runwell.worker.context import BlockingContext, RunContext
from runwell.worker.outcome import failure, written, written_text
from runwell.worker.recorder import RETRY_EVERY, Recorder
from runwell.worker.session import Session

LOG = logging.getLogger(__name__)

LOG_PAGE = 1_000
"""Lines of an earlier attempt's log that are folded at once; between pages others get their turn."""
MESSAGES = 1_000
TIMEOUT_GRACE = 0.5
"""Seconds an agent has to let go at its deadline, which must hold within a second."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What every attempt of a worker shares. `grace`: seconds to let go; `max_output`: bytes."""

    store: Store
    clock: Clock
    catalog: AgentCatalog
    loops: AgentLoops
    grace: float = 5.0
    max_output: int = 16 * 1024 * 1024
    prices: Prices = field(default_factory=Prices)
    heard: Callable[[], bool] = lambda: True
    """Whether others take this process for alive; asked from any thread before a step is begun."""


class Ending(StrEnum):
    """Why an attempt is over, before the agent has had its say."""

    RETURNED = "returned"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    SHUT_DOWN = "shut_down"
    SUPERSEDED = "superseded"
    BROKEN = "broken"
    """It said something that cannot be written."""


class Attempt:
    """Drives one claimed run. Lives on the worker's loop."""

    def __init__(self, desk: Desk, run: Run) -> None:
        self._desk = desk
        self._run = run
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._session: Session | None = None
        left = run.time_left(desk.clock.now())
        # On the loop's own clock, and taken before the agent begins.
        self._deadline = None if left is None else asyncio.get_running_loop().time() + left

    def end(self, ending: Ending) -> None:
        """Ask the attempt to end, from the worker's loop; the first wish counts."""
        if not self._ending.done():
            self._ending.set_result(ending)

    async def drive(self) -> None:
        """To the end of the attempt, whatever happens. Never raises but for a defect of ours."""
        try:
            await self._drive()
        except Exception as error:
            # A defect must end this run, and only this run: nobody else will look at it before a restart.
            LOG.exception("run_%s: attempt %d broke", self._run.id, self._run.attempt)
            if self._session is not None:
                self._session.recorder.seal()
            await self._close(failure(error))

    async def _drive(self) -> None:
        while True:
            try:
                agent, session = await self._open()
                break
            except Unavailable as error:
                LOG.warning("run_%s: its beginning waits for the store: %s", self._run.id, error)
                await asyncio.wait({self._ending}, timeout=RETRY_EVERY)
                if self._ending.done():
                    await self._leave(self._ending.result())
                    return
            except (RunwellError, AgentFailed) as error:
                await self._close(failure(error))
                return
        if self._ending.done():  # cancelled, or the server stops: not worth beginning
            await self._leave(self._ending.result())
            return
        self._session = session
        handle = self._begin(agent, session)
        ending = await self._watch(handle)
        if ending is Ending.SUPERSEDED:
            self._interrupt(handle)
            session.recorder.seal()
            return
        if ending is not Ending.RETURNED:
            await self._let_go(handle, ending)
        await self._finish(handle, ending, session, agent)

    async def _leave(self, ending: Ending) -> None:
        """Close an attempt that ends before its agent has begun."""
        if ending is not Ending.SUPERSEDED:
            await self._close(Stop() if ending is Ending.CANCELLED else HandBack())

    async def _open(self) -> tuple[Agent, Session]:
        desk, run = self._desk, self._run
        agent = desk.catalog.find(run.agent, run.definition)
        if agent is None:
            raise AgentFailed(Reason.ERROR, f"this worker does not serve the agent {run.agent!r}")
        log = await desk.store.events.read(run.id, 0, 1)
        created = log[0].event
        if not isinstance(created, RunCreated):
            raise AssertionError("a log begins with run.created")
        memory = Memory()
        if run.attempt > 1 or created.steps or created.answers:
            memory = await self._remember(log)
        messages = await self._messages(created.input)
        recorder = Recorder(
            desk.store,
            desk.clock,
            run,
            Retelling(memory, run.attempt),
            lambda: self.end(Ending.SUPERSEDED),
            lambda: self.end(Ending.BROKEN),
        )
        return agent, Session(
            run, created.input, messages, memory, recorder, desk.clock, desk.prices, desk.heard
        )

    async def _remember(self, log: list[LoggedEvent]) -> Memory:
        """What earlier attempts left behind; `log` is its first line."""
        memory = Memory()
        memory.add(log)
        if self._run.attempt > 1:
            while log := await self._desk.store.events.read(self._run.id, log[-1].seq, LOG_PAGE):
                memory.add(log)
                await asyncio.sleep(0)
        return memory

    async def _messages(self, input: Json) -> list[Message]:
        """What the agent sees of its thread; without one, just its input."""
        run, threads = self._run, self._desk.store.threads
        if run.thread_id is None:
            return [Message(position=1, role=Role.USER, content=input, at=run.created_at, run_id=run.id)]
        return await threads.seen_by(run, MESSAGES)

    def _begin(self, agent: Agent, session: Session) -> Handle:
        handle, limit = Handle(asyncio.get_running_loop()), self._desk.max_output
        if agent.blocking:
            thread = threading.Thread(
                target=_call_blocking,
                args=(agent, session, handle, limit),
                name=f"run_{session.run.id}",
                daemon=True,
            )
            thread.start()
        else:
            context = RunContext(session, self._desk.loops.step_threads)

            async def call() -> Json | Fail | None:
                return written(await agent.call(context), limit)

            self._desk.loops.current.begin(handle, call)
        return handle

    async def _watch(self, handle: Handle) -> Ending:
        """Until the agent ends or must."""
        elapsed = asyncio.get_running_loop().time
        while True:
            left = self._run.time_left(self._desk.clock.now())
            if left is not None and self._deadline is not None:
                left = min(left, self._deadline - elapsed())  # a clock set back gives nobody more time
                if left <= 0:
                    return Ending.TIMED_OUT
            ends: set[asyncio.Future[Any]] = {handle.done, self._ending}
            await asyncio.wait(ends, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if handle.done.done():
                return Ending.RETURNED  # done is done, even as the server shuts down
            if self._ending.done():
                return self._ending.result()

    def _interrupt(self, handle: Handle) -> None:
        if self._session is not None:
            self._session.cancelled = True
        handle.interrupt()

    async def _let_go(self, handle: Handle, ending: Ending) -> None:
        """Interrupt the agent and give it the grace to unwind; then it is cut off."""
        self._interrupt(handle)
        grace = min(self._desk.grace, TIMEOUT_GRACE) if ending is Ending.TIMED_OUT else self._desk.grace
        done, _ = await asyncio.wait({handle.done}, timeout=grace)
        if not done:
            LOG.warning("run_%s: its agent does not let go after %g s and is cut off", self._run.id, grace)
            if handle.loop is not None and not handle.reached:
                self._desk.loops.replace(handle.loop)
            handle.interrupt()  # it may have swallowed the first

    async def _finish(self, handle: Handle, ending: Ending, session: Session, agent: Agent) -> None:
        value, error = handle.done.result() if handle.done.done() else (None, Suspended())
        if ending is Ending.SHUT_DOWN and error is None and not (session.told or handle.told):
            ending = Ending.RETURNED  # it did not even notice: its work is whole, and need not be done again
        returned = ending is Ending.RETURNED and error is None and session.question is None
        self._run = await session.recorder.end(complete=returned)
        if self._ending.done() and self._ending.result() is Ending.SUPERSEDED:
            return
        command = self._verdict(ending, value, error, session, agent)
        message = None
        if isinstance(command, Succeed) and self._run.thread_id is not None:
            message = NewMessage(Role.ASSISTANT, command.output)
        await self._close(command, message)

    def _verdict(
        self, ending: Ending, value: Any, error: BaseException | None, session: Session, agent: Agent
    ) -> Command:
        """The one command that closes this attempt."""
        if session.recorder.fault is not None and ending in (Ending.RETURNED, Ending.BROKEN):
            return failure(session.recorder.fault)
        if ending is Ending.CANCELLED:
            return Stop()
        if ending is Ending.TIMED_OUT:
            return TimeOut()
        if ending is Ending.SHUT_DOWN:
            return HandBack()
        if session.question is not None:
            return Pause(question=session.question, expires_at=session.question_expires_at)
        if error is None:
            if value is None:
                value = written_text(session.recorder.text(), self._desk.max_output)
            return value if isinstance(value, Fail) else Succeed(output=value)
        if isinstance(error, Suspended):
            if session.unheard:
                return HandBack()
            error = AgentFailed(Reason.ERROR, "the agent raised Suspended by itself")
        failed = failure(error)
        if self._run.tries < agent.spec.retries and self._run.tries + 1 < self._run.max_attempts:
            return TryAgain(error=failed.error, delay=backoff(self._run.tries + 1, random.random()))  # noqa: S311
        return failed

    async def _close(self, command: Command, message: NewMessage | None = None) -> None:
        """Commit the end, deciding again when something came in between (a cancel request)."""
        store, clock = self._desk.store, self._desk.clock
        fresh = False
        while True:
            now = clock.now()
            if isinstance(command, TimeOut) and (left := self._run.time_left(now)) is not None and left > 0:
                now = after(now, left)  # the clock was set back after it had run out
            try:
                if fresh:
                    self._run, fresh = await store.runs.get(self._run.id), False
                change = decide(self._run, command, now)
                keep = message if change.command == "succeed" else None
                await store.runs.commit(change, now, message=keep)
                return
            except StaleRun:
                fresh = True
            except Unavailable as error:
                LOG.warning("run_%s: its end waits for the store: %s", self._run.id, error)
                await asyncio.sleep(RETRY_EVERY)
            except (AttemptSuperseded, RunNotFound, IllegalTransition) as error:
                LOG.info("run_%s: attempt %d ended elsewhere: %s", self._run.id, self._run.attempt, error)
                return


def _call_blocking(agent: Agent, session: Session, handle: Handle, limit: int) -> None:
    """The body of a blocking agent's thread."""
    try:
        value = written(agent.call_blocking(BlockingContext(session)), limit)
    except BaseException as error:  # noqa: BLE001 - whatever ends an agent is reported, not raised here
        handle.finish(None, error)
    else:
        handle.finish(value, None)
