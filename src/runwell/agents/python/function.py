"""The `agent` decorator and the agent it makes."""

import functools
import inspect
import re
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, closing
from typing import Any, Generic, Literal, ParamSpec, TypeVar, overload

from runwell.agents.python.errors import InvalidOutput, UnusableFunction
from runwell.agents.python.signature import Signature
from runwell.domain.agent import AgentSpec
from runwell.domain.ids import id_of_name
from runwell.domain.json_gate import JsonValue
from runwell.ports.agent import Context, SyncContext

P = ParamSpec("P")
R = TypeVar("R", covariant=True)

Kind = Literal["agent", "tool"]

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}\Z")
"""Names stand in URLs and on command lines."""


class PythonAgent(Generic[P, R]):
    """A decorated function: still callable as it was, and an `Agent` beside.

    Types are looked at when `spec` is first read, so that an annotation may name a class that is
    defined further down. Raises `UnusableFunction` then.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        retries: int = 0,
        timeout: float | None = None,
        concurrency: int | None = None,
        kind: Kind = "agent",
    ) -> None:
        if not inspect.isfunction(function):
            raise UnusableFunction(f"@agent decorates functions, and {function!r} is none")
        functools.update_wrapper(self, function)
        self.function: Callable[P, R] = function
        self.name = name if name is not None else function.__name__
        check_settings(self.name, retries, timeout, concurrency, kind)
        self._description = description if description is not None else _first_paragraph(function)
        self._retries = retries
        self._timeout = timeout
        self._concurrency = concurrency
        self._kind = kind

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<agent {self.name!r} in {self.place}>"

    @property
    def place(self) -> str:
        """Where the function is written: `file.py:12`."""
        code = inspect.unwrap(self.function).__code__
        return f"{code.co_filename}:{code.co_firstlineno}"

    @functools.cached_property
    def signature(self) -> Signature:
        return Signature(self.name, self.function)

    @functools.cached_property
    def spec(self) -> AgentSpec:
        """Its `kind` is `python`, or `tool` for functions that model agents may call."""
        return AgentSpec(
            id=id_of_name(self.name),
            name=self.name,
            kind="tool" if self._kind == "tool" else "python",
            input_schema=self.signature.input_schema,
            output_schema=self.signature.output_schema,
            description=self._description,
            retries=self._retries,
            timeout=self._timeout,
            concurrency=self._concurrency,
        )

    @functools.cached_property
    def blocking(self) -> bool:
        function = self.function
        return not (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function))

    def check_input(self, value: JsonValue) -> None:
        self.signature.arguments(value)

    async def call(self, context: Context) -> Any:
        if self.blocking:
            raise TypeError(f"agent {self.name!r} is a plain function: call_blocking runs it")
        return await self.call_with(context, self.signature.arguments(context.input))

    async def call_with(self, context: Context, arguments: dict[str, Any]) -> Any:
        """Run an async function with inputs that `signature.arguments` made."""
        args, kwargs = self.signature.bind(context, arguments)
        made: Any = self.function(*args, **kwargs)
        if isinstance(made, AsyncGenerator):
            return await self._stream(context, made)
        return await made

    def call_blocking(self, context: SyncContext) -> Any:
        if not self.blocking:
            raise TypeError(f"agent {self.name!r} is async: call runs it")
        args, kwargs = self.signature.bind(context, self.signature.arguments(context.input))
        made: Any = self.function(*args, **kwargs)
        if inspect.iscoroutine(made):
            made.close()
            raise UnusableFunction(
                f"agent {self.name!r} is a plain function that returned a coroutine: make it `async def`"
            )
        return self._stream_blocking(context, made) if isinstance(made, Generator) else made

    async def _stream(self, context: Context, pieces: AsyncGenerator[Any, None]) -> None:
        # Closed here and now: left to the garbage collector, its `finally` would run after the run ended.
        async with aclosing(pieces):
            async for piece in pieces:
                await context.text(self._text(piece))

    def _stream_blocking(self, context: SyncContext, pieces: Generator[Any, None, Any]) -> Any:
        with closing(pieces):
            while True:
                try:
                    piece = next(pieces)
                except StopIteration as end:
                    return end.value
                context.text(self._text(piece))

    def _text(self, piece: object) -> str:
        if not isinstance(piece, str):
            raise InvalidOutput(self.name, piece)
        return piece


@overload
def agent(function: Callable[P, R], /) -> PythonAgent[P, R]: ...


@overload
def agent(
    *,
    name: str | None = None,
    description: str | None = None,
    retries: int = 0,
    timeout: float | None = None,
    concurrency: int | None = None,
    kind: Kind = "agent",
) -> Callable[[Callable[P, R]], PythonAgent[P, R]]: ...


def agent(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    retries: int = 0,
    timeout: float | None = None,
    concurrency: int | None = None,
    kind: Kind = "agent",
) -> Any:
    """Make a function an agent; it stays callable as it is.

    Coroutines, plain functions (run in a thread) and generators of both, whose pieces are streamed
    as text. `name` is the function's unless given, `description` its docstring's first paragraph.
    `retries` is how often an exception is tried again, `timeout` (s) how long a run may work,
    `concurrency` how many run at once. `kind="tool"` is a function that model agents may call.
    Raises `UnusableFunction` and `ValueError`.
    """
    made = functools.partial(
        PythonAgent,
        name=name,
        description=description,
        retries=retries,
        timeout=timeout,
        concurrency=concurrency,
        kind=kind,
    )
    return made if function is None else made(function)


def check_settings(
    name: str, retries: int, timeout: float | None, concurrency: int | None, kind: str = "agent"
) -> None:
    """Raise `ValueError` for a setting that no agent can have."""
    if not NAME.match(name):
        raise ValueError(f"{name!r} is no name for an agent: letters, digits and _ . : -, at most 100")
    if retries < 0:
        raise ValueError(f"agent {name!r}: retries={retries} must be 0 or more")
    if timeout is not None and not timeout > 0:
        raise ValueError(f"agent {name!r}: timeout={timeout} must be more than 0 seconds")
    if concurrency is not None and concurrency < 1:
        raise ValueError(f"agent {name!r}: concurrency={concurrency} must be 1 or more")
    if kind not in ("agent", "tool"):
        raise ValueError(f'agent {name!r}: kind={kind!r} must be "agent" or "tool"')


def _first_paragraph(function: Callable[..., Any]) -> str:
    paragraph = (inspect.getdoc(function) or "").partition("\n\n")[0]
    return " ".join(paragraph.split())
