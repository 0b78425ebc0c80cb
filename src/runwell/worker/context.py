"""What an agent holds in its hand: `RunContext` for async agents, `BlockingContext` for functions."""

import asyncio
import contextvars
import inspect
import math
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future
from concurrent.futures import wait as wait_for_all
from typing import Any, TypeVar, overload

from runwell.domain import json_gate
from runwell.domain.events import (
    MessageAdded,
    ProgressNoted,
    ReasoningDelta,
    Said,
    TextDelta,
    ToolCalled,
    ToolReturned,
    UsageCounted,
)
from runwell.domain.json_gate import JsonValue
from runwell.domain.run import Progress, Run, Usage
from runwell.domain.step import StepKind
from runwell.domain.thread import Message, Role
from runwell.ports.agent import Suspended, SyncContext
from runwell.worker.checks import counted, word
from runwell.worker.session import CURRENT_STEP, MISSING, Session

T = TypeVar("T")

STEP_THREADS = 64
"""Plain step functions of one run at once; more of them queue, behind nobody else's."""


class _Spoken:
    """What both contexts say, as events. Subclasses decide how to wait."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def run(self) -> Run:
        return self._session.run

    @property
    def input(self) -> Any:
        return self._session.input

    @property
    def messages(self) -> list[Message]:
        return self._session.messages

    @property
    def cancelled(self) -> bool:
        return self._session.over()

    def _key(self, key: str | None, name: str) -> str:
        return word("key", key) if key is not None else self._session.next_key(name)

    def _say(self, event: Said | UsageCounted | None) -> Future[None] | None:
        """Queue it; a future to wait for when the disk is behind."""
        if event is None:
            return None
        recorder = self._session.recorder
        recorder.put(event)
        return recorder.settled() if recorder.crowded else None

    def _text(self, delta: str) -> Said | None:
        """None for no text: models stream empty pieces, and a later attempt cannot tell them again."""
        text = word("a piece of text", delta)
        return TextDelta(text=text, in_step=CURRENT_STEP.get()) if text else None

    def _reasoning(self, delta: str) -> Said | None:
        text = word("a piece of reasoning", delta)
        return ReasoningDelta(text=text, in_step=CURRENT_STEP.get()) if text else None

    def _message(self, content: JsonValue, role: Role) -> Said:
        return MessageAdded(role=Role(role), content=json_gate.encode(content), in_step=CURRENT_STEP.get())

    def _progress(self, percent: float | None, step: str | None) -> Said:
        if percent is not None:
            percent = float(percent)
            if math.isnan(percent):
                raise ValueError("percent is NaN; leave it out when it is not known")
            percent = min(max(percent, 0.0), 100.0)
        words = word("step", step) if step is not None else None
        return ProgressNoted(progress=Progress(percent, words), in_step=CURRENT_STEP.get())

    def _tool_called(self, name: str, arguments: JsonValue, call_id: str) -> Said:
        return ToolCalled(
            call_id=call_id, name=word("name", name), arguments=json_gate.encode_any(arguments),
            in_step=CURRENT_STEP.get(),
        )  # fmt: skip

    def _tool_returned(self, call_id: str, name: str, result: JsonValue, failed: bool) -> Said:
        return ToolReturned(
            call_id=word("call_id", call_id), name=word("name", name), failed=bool(failed),
            result=json_gate.encode_any(result), in_step=CURRENT_STEP.get(),
        )  # fmt: skip

    def _usage(
        self, usage: Usage | None, model: str | None, asked: str | None, counts: dict[str, float]
    ) -> UsageCounted:
        model = word("model", model) if model is not None else None
        asked = word("asked", asked) if asked is not None else None
        return self._session.consumed(counted(usage, counts), model, asked)


class RunContext(_Spoken):
    """`ports.agent.Context` over a session, on the agent loop."""

    def __init__(self, session: Session, threads: Executor) -> None:
        """`threads` must always have one more: a step that hangs keeps its own."""
        super().__init__(session)
        self._threads = threads
        self._places = asyncio.Semaphore(STEP_THREADS)

    async def _wait(self, written: Future[None] | None) -> None:
        if written is not None:
            await asyncio.wrap_future(written)

    @overload
    async def step(
        self,
        name: str,
        fn: Callable[..., Awaitable[T]],
        *args: Any,
        key: str | None = None,
        kind: StepKind = StepKind.CODE,
        **kwargs: Any,
    ) -> T: ...
    @overload
    async def step(
        self,
        name: str,
        fn: Callable[..., T],
        *args: Any,
        key: str | None = None,
        kind: StepKind = StepKind.CODE,
        **kwargs: Any,
    ) -> T: ...
    async def step(
        self,
        name: str,
        fn: Callable[..., Any],
        *args: Any,
        key: str | None = None,
        kind: StepKind = StepKind.CODE,
        **kwargs: Any,
    ) -> Any:
        session, name, kind = self._session, word("name", name), StepKind(kind)
        key = self._key(key, name)
        known = session.remembered(key)
        if known is not MISSING:
            return known
        step = session.open_step(key, name, kind)
        token = CURRENT_STEP.set(key)
        try:
            value = await self._perform(fn, args, kwargs)
            value, written = session.close_step(step, value)
        except BaseException as error:
            session.fail_step(step, error)
            raise
        finally:
            CURRENT_STEP.reset(token)
            session.leave_step(step)
        await self._wait(written)
        return value

    async def _perform(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call `fn`: async ones here, plain ones in a thread, since nobody knows how long they block."""
        if inspect.iscoroutinefunction(inspect.unwrap(fn)) or inspect.iscoroutinefunction(
            getattr(fn, "func", None)
        ):
            return await fn(*args, **kwargs)
        call = contextvars.copy_context().run
        async with self._places:
            value = await asyncio.get_running_loop().run_in_executor(
                self._threads, call, _storable, fn, args, kwargs
            )
        return await value if inspect.isawaitable(value) else value

    async def text(self, delta: str) -> None:
        await self._wait(self._say(self._text(delta)))

    async def reasoning(self, delta: str) -> None:
        await self._wait(self._say(self._reasoning(delta)))

    async def message(self, content: JsonValue, role: Role = Role.ASSISTANT) -> None:
        await self._wait(self._say(self._message(content, role)))

    async def progress(self, percent: float | None = None, step: str | None = None) -> None:
        await self._wait(self._say(self._progress(percent, step)))

    async def tool_called(self, name: str, arguments: JsonValue = None, *, call_id: str | None = None) -> str:
        call_id = word("call_id", call_id or self._session.next_call_id())
        await self._wait(self._say(self._tool_called(name, arguments, call_id)))
        return call_id

    async def tool_returned(
        self, call_id: str, result: JsonValue = None, *, name: str = "", failed: bool = False
    ) -> None:
        await self._wait(self._say(self._tool_returned(call_id, name, result, failed)))

    async def usage(
        self,
        usage: Usage | None = None,
        *,
        model: str | None = None,
        asked: str | None = None,
        **counts: float,
    ) -> None:
        await self._wait(self._say(self._usage(usage, model, asked, counts)))

    async def ask(
        self,
        question: JsonValue,
        *,
        schema: dict[str, Any] | None = None,
        key: str | None = None,
        expires_in: float | None = None,
    ) -> Any:
        session = self._session
        key = self._key(key, "ask")
        answer = session.answer_to(key)
        if answer is not MISSING:
            return answer
        session.ask(key, question, schema, expires_in)
        # What other tasks have begun is finished first: it is paid for, and its value is kept.
        await asyncio.gather(*(asyncio.wrap_future(each) for each in session.steps_in_flight()))
        raise Suspended

    def for_thread(self) -> SyncContext:
        return BlockingContext(self._session)


def _storable(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return fn(*args, **kwargs)
    except StopIteration as end:
        # A future refuses it, and whoever awaits would wait for ever.
        raise RuntimeError("the step raised StopIteration") from end


class BlockingContext(_Spoken):
    """`ports.agent.SyncContext` over a session, on a thread of the agent's own."""

    def _wait(self, written: Future[None] | None) -> None:
        if self._session.over():
            # A thread cannot be interrupted from outside; here it is, at its next word.
            raise Suspended
        if written is not None:
            written.result()

    def step(
        self,
        name: str,
        fn: Callable[..., T],
        *args: Any,
        key: str | None = None,
        kind: StepKind = StepKind.CODE,
        **kwargs: Any,
    ) -> T:
        session, name, kind = self._session, word("name", name), StepKind(kind)
        self._wait(None)
        key = self._key(key, name)
        known = session.remembered(key)
        if known is not MISSING:
            return known  # type: ignore[no-any-return]
        step = session.open_step(key, name, kind)
        token = CURRENT_STEP.set(key)
        try:
            value, written = session.close_step(step, fn(*args, **kwargs))
        except BaseException as error:
            session.fail_step(step, error)
            raise
        finally:
            CURRENT_STEP.reset(token)
            session.leave_step(step)
        self._wait(written)
        return value  # type: ignore[no-any-return]

    def text(self, delta: str) -> None:
        self._wait(self._say(self._text(delta)))

    def reasoning(self, delta: str) -> None:
        self._wait(self._say(self._reasoning(delta)))

    def message(self, content: JsonValue, role: Role = Role.ASSISTANT) -> None:
        self._wait(self._say(self._message(content, role)))

    def progress(self, percent: float | None = None, step: str | None = None) -> None:
        self._wait(self._say(self._progress(percent, step)))

    def tool_called(self, name: str, arguments: JsonValue = None, *, call_id: str | None = None) -> str:
        call_id = word("call_id", call_id or self._session.next_call_id())
        self._wait(self._say(self._tool_called(name, arguments, call_id)))
        return call_id

    def tool_returned(
        self, call_id: str, result: JsonValue = None, *, name: str = "", failed: bool = False
    ) -> None:
        self._wait(self._say(self._tool_returned(call_id, name, result, failed)))

    def usage(
        self,
        usage: Usage | None = None,
        *,
        model: str | None = None,
        asked: str | None = None,
        **counts: float,
    ) -> None:
        self._wait(self._say(self._usage(usage, model, asked, counts)))

    def ask(
        self,
        question: JsonValue,
        *,
        schema: dict[str, Any] | None = None,
        key: str | None = None,
        expires_in: float | None = None,
    ) -> Any:
        session = self._session
        key = self._key(key, "ask")
        answer = session.answer_to(key)
        if answer is not MISSING:
            return answer
        session.ask(key, question, schema, expires_in)
        wait_for_all(session.steps_in_flight())
        raise Suspended
