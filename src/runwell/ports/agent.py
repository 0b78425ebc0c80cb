"""An agent, and what it sees while it runs."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar, overload

from runwell.domain.agent import AgentSpec
from runwell.domain.json_gate import Json, JsonValue
from runwell.domain.run import Run, Usage
from runwell.domain.step import StepKind
from runwell.domain.thread import Message, Role

T = TypeVar("T")


class Suspended(BaseException):
    """Unwinds an agent that asked a question, or whose attempt is over.

    A `BaseException`, so that an agent's `except Exception` does not stop it.
    """


class AskInsideStep(RuntimeError):
    """`ask` was called inside a step: the step would be half done while nobody works on it."""

    def __init__(self) -> None:
        super().__init__("ask() inside a step: ask before the step or after it, and pass the answer in")


class Context(Protocol):
    """An async agent's view of its run. Safe to use from several tasks at once."""

    @property
    def run(self) -> Run:
        """The run as it was when this attempt started."""
        ...

    @property
    def input(self) -> Any:
        """The run's input, plain JSON."""
        ...

    @property
    def messages(self) -> list[Message]:
        """The thread's messages up to and with this run's input; just that one without a thread."""
        ...

    @property
    def cancelled(self) -> bool:
        """Somebody cancelled the run. Async agents are interrupted anyway."""
        ...

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
    ) -> T:
        """Do `fn(*args, **kwargs)` once for this run and remember its value, whatever crashes.

        A step that finished is not run again: its value comes from the log, as plain JSON, the
        first time too. Its key is the name and its n-th use (`search`, `search#2`), or `key`,
        which concurrent steps of one name need. What `fn` raises is raised here; a failed step is
        not remembered. A plain function runs in a thread.
        """
        ...

    async def text(self, delta: str) -> None:
        """Stream a piece of text to whoever watches."""
        ...

    async def reasoning(self, delta: str) -> None:
        """Stream a piece of reasoning."""
        ...

    async def message(self, content: JsonValue, role: Role = Role.ASSISTANT) -> None:
        """Say a whole message."""
        ...

    async def progress(self, percent: float | None = None, step: str | None = None) -> None:
        """How far it is (0 to 100) and what it does now, in words for a person."""
        ...

    async def tool_called(self, name: str, arguments: JsonValue = None, *, call_id: str | None = None) -> str:
        """Note that a tool is being called; returns the call's id."""
        ...

    async def tool_returned(
        self, call_id: str, result: JsonValue = None, *, name: str = "", failed: bool = False
    ) -> None:
        """Note what the call brought."""
        ...

    async def usage(
        self,
        usage: Usage | None = None,
        *,
        model: str | None = None,
        asked: str | None = None,
        **counts: float,
    ) -> None:
        """Count what was consumed: a `Usage`, or its fields (`input_tokens=12`).

        `model` is the name that the provider reports, `asked` the one it was asked by: the operator's
        price table may know either.
        """
        ...

    async def ask(
        self,
        question: JsonValue,
        *,
        schema: dict[str, Any] | None = None,
        key: str | None = None,
        expires_in: float | None = None,
    ) -> Any:
        """Ask a person and wait, at no cost, for as long as it takes.

        The attempt ends here; after the answer the agent runs again from the top, finished steps
        and given answers are returned from the log. Raises `AskInsideStep`.
        """
        ...

    def for_thread(self) -> "SyncContext":
        """The same view for plain code, which this agent calls in a thread: every method blocks."""
        ...


class SyncContext(Protocol):
    """The same for agents that are plain functions: every method blocks."""

    @property
    def run(self) -> Run: ...
    @property
    def input(self) -> Any: ...
    @property
    def messages(self) -> list[Message]: ...
    @property
    def cancelled(self) -> bool: ...

    def step(
        self,
        name: str,
        fn: Callable[..., T],
        *args: Any,
        key: str | None = None,
        kind: StepKind = StepKind.CODE,
        **kwargs: Any,
    ) -> T: ...
    def text(self, delta: str) -> None: ...
    def reasoning(self, delta: str) -> None: ...
    def message(self, content: JsonValue, role: Role = Role.ASSISTANT) -> None: ...
    def progress(self, percent: float | None = None, step: str | None = None) -> None: ...
    def tool_called(self, name: str, arguments: JsonValue = None, *, call_id: str | None = None) -> str: ...
    def tool_returned(
        self, call_id: str, result: JsonValue = None, *, name: str = "", failed: bool = False
    ) -> None: ...
    def usage(
        self,
        usage: Usage | None = None,
        *,
        model: str | None = None,
        asked: str | None = None,
        **counts: float,
    ) -> None: ...
    def ask(
        self,
        question: JsonValue,
        *,
        schema: dict[str, Any] | None = None,
        key: str | None = None,
        expires_in: float | None = None,
    ) -> Any: ...


class AgentFailed(Exception):
    """An adapter's way to say why, instead of a bare exception: `reason` is a `Reason` value."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Agent(Protocol):
    """Something that can be run. Adapters make these out of functions and framework objects."""

    @property
    def spec(self) -> AgentSpec: ...

    @property
    def blocking(self) -> bool:
        """True: `call_blocking` is used, in a thread of its own; False: `call`, on the agent loop."""
        ...

    def check_input(self, value: JsonValue) -> None:
        """Raise `InvalidInput` when `value` does not fit; called before a run is queued."""
        ...

    async def call(self, context: Context) -> Any:
        """Run to the end. The value becomes the run's output; None means: the text streamed."""
        ...

    def call_blocking(self, context: SyncContext) -> Any: ...


Reach = Callable[[str], Awaitable[Sequence[str]]]
"""The IP addresses behind a URL that may be connected to, the preferred one first; at least one. Raises
`AddressRefused`. May be called on any loop."""


class AgentCatalog(Protocol):
    """Which agents this process can run."""

    def find(self, name: str, definition: Json | None) -> Agent | None:
        """The agent to run: made from `definition` when the run carries one, else by name."""
        ...

    @property
    def specs(self) -> list[AgentSpec]:
        """All code agents; the first is the default."""
        ...
