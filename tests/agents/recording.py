"""A `Context` that writes down what an agent says, and keeps steps as the worker does.

Honest about steps: a value goes through the codec the first time too, a finished step is not done
again, a failed one is not remembered, a step's key is its name and n-th use. `ask` unwinds.
"""

import asyncio
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec.structs import replace

from runwell.domain.json_gate import Json, decode, encode, encode_any
from runwell.domain.run import NO_USAGE, Run, RunStatus, Usage
from runwell.domain.step import StepKind
from runwell.domain.thread import Message, Role
from runwell.ports.agent import AskInsideStep, Context, Suspended, SyncContext

A_RUN = Run(id="0" * 32, owner="local", agent="a", status=RunStatus.QUEUED, created_at=0, queued_at=0)
_STEP: ContextVar[str | None] = ContextVar("step", default=None)


class Said(NamedTuple):
    what: str
    value: Any
    in_step: str | None


@dataclass
class Recording:
    """What stays between the attempts of one run."""

    steps: dict[str, Json] = field(default_factory=dict)
    kinds: dict[str, StepKind] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    usage: Usage = NO_USAGE
    question: Any = None

    def of(self, what: str) -> list[Any]:
        return [said.value for said in self.said if said.what == what]

    @property
    def text(self) -> str:
        return "".join(self.of("text"))


class RecordingContext:
    """One attempt."""

    def __init__(
        self, input: Any = None, recording: Recording | None = None, history: list[Message] | None = None
    ) -> None:
        self.run = A_RUN
        self.input = input
        self.recording = recording or Recording()
        own = Message(position=len(history or []) + 1, role=Role.USER, content=encode(input), at=0)
        self.messages = [*(history or []), own]
        self.cancelled = False
        self.heard = asyncio.Event()
        """Set whenever something was said."""
        self._uses: Counter[str] = Counter()
        self._open: set[str] = set()

    def _say(self, what: str, value: Any) -> None:
        self.recording.said.append(Said(what, value, _STEP.get()))
        self.heard.set()

    async def step(
        self,
        name: str,
        fn: Callable[..., Awaitable[Any] | Any],
        *args: Any,
        key: str | None = None,
        kind: StepKind = StepKind.CODE,
        **kwargs: Any,
    ) -> Any:
        key = key or self._key(name)
        assert key not in self._open, f"two concurrent steps with the key {key}"
        if key not in self.recording.steps:
            self._open.add(key)
            token = _STEP.set(key)
            try:
                if inspect.iscoroutinefunction(fn):
                    value = await fn(*args, **kwargs)
                else:
                    value = await asyncio.to_thread(fn, *args, **kwargs)
            finally:
                _STEP.reset(token)
                self._open.discard(key)
            self.recording.steps[key] = encode_any(value)
            self.recording.kinds[key] = kind
        return decode(self.recording.steps[key])

    def _key(self, name: str) -> str:
        self._uses[name] += 1
        return name if self._uses[name] == 1 else f"{name}#{self._uses[name]}"

    async def text(self, delta: str) -> None:
        self._say("text", delta)

    async def reasoning(self, delta: str) -> None:
        self._say("reasoning", delta)

    async def message(self, content: Any, role: Role = Role.ASSISTANT) -> None:
        self._say("message", (role, content))

    async def progress(self, percent: float | None = None, step: str | None = None) -> None:
        self._say("progress", (percent, step))

    async def tool_called(self, name: str, arguments: Any = None, *, call_id: str | None = None) -> str:
        call_id = call_id or self._key(f"call-{name}")
        self._say("tool_called", (call_id, name, decode(encode(arguments))))
        return call_id

    async def tool_returned(
        self, call_id: str, result: Any = None, *, name: str = "", failed: bool = False
    ) -> None:
        self._say("tool_returned", (call_id, decode(encode(result)), failed))

    async def usage(
        self,
        usage: Usage | None = None,
        *,
        model: str | None = None,
        asked: str | None = None,
        **counts: Any,
    ) -> None:
        self._say("usage", model)
        self.recording.usage = self.recording.usage + replace(usage or NO_USAGE, **counts)

    async def ask(
        self,
        question: Any,
        *,
        schema: dict[str, Any] | None = None,
        key: str | None = None,
        expires_in: float | None = None,
    ) -> Any:
        if _STEP.get() is not None:
            raise AskInsideStep
        key = key or self._key("ask")
        if key in self.recording.answers:
            return self.recording.answers[key]
        self.recording.question = (key, decode(encode(question)), schema)
        raise Suspended

    def for_thread(self) -> "BlockingContext":
        return BlockingContext(self.input, self)


class BlockingContext:
    """The same for plain functions, called from the test itself."""

    def __init__(self, input: Any = None, inner: RecordingContext | None = None) -> None:
        self.inner = inner or RecordingContext(input)
        self.run, self.input, self.messages, self.cancelled = A_RUN, input, self.inner.messages, False

    def step(
        self,
        name: str,
        fn: Any,
        *args: Any,
        key: str | None = None,
        kind: StepKind = StepKind.CODE,
        **kw: Any,
    ) -> Any:
        return asyncio.run(self.inner.step(name, fn, *args, key=key, kind=kind, **kw))

    def text(self, delta: str) -> None:
        asyncio.run(self.inner.text(delta))

    def reasoning(self, delta: str) -> None:
        asyncio.run(self.inner.reasoning(delta))

    def message(self, content: Any, role: Role = Role.ASSISTANT) -> None:
        asyncio.run(self.inner.message(content, role))

    def progress(self, percent: float | None = None, step: str | None = None) -> None:
        asyncio.run(self.inner.progress(percent, step))

    def tool_called(self, name: str, arguments: Any = None, *, call_id: str | None = None) -> str:
        return asyncio.run(self.inner.tool_called(name, arguments, call_id=call_id))

    def tool_returned(
        self, call_id: str, result: Any = None, *, name: str = "", failed: bool = False
    ) -> None:
        asyncio.run(self.inner.tool_returned(call_id, result, name=name, failed=failed))

    def usage(
        self,
        usage: Usage | None = None,
        *,
        model: str | None = None,
        asked: str | None = None,
        **counts: float,
    ) -> None:
        asyncio.run(self.inner.usage(usage, model=model, asked=asked, **counts))

    def ask(
        self,
        question: Any,
        *,
        schema: dict[str, Any] | None = None,
        key: str | None = None,
        expires_in: float | None = None,
    ) -> Any:
        return asyncio.run(self.inner.ask(question, schema=schema, key=key, expires_in=expires_in))


def conforms(context: RecordingContext, blocking: BlockingContext) -> tuple[Context, SyncContext]:
    """Checked by mypy: both are what agents are promised."""
    return context, blocking
