"""What the agent of one step sees of the run: its own input, and its own keys.

It speaks inside the workflow's step. The keys of its steps begin with that step's id, so that steps
which run at the same time never share one, and every attempt gives the same.
"""

import inspect
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, NoReturn

from runwell.agents.workflow.progress import Board
from runwell.domain import json_gate
from runwell.domain.agent import WorkflowStep
from runwell.domain.json_gate import JsonValue
from runwell.domain.run import Run, Usage
from runwell.domain.step import StepKind
from runwell.domain.thread import Message, Role
from runwell.ports.agent import AskInsideStep, Context, SyncContext

WITHIN: Final[ContextVar[bool]] = ContextVar("runwell_within_own_step", default=False)
"""Whether the calling task or thread is in a step of the agent's own."""


class AskInWorkflow(AskInsideStep):
    """An agent that does a step of a workflow asked a person."""

    def __init__(self, step: str) -> None:
        RuntimeError.__init__(
            self,
            f"the agent of step {step!r} asked a question, and a workflow's step cannot wait for a person: "
            "run that agent by itself, and give its output to the workflow as input",
        )


class Part:
    """What the contexts of one step share."""

    def __init__(self, step: WorkflowStep, run: Run, input: JsonValue, board: Board) -> None:
        self.run = run
        self.input: Any = input
        content = json_gate.encode(input)
        self.messages = [
            Message(position=1, role=Role.USER, content=content, at=run.created_at, run_id=run.id)
        ]
        self.id = step.id
        self.board = board
        self._lock = threading.Lock()
        self._uses: Counter[str] = Counter()
        self._calls = itertools.count(1)
        self._said: list[str] = []

    def outcome(self, value: Any) -> Any:
        """What the step brings: the agent's value, or the text that it streamed outside of its own steps.

        Text in them is left out, as a later attempt would not hear it: those steps are not done again.
        """
        return "".join(self._said) or None if value is None else value

    def heard(self, delta: str) -> str:
        if not WITHIN.get():
            self._said.append(json_gate.clean_text(delta))
        return delta

    def key(self, key: str | None, name: str) -> str:
        if key is None:
            with self._lock:
                self._uses[name] += 1
                count = self._uses[name]
            key = name if count == 1 else f"{name}#{count}"
        return self.id + "/" + key

    def call_id(self, call_id: str | None) -> str:
        return call_id or f"{self.id}/call_{next(self._calls)}"

    def ask(self) -> NoReturn:
        raise AskInWorkflow(self.id)


class _View:
    """What a context tells of its step without asking the run. Subclasses decide how to wait."""

    def __init__(self, part: Part) -> None:
        self._part = part

    @property
    def run(self) -> Run:
        return self._part.run

    @property
    def input(self) -> Any:
        return self._part.input

    @property
    def messages(self) -> list[Message]:
        return self._part.messages


class StepContext(_View):
    """`ports.agent.Context` of one step's agent, over the run's own."""

    def __init__(self, whole: Context, part: Part) -> None:
        super().__init__(part)
        self._whole = whole

    @property
    def cancelled(self) -> bool:
        return self._whole.cancelled

    async def step(
        self,
        name: str,
        fn: Callable[..., Any],
        *args: Any,
        key: str | None = None,
        kind: StepKind = StepKind.CODE,
        **kwargs: Any,
    ) -> Any:
        key = self._part.key(key, name)
        return await self._whole.step(name, _within(fn), *args, key=key, kind=kind, **kwargs)

    async def text(self, delta: str) -> None:
        await self._whole.text(delta)
        self._part.heard(delta)

    async def reasoning(self, delta: str) -> None:
        await self._whole.reasoning(delta)

    async def message(self, content: JsonValue, role: Role = Role.ASSISTANT) -> None:
        await self._whole.message(content, role)

    async def progress(self, percent: float | None = None, step: str | None = None) -> None:
        await self._whole.progress(*self._part.board.note(self._part.id, percent, step))

    async def tool_called(self, name: str, arguments: JsonValue = None, *, call_id: str | None = None) -> str:
        return await self._whole.tool_called(name, arguments, call_id=self._part.call_id(call_id))

    async def tool_returned(
        self, call_id: str, result: JsonValue = None, *, name: str = "", failed: bool = False
    ) -> None:
        await self._whole.tool_returned(call_id, result, name=name, failed=failed)

    async def usage(
        self,
        usage: Usage | None = None,
        *,
        model: str | None = None,
        asked: str | None = None,
        **counts: float,
    ) -> None:
        await self._whole.usage(usage, model=model, asked=asked, **counts)

    async def ask(
        self,
        question: JsonValue,
        *,
        schema: dict[str, Any] | None = None,
        key: str | None = None,
        expires_in: float | None = None,
    ) -> Any:
        self._part.ask()

    def for_thread(self) -> SyncContext:
        return ThreadStepContext(self._whole.for_thread(), self._part)


class ThreadStepContext(_View):
    """`ports.agent.SyncContext` of one step's agent, a plain function."""

    def __init__(self, whole: SyncContext, part: Part) -> None:
        super().__init__(part)
        self._whole = whole

    @property
    def cancelled(self) -> bool:
        return self._whole.cancelled

    def step(
        self,
        name: str,
        fn: Callable[..., Any],
        *args: Any,
        key: str | None = None,
        kind: StepKind = StepKind.CODE,
        **kwargs: Any,
    ) -> Any:
        return self._whole.step(name, _within(fn), *args, key=self._part.key(key, name), kind=kind, **kwargs)

    def text(self, delta: str) -> None:
        self._whole.text(delta)
        self._part.heard(delta)

    def reasoning(self, delta: str) -> None:
        self._whole.reasoning(delta)

    def message(self, content: JsonValue, role: Role = Role.ASSISTANT) -> None:
        self._whole.message(content, role)

    def progress(self, percent: float | None = None, step: str | None = None) -> None:
        self._whole.progress(*self._part.board.note(self._part.id, percent, step))

    def tool_called(self, name: str, arguments: JsonValue = None, *, call_id: str | None = None) -> str:
        return self._whole.tool_called(name, arguments, call_id=self._part.call_id(call_id))

    def tool_returned(
        self, call_id: str, result: JsonValue = None, *, name: str = "", failed: bool = False
    ) -> None:
        self._whole.tool_returned(call_id, result, name=name, failed=failed)

    def usage(
        self,
        usage: Usage | None = None,
        *,
        model: str | None = None,
        asked: str | None = None,
        **counts: float,
    ) -> None:
        self._whole.usage(usage, model=model, asked=asked, **counts)

    def ask(
        self,
        question: JsonValue,
        *,
        schema: dict[str, Any] | None = None,
        key: str | None = None,
        expires_in: float | None = None,
    ) -> Any:
        self._part.ask()


@contextmanager
def _marked() -> Iterator[None]:
    token = WITHIN.set(True)
    try:
        yield
    finally:
        WITHIN.reset(token)


def _within(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn`, knowing that it is in a step; async stays async and plain stays plain."""

    async def awaiting(*args: Any, **kwargs: Any) -> Any:
        with _marked():
            value = fn(*args, **kwargs)
            return await value if inspect.isawaitable(value) else value

    def plain(*args: Any, **kwargs: Any) -> Any:
        with _marked():
            value = fn(*args, **kwargs)
        return _rest(value) if inspect.isawaitable(value) else value

    return awaiting if _is_async(fn) else plain


async def _rest(value: Any) -> Any:
    with _marked():
        return await value


def _is_async(fn: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(inspect.unwrap(fn)) or inspect.iscoroutinefunction(
        getattr(fn, "func", None)
    )
