"""What agents hand over that cannot be kept: told to the agent in its own line, or cleaned."""

import threading
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runwell import Context, SyncContext, agent
from runwell.domain.events import LoggedEvent, TextDelta, ToolCalled, ToolReturned, UsageCounted, encode_event
from runwell.domain.json_gate import clean_text, decode
from runwell.domain.memory import remember
from runwell.domain.run import Reason, RunStatus, Usage
from runwell.domain.step import StepKind
from runwell.engine import read
from runwell.ports.agent import AgentFailed
from runwell.worker.checks import counted, deadline
from tests.support.machines import (
    OWNER,
    a_machine,
    answer,
    finish,
    run_to_end,
    start,
    types,
    waiting,
    whole_log,
)

SURROGATE = "bad \ud83d"


class Text(str):
    """What some libraries return for text."""


class Wordless(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Undumpable:
    def model_dump(self, mode: str) -> object:
        raise KeyError("x")


async def one() -> int:
    return 1


async def fails_with_junk() -> None:
    raise ValueError(SURROGATE)


@agent
async def wordless() -> None:
    raise Wordless


@agent
async def undumpable() -> object:
    return Undumpable()


@agent
async def failed_with_junk() -> None:
    raise AgentFailed("model_error", SURROGATE)


@agent
async def failed_without_words() -> None:
    raise AgentFailed("model_error", Wordless())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("broken", "code", "message"),
    [
        (wordless, "Wordless", "Wordless"),
        (undumpable, "KeyError", "'x'"),
        (failed_with_junk, "model_error", "bad \ufffd"),
        (failed_without_words, "model_error", "model_error"),
    ],
)
async def test_however_broken_its_end_is_the_run_fails(
    tmp_path: Path, broken: Any, code: str, message: str
) -> None:
    async with a_machine(tmp_path / "r.db", broken) as machine:
        run = await run_to_end(machine, broken.name)
        assert run.status is RunStatus.FAILED and run.error is not None
        assert (run.error.code, run.error.message) == (code, message)


async def test_junk_in_a_steps_error_costs_nothing_but_the_junk(tmp_path: Path) -> None:
    @agent
    async def catches(ctx: Context) -> str:
        with pytest.raises(ValueError, match="bad"):
            await ctx.step("s", fails_with_junk)
        await ctx.text("still here")
        return await ctx.step("t", lambda: "kept")

    async with a_machine(tmp_path / "r.db", catches) as machine:
        run = await run_to_end(machine, "catches")
        assert run.status is RunStatus.SUCCEEDED and decode(run.output or b"") == "kept"
        failed, _ = await read.steps(machine.core, OWNER, run.id)
        assert failed.error is not None and failed.error.message == "bad \ufffd"


async def test_a_step_that_raises_stop_iteration_fails_like_any_other(tmp_path: Path) -> None:
    @agent
    async def exhausted(ctx: Context) -> None:
        await ctx.step("s", lambda: next(iter([])))

    async with a_machine(tmp_path / "r.db", exhausted) as machine:
        run = await run_to_end(machine, "exhausted")
        assert run.error is not None and "StopIteration" in run.error.message


async def test_names_keys_and_ids_are_cleaned(tmp_path: Path) -> None:
    @agent
    async def sloppy(ctx: Context) -> str:
        await ctx.step(SURROGATE, one, key=Text(SURROGATE), kind="tool")  # type: ignore[call-overload]
        call = await ctx.tool_called(Text(SURROGATE), {}, call_id=SURROGATE)
        await ctx.tool_returned(call, name=SURROGATE)
        await ctx.usage(input_tokens=1, model=SURROGATE)
        return "done"

    async with a_machine(tmp_path / "r.db", sloppy) as machine:
        run = await run_to_end(machine, "sloppy")
        assert run.status is RunStatus.SUCCEEDED, run.error
        (step,) = await read.steps(machine.core, OWNER, run.id)
        assert (step.key, step.name, step.kind) == ("bad \ufffd", "bad \ufffd", StepKind.TOOL)
        said = [line.event for line in await whole_log(machine, run.id)]
        called = next(event for event in said if isinstance(event, ToolCalled))
        returned = next(event for event in said if isinstance(event, ToolReturned))
        usage = next(event for event in said if isinstance(event, UsageCounted))
        assert {called.name, called.call_id, returned.name, returned.call_id, usage.model} == {"bad \ufffd"}


Call = Callable[[Any], Awaitable[Any]]
REFUSED: list[tuple[str, Call, type[Exception]]] = [
    ("a step's key", lambda ctx: ctx.step("s", one, key=5), TypeError),
    ("a step's name", lambda ctx: ctx.step(5, one), TypeError),
    ("a step's kind", lambda ctx: ctx.step("s", one, kind="no such kind"), ValueError),
    ("a call's id", lambda ctx: ctx.tool_called("x", {}, call_id=7), TypeError),
    ("a tool's name", lambda ctx: ctx.tool_called(b"x", {}), TypeError),
    ("a returned call's id", lambda ctx: ctx.tool_returned(7), TypeError),
    ("text", lambda ctx: ctx.text(b"x"), TypeError),
    ("reasoning", lambda ctx: ctx.reasoning(None), TypeError),
    ("percent", lambda ctx: ctx.progress(float("nan")), ValueError),
    ("progress", lambda ctx: ctx.progress(1, 2), TypeError),
    ("a model", lambda ctx: ctx.usage(model=1), TypeError),
    ("a count", lambda ctx: ctx.usage(input_tokens=1.5), ValueError),
    ("an ask's key", lambda ctx: ctx.ask("q", key=1), TypeError),
    ("an expiry", lambda ctx: ctx.ask("q", expires_in=float("nan")), ValueError),
    ("a past expiry", lambda ctx: ctx.ask("q", expires_in=-1), ValueError),
    ("a late expiry", lambda ctx: ctx.ask("q", expires_in=1e300), ValueError),
    ("no number", lambda ctx: ctx.ask("q", expires_in="soon"), TypeError),
]


@pytest.mark.parametrize("blocking", [False, True])
async def test_wrong_values_are_refused_in_the_agents_own_line(tmp_path: Path, blocking: bool) -> None:
    raised: dict[str, type[Exception]] = {}

    @agent
    async def careless(ctx: Context) -> str:
        for what, call, _ in REFUSED:
            try:
                await call(ctx)
            except Exception as error:  # noqa: BLE001 - which one is what is asked
                raised[what] = type(error)
        return "went on"

    @agent(name="careless")
    def careless_function(ctx: SyncContext) -> str:
        for what, call, _ in REFUSED:
            try:
                call(ctx)
            except Exception as error:  # noqa: BLE001 - which one is what is asked
                raised[what] = type(error)
        return "went on"

    async with a_machine(tmp_path / "r.db", careless_function if blocking else careless) as machine:
        run = await run_to_end(machine, "careless")
        assert run.status is RunStatus.SUCCEEDED and decode(run.output or b"") == "went on"
        assert raised == {what: error for what, _, error in REFUSED}
        assert await types(machine, run.id) == ["run.created", "attempt.started", "run.succeeded"]


@pytest.mark.parametrize(
    ("counts", "error"),
    [
        ({"cost": float("nan")}, ValueError),
        ({"cost": float("inf")}, ValueError),
        ({"cost": -0.1}, ValueError),
        ({"cost": "1"}, TypeError),
        ({"input_tokens": 2**63}, ValueError),
        ({"input_tokens": -1}, ValueError),
        ({"input_tokens": 0.5}, ValueError),
        ({"no_such": 1}, TypeError),
    ],
)
def test_usage_that_cannot_be_added_up_is_refused(counts: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(counts))):
        counted(None, counts)


def test_usage_is_refused_in_a_usage_too_and_numbers_get_the_fields_type() -> None:
    with pytest.raises(ValueError, match="input_tokens"):
        counted(Usage(input_tokens=1.5), {})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="dict"):
        counted({}, {})  # type: ignore[arg-type]
    total = counted(Usage(input_tokens=2, cost=1), {"input_tokens": 3.0, "cost": Decimal("0.5")})
    assert total == Usage(input_tokens=5, cost=1.5)
    assert (type(total.input_tokens), type(total.cost)) == (int, float)


def test_a_deadline_is_an_instant_that_can_be_written() -> None:
    assert deadline(0, 1.5) == 1_500_000
    with pytest.raises(ValueError, match="inf"):
        deadline(0, float("inf"))


async def test_a_refused_question_is_not_asked(tmp_path: Path) -> None:
    @agent
    async def asks(ctx: Context) -> str:
        with pytest.raises(ValueError, match="nan"):
            await ctx.ask("first", expires_in=float("nan"))
        await ctx.step("not suspended", one)
        return str(await ctx.ask("second", key="k"))

    async with a_machine(tmp_path / "r.db", asks) as machine:
        run = await start(machine, "asks")
        asked = (await waiting(machine, run.id)).question
        assert asked is not None and asked.key == "k"


async def test_empty_pieces_of_text_are_not_written_and_do_not_restart_the_output(tmp_path: Path) -> None:
    @agent
    async def halting(ctx: Context) -> str:
        await ctx.text("hello")
        await ctx.text("")
        await ctx.reasoning("")
        await ctx.ask("?")
        await ctx.message("next")
        return "done"

    async with a_machine(tmp_path / "r.db", halting) as machine:
        run = await start(machine, "halting")
        await waiting(machine, run.id)
        await answer(machine, run.id, 1)
        assert (await finish(machine, run.id)).status is RunStatus.SUCCEEDED
        kinds = await types(machine, run.id)
        assert kinds.count("output.text_delta") == 1 and "output.restarted" not in kinds


def test_empty_pieces_in_old_logs_are_not_expected_again() -> None:
    said = [TextDelta(text="a"), TextDelta(text="")]
    log = [LoggedEvent(seq, 0, event.type, encode_event(event)) for seq, event in enumerate(said, 1)]
    assert remember(log).said == {None: [said[0]]}


def test_cleaned_text_is_a_plain_string() -> None:
    cleaned = clean_text(Text("a\x00"))
    assert (cleaned, type(cleaned), type(clean_text(Text("a")))) == ("a\ufffd", str, str)


async def test_an_output_is_written_and_measured_on_the_agents_own_thread(tmp_path: Path) -> None:
    threads: list[threading.Thread] = []

    class Model:
        def model_dump(self, mode: str) -> object:
            threads.append(threading.current_thread())
            return "x" * 2_000

    @agent
    async def loud() -> object:
        return Model()

    @agent
    def plainly_loud() -> object:
        return Model()

    async with a_machine(tmp_path / "r.db", loud, plainly_loud, max_output=1_024) as machine:
        for name in ("loud", "plainly_loud"):
            run = await run_to_end(machine, name)
            assert run.reason is not None and run.reason == Reason.OUTPUT_TOO_LARGE
    assert len(threads) == 2 and threading.main_thread() not in threads
