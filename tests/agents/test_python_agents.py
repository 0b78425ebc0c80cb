"""Every kind of function, its schema, and what its inputs may look like."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel

from runwell import Context, SyncContext, agent
from runwell.agents.python import InvalidOutput, PythonAgent, UnusableFunction
from runwell.domain.agent import TEXT_INPUT
from runwell.domain.errors import InvalidInput
from runwell.domain.ids import id_of_name
from runwell.domain.json_gate import decode
from tests.agents.recording import BlockingContext, RecordingContext


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Order:
    colour: Colour
    due: datetime
    count: int = 1


class Page(BaseModel):
    url: str
    tags: list[str] = []


async def run(subject: PythonAgent[..., Any], input: Any = None) -> tuple[Any, str]:
    context = RecordingContext(input)
    return await subject.call(context), context.recording.text


def schema(subject: PythonAgent[..., Any]) -> Any:
    return decode(subject.spec.input_schema)


async def test_a_coroutine_gets_its_context_and_a_plain_prompt():
    @agent
    async def researcher(ctx: Context, question: str) -> str:
        """Find things
        out.

        Not part of the description.
        """
        await ctx.text("hm ")
        return question.upper()

    assert await run(researcher, "why?") == ("WHY?", "hm ")
    assert await run(researcher, {"question": "why?"}) == ("WHY?", "hm ")
    spec = researcher.spec
    assert (spec.name, spec.kind, spec.id) == ("researcher", "python", id_of_name("researcher"))
    assert spec.description == "Find things out."
    assert spec.input_schema == TEXT_INPUT
    assert decode(spec.output_schema or b"") == {"type": "string"}
    assert not researcher.blocking


async def test_a_decorated_function_is_still_that_function():
    @agent(name="sum-up")
    async def add(a: int, b: int = 2) -> int:
        return a + b

    assert await add(1) == 3
    assert (add.function.__name__, add.spec.name) == ("add", "sum-up")


async def test_an_async_generator_streams():
    closed = asyncio.Event()

    @agent
    async def counter(n: int) -> AsyncIterator[str]:
        try:
            for i in range(n):
                yield f"{i} "
        finally:
            closed.set()

    assert await run(counter, 3) == (None, "0 1 2 ")
    assert counter.spec.output_schema is None
    assert not counter.blocking
    assert closed.is_set()


async def test_an_async_generator_is_closed_when_its_run_is_cancelled():
    closed = asyncio.Event()

    @agent
    async def endless() -> AsyncIterator[str]:
        try:
            yield "begun"
            await asyncio.Event().wait()
        finally:
            closed.set()

    context = RecordingContext()
    task = asyncio.create_task(endless.call(context))
    await context.heard.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()


def test_a_plain_function_blocks():
    @agent
    def shout(ctx: SyncContext, text: str) -> str:
        ctx.text("…")
        return text.upper()

    context = BlockingContext("hey")
    assert shout.blocking
    assert shout.call_blocking(context) == "HEY"
    assert context.inner.recording.text == "…"


def test_a_plain_generator_streams_and_may_return_its_output():
    @agent
    def letters(word: str) -> Generator[str, None, int]:
        yield from word
        return len(word)

    context = BlockingContext("abc")
    assert letters.blocking
    assert letters.call_blocking(context) == 3
    assert context.inner.recording.of("text") == ["a", "b", "c"]


async def test_a_generator_yields_nothing_but_text():
    @agent
    async def wrong() -> AsyncIterator[Any]:
        yield {"a": 1}

    with pytest.raises(InvalidOutput, match="'wrong' yielded dict: yield str"):
        await run(wrong)


async def test_each_way_of_running_refuses_the_other_kind():
    @agent
    async def awaited() -> None: ...

    @agent
    def threaded() -> None: ...

    with pytest.raises(TypeError, match="async"):
        awaited.call_blocking(BlockingContext())
    with pytest.raises(TypeError, match="plain function"):
        await threaded.call(RecordingContext())


def test_a_plain_function_that_returns_a_coroutine_is_told_so():
    async def inner() -> None: ...

    @agent
    def outer() -> Any:
        return inner()

    with pytest.raises(UnusableFunction, match="async def"):
        outer.call_blocking(BlockingContext())


@pytest.mark.parametrize("value", [None, "anything", {"a": 1}, []])
async def test_an_agent_without_inputs_ignores_what_is_sent(value):
    @agent
    async def tick(ctx) -> str:
        return type(ctx).__name__

    tick.check_input(value)
    assert await run(tick, value) == ("RecordingContext", "")
    assert schema(tick) == {}


async def test_inputs_become_the_types_they_are_annotated_with():
    @agent
    async def order(ctx: Context, order: Order, page: Page, extra: str = "none") -> Any:
        return [order.colour, type(order.due), order.count, page, extra]

    sent = {"order": {"colour": "red", "due": "2026-01-02T03:04:05Z"}, "page": {"url": "u"}}
    output, _ = await run(order, sent)
    assert output == [Colour.RED, datetime, 1, Page(url="u"), "none"]
    jsonschema.validate(sent, schema(order))
    assert schema(order)["required"] == ["order", "page"]
    assert schema(order)["properties"]["extra"]["default"] == "none"


async def test_a_lone_value_comes_as_it_is_or_under_its_name():
    @agent
    async def double(n: int) -> int:
        return 2 * n

    @agent
    async def show(page: Page) -> str:
        return page.url

    assert (await run(double, 4))[0] == (await run(double, {"n": 4}))[0] == 8
    assert (await run(show, {"url": "u"}))[0] == (await run(show, {"page": {"url": "u"}}))[0] == "u"
    assert schema(double) == {"type": "integer"}


async def test_an_object_that_may_be_the_value_is_the_value():
    @agent
    async def keep(data: dict[str, Any]) -> Any:
        return data

    @agent
    async def anything(data) -> Any:
        return data

    assert (await run(keep, {"data": 1}))[0] == {"data": 1}
    assert (await run(anything, {"data": 1}))[0] == {"data": 1}


@pytest.mark.parametrize("nothing", [None, {}])
async def test_defaults_stand_for_what_is_not_sent(nothing):
    @agent
    async def lone(n: int = 3) -> int:
        return n

    @agent
    async def several(a: int = 1, *, b: int = 2) -> int:
        return a + b

    assert (await run(lone, nothing))[0] == 3
    assert (await run(several, nothing))[0] == 3
    assert schema(lone) == {"type": "integer", "default": 3}


@agent
async def strict(ctx: Context, name: str, count: int = 1, order: Order | None = None) -> None: ...


@agent
async def prompt(ctx: Context, question: str) -> None: ...


@pytest.mark.parametrize(
    ("subject", "value", "path", "words"),
    [
        (prompt, 3, "$", "valid string"),
        (prompt, None, "$", "valid string"),
        (prompt, {"quest": "x"}, "$", "valid string"),
        (prompt, {"question": 3}, "$.question", "valid string"),
        (strict, "x", "$", "object"),
        (strict, {}, "$.name", "required"),
        (strict, {"name": "x", "count": "3"}, "$.count", "valid integer"),
        (strict, {"name": "x", "colour": 1}, "$.colour", "not permitted"),
        (strict, {"name": "x", "order": {"colour": "blue", "due": "x"}}, "$.order.colour", "'red'"),
    ],
)
def test_a_wrong_input_is_refused_with_the_path_to_the_fault(subject, value, path, words):
    with pytest.raises(InvalidInput, match=words) as refused:
        subject.check_input(value)
    assert refused.value.path == path
    assert subject.spec.name in refused.value.hint


def test_the_first_faults_are_named_and_the_rest_counted():
    with pytest.raises(InvalidInput) as refused:
        strict.check_input({"name": 1, "count": "a", "x": 1, "y": 2, "z": 3})
    assert str(refused.value).startswith("$.name: input should be a valid string; $.count: ")
    assert str(refused.value).endswith("and 2 more")


def test_settings_are_kept_and_checked():
    @agent(description="Does.", retries=2, timeout=30, concurrency=4, kind="tool")
    async def work() -> None: ...

    spec = work.spec
    assert (spec.description, spec.retries, spec.timeout, spec.concurrency) == ("Does.", 2, 30, 4)
    assert spec.kind == "tool"
    for wrong in ({"name": "a/b"}, {"retries": -1}, {"timeout": 0}, {"concurrency": 0}, {"kind": "robot"}):
        with pytest.raises(ValueError, match=r"must be|no name"):
            agent(**wrong)(work.function)


def test_what_cannot_be_an_agent_says_why():
    @agent
    async def loose(*args: str) -> None: ...

    @agent
    async def unknown(x: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    @agent
    async def odd(x: RecordingContext) -> None: ...

    for subject, words in ((loose, "name each input"), (unknown, "'Nowhere'"), (odd, "no JSON form")):
        with pytest.raises(UnusableFunction, match=words):
            _ = subject.spec
    with pytest.raises(UnusableFunction, match="decorates functions"):
        agent(print)
