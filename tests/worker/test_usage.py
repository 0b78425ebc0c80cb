"""What a run consumed is there however it ended, and its steps and its log say the same.

The agents of these tests ask the scripted model over real HTTP. It is asked for the usage in every
chunk, as some servers send it: only then is it known what an answer that broke off had cost.
"""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIChatModelSettings
from pydantic_ai.models.test import TestModel
from pydantic_ai.providers.openai import OpenAIProvider

from runwell import Context, SyncContext, agent
from runwell.agents.pydantic_ai import PydanticAgent
from runwell.agents.scripted import ScriptedModel
from runwell.domain.events import UsageCounted
from runwell.domain.prices import Price
from runwell.domain.run import NO_USAGE, Reason, Run, RunStatus, Usage
from runwell.engine import control
from runwell.wiring import Machine
from tests.support.machines import (
    LONG,
    OWNER,
    a_machine,
    answer,
    cancel,
    finish,
    run_to_end,
    start,
    until,
    until_said,
    waiting,
    whole_log,
)

PRICE = Price(input=100.0, output=1_000.0, cached=10.0, credits_input=1.0, credits_output=10.0)
PRICES = {"scripted": PRICE}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as model:
        yield model


def chat(model: ScriptedModel, name: str = "scripted") -> OpenAIChatModel:
    client = AsyncOpenAI(base_url=model.base_url, api_key="k", max_retries=0)
    counting = OpenAIChatModelSettings(openai_continuous_usage_stats=True)
    return OpenAIChatModel(name, provider=OpenAIProvider(openai_client=client), settings=counting)


def clerk(model: ScriptedModel) -> PydanticAgent:
    wrapped = Agent(chat(model), system_prompt="Be brief and kind.")

    @wrapped.tool_plain
    async def now() -> str:
        return "twelve noon"

    @wrapped.tool_plain
    async def wait() -> None:
        await asyncio.Event().wait()

    @wrapped.tool_plain
    async def breaks() -> None:
        raise KeyError("spoon")

    return PydanticAgent(wrapped, name="clerk")


def whole(usage: Usage) -> tuple[Any, ...]:
    """Comparable: sums of floats depend on their order."""
    return (
        usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens,
        usage.model_calls, usage.tool_calls, round(usage.cost, 12), round(usage.credits, 9),
    )  # fmt: skip


def added(usages: list[Usage]) -> Usage:
    return sum(usages, NO_USAGE)


async def agrees(machine: Machine, run: Run, outside: Usage = NO_USAGE) -> Usage:
    """The run's usage, held against its log and its steps; `outside` was counted in no step."""
    run = await machine.store.runs.get(run.id)
    counted = [
        line.event for line in await whole_log(machine, run.id) if isinstance(line.event, UsageCounted)
    ]
    assert whole(added([event.usage for event in counted])) == whole(run.usage)
    steps = added([step.usage for step in await machine.store.steps.of(run.id)])
    assert whole(steps + outside) == whole(run.usage)
    assert whole(added([event.usage for event in counted if event.in_step is None])) == whole(outside)
    assert min(whole(run.usage)) >= 0
    return run.usage


async def test_a_success_is_priced_step_by_step(path: Path, model: ScriptedModel) -> None:
    script = "[[reason: hm so]] [[say: a b]] [[tool: now]] [[say: c d e]]"
    async with a_machine(path, clerk(model), prices=PRICES) as machine:
        run = await run_to_end(machine, "clerk", script)
        usage = await agrees(machine, run)
    asked = 4 + len(script.split())
    first = Usage(input_tokens=asked, cached_tokens=4, output_tokens=2 + 2 + 2, reasoning_tokens=2)
    second = Usage(input_tokens=asked + 2 + 2 + 2, cached_tokens=4, output_tokens=3)
    assert run.status is RunStatus.SUCCEEDED
    assert usage.input_tokens == first.input_tokens + second.input_tokens
    assert usage.output_tokens == first.output_tokens + second.output_tokens
    assert (usage.cached_tokens, usage.reasoning_tokens) == (8, 2)
    assert (usage.model_calls, usage.tool_calls) == (2, 1)
    assert usage.cost == pytest.approx(PRICE.cost(first) + PRICE.cost(second))
    fresh = usage.input_tokens - 8
    assert usage.cost == pytest.approx((fresh * 100 + 8 * 10 + usage.output_tokens * 1_000) / 1e6)
    assert usage.credits == pytest.approx((usage.input_tokens * 1.0 + usage.output_tokens * 10.0) / 1_000)


async def test_each_step_has_its_own_share(path: Path, model: ScriptedModel) -> None:
    async with a_machine(path, clerk(model), prices=PRICES) as machine:
        run = await run_to_end(machine, "clerk", "[[tool: now]] [[tool: now]] [[say: c]]")
        steps = await machine.store.steps.of(run.id)
        assert [(s.name, s.usage.model_calls, s.usage.tool_calls) for s in steps] == [
            ("model", 1, 0), ("now", 0, 1), ("now", 0, 1), ("model", 1, 0),
        ]  # fmt: skip
        assert [s.usage.output_tokens for s in steps] == [4, 0, 0, 1]
        assert [s.usage.cost > 0 for s in steps] == [True, False, False, True]


async def test_a_failed_request_counts_what_was_streamed(path: Path, model: ScriptedModel) -> None:
    async with a_machine(path, clerk(model), prices=PRICES) as machine:
        run = await run_to_end(machine, "clerk", "[[words: 9]] [[error: 500 after=2]]")
        assert (run.status, run.reason) == (RunStatus.FAILED, Reason.MODEL_ERROR)
        usage = await agrees(machine, run)
    assert (usage.model_calls, usage.output_tokens, usage.input_tokens) == (1, 2, 4 + 5)
    assert usage.cost == pytest.approx((5 * 100 + 4 * 10 + 2 * 1_000) / 1e6)


async def test_a_refused_request_is_a_call_without_tokens(path: Path, model: ScriptedModel) -> None:
    async with a_machine(path, clerk(model), prices=PRICES) as machine:
        run = await run_to_end(machine, "clerk", "[[error: 401]]")
        assert await agrees(machine, run) == Usage(model_calls=1)


async def test_a_tool_that_breaks_leaves_what_was_used_before(path: Path, model: ScriptedModel) -> None:
    async with a_machine(path, clerk(model), prices=PRICES) as machine:
        run = await run_to_end(machine, "clerk", "[[say: a]] [[tool: breaks]]")
        assert run.status is RunStatus.FAILED
        usage = await agrees(machine, run)
    assert (usage.model_calls, usage.tool_calls, usage.output_tokens) == (1, 1, 1 + 2)


async def words_said(machine: Machine, run: Run, number: int) -> None:
    await until_said(machine, run.id, lambda log: sum(e.type == "output.text_delta" for e in log) == number)


async def test_a_cancel_in_mid_stream_counts_what_was_streamed(path: Path, model: ScriptedModel) -> None:
    async with a_machine(path, clerk(model), prices=PRICES) as machine:
        run = await start(machine, "clerk", "[[words: 9]] [[hang after=4]]")
        await words_said(machine, run, 4)
        await cancel(machine, run.id)
        assert (await finish(machine, run.id)).status is RunStatus.CANCELLED
        usage = await agrees(machine, run)
        stats = await model.until(lambda stats: stats.disconnects == 1)
    assert (usage.model_calls, usage.input_tokens, usage.output_tokens) == (1, 4 + 4, 4)
    assert usage.cost == pytest.approx((4 * 100 + 4 * 10 + 4 * 1_000) / 1e6)
    assert usage.credits == pytest.approx((8 * 1.0 + 4 * 10.0) / 1_000)
    assert stats.requests == 1


async def test_a_timeout_in_mid_stream_counts_what_was_streamed(path: Path, model: ScriptedModel) -> None:
    async with a_machine(path, clerk(model), prices=PRICES) as machine:
        run = await run_to_end(machine, "clerk", "[[words: 9]] [[hang after=4]]", timeout=2.0)
        assert (run.status, run.reason) == (RunStatus.FAILED, Reason.TIMED_OUT)
        usage = await agrees(machine, run)
    assert (usage.model_calls, usage.output_tokens) == (1, 4)
    assert usage.cost > 0


async def test_a_cancelled_tool_keeps_the_request_before_it(path: Path, model: ScriptedModel) -> None:
    async with a_machine(path, clerk(model), prices=PRICES) as machine:
        run = await start(machine, "clerk", "[[tool: wait]]")
        await until_said(machine, run.id, lambda log: log[-1].type == "output.usage_counted" and len(log) > 8)
        await cancel(machine, run.id)
        await finish(machine, run.id)
        usage = await agrees(machine, run)
    assert (usage.model_calls, usage.tool_calls, usage.output_tokens) == (1, 1, 2)


async def test_a_server_that_stops_keeps_its_usage_and_the_next_adds_its_own(
    path: Path, model: ScriptedModel
) -> None:
    async with a_machine(path, clerk(model), prices=PRICES) as machine:
        run = await start(machine, "clerk", "[[tool: now]] [[words: 9]] [[hang after=4]]")
        await words_said(machine, run, 4)
    async with a_machine(path, clerk(model), prices=PRICES) as machine:
        await until(machine, run.id, lambda run: run.usage.model_calls == 3)
        await model.until(lambda stats: stats.open == 1)
        await cancel(machine, run.id)
        await finish(machine, run.id)
        usage = await agrees(machine, run)
        steps = await machine.store.steps.of(run.id)
    assert model.stats.requests == 3
    assert (usage.model_calls, usage.tool_calls) == (3, 1)
    assert [s.usage.model_calls for s in steps] == [1, 0, 2]
    assert steps[2].usage.output_tokens >= 4


async def test_every_try_of_an_agent_counts(path: Path) -> None:
    @agent(retries=1)
    async def unlucky(ctx: Context) -> str:
        async def pay() -> None:
            await ctx.usage(input_tokens=100, model="scripted")
            if ctx.run.tries == 0:
                raise ValueError("first")

        await ctx.usage(output_tokens=1, model="scripted")
        await ctx.step("pay", pay)
        return "done"

    async with a_machine(path, unlucky, prices=PRICES) as machine:
        run = await run_to_end(machine, "unlucky")
        assert (run.status, run.attempt) == (RunStatus.SUCCEEDED, 2)
        outside = Usage(output_tokens=2, cost=2 * 1_000 / 1e6, credits=2 * 10 / 1_000)
        usage = await agrees(machine, run, outside)
    assert (usage.input_tokens, usage.output_tokens) == (200, 2)


async def test_a_question_costs_a_finished_step_nothing_again(path: Path) -> None:
    @agent
    async def asks(ctx: Context) -> str:
        async def pay() -> None:
            await ctx.usage(input_tokens=100, model_calls=1)

        await ctx.step("pay", pay)
        await ctx.usage(tool_calls=1)
        return str(await ctx.ask("Go on?"))

    async with a_machine(path, asks) as machine:
        run = await start(machine, "asks")
        await waiting(machine, run.id)
        await answer(machine, run.id, "yes")
        await finish(machine, run.id)
        usage = await agrees(machine, run, outside=Usage(tool_calls=2))
    assert usage == Usage(input_tokens=100, model_calls=1, tool_calls=2)


async def test_steps_within_steps_and_beside_each_other_add_up(path: Path) -> None:
    @agent
    async def nested(ctx: Context) -> None:
        async def inner(tokens: int) -> None:
            await ctx.usage(input_tokens=tokens, model="scripted")

        async def outer(tokens: int) -> None:
            await ctx.usage(output_tokens=tokens, model="scripted")
            await ctx.step("inner", inner, tokens, key=f"inner {tokens}")

        await asyncio.gather(*(ctx.step("outer", outer, n, key=f"outer {n}") for n in (1, 20, 300)))
        await ctx.usage(output_tokens=4_000, model="scripted")

    async with a_machine(path, nested, prices=PRICES) as machine:
        run = await run_to_end(machine, "nested")
        outside = Usage(output_tokens=4_000, cost=4.0, credits=40.0)
        usage = await agrees(machine, run, outside)
        steps = {step.key: step.usage for step in await machine.store.steps.of(run.id)}
    assert (usage.input_tokens, usage.output_tokens) == (321, 4_321)
    assert steps["inner 20"] == Usage(input_tokens=20, cost=20 * 100 / 1e6, credits=20 * 1.0 / 1_000)
    assert steps["outer 300"].input_tokens == 0


async def test_a_plain_function_is_priced_and_kept_when_it_is_cancelled(path: Path) -> None:
    begun, released = threading.Event(), threading.Event()

    @agent
    def plain(ctx: SyncContext) -> None:
        ctx.step("pay", lambda: ctx.usage(input_tokens=1_000_000, model="gpt-x", asked="openai:scripted"))
        ctx.usage(output_tokens=1_000_000, model="scripted")
        begun.set()
        released.wait(LONG)
        ctx.text("never")

    async with a_machine(path, plain, prices=PRICES) as machine:
        run = await start(machine, "plain")
        assert await asyncio.to_thread(begun.wait, LONG)
        await cancel(machine, run.id)
        released.set()
        assert (await finish(machine, run.id)).status is RunStatus.CANCELLED
        outside = Usage(output_tokens=1_000_000, cost=1_000.0, credits=10_000.0)
        usage = await agrees(machine, run, outside)
    assert (usage.cost, usage.credits) == (1_100.0, 11_000.0)


async def test_a_retry_inherits_the_work_and_not_the_bill(path: Path) -> None:
    @agent
    async def once(ctx: Context) -> str:
        async def pay() -> None:
            await ctx.usage(input_tokens=100, model="scripted")

        await ctx.step("pay", pay)
        if ctx.run.retry_of is None:
            raise ValueError("first")
        return "done"

    async with a_machine(path, once, prices=PRICES) as machine:
        first = await run_to_end(machine, "once")
        assert (await agrees(machine, first)).input_tokens == 100
        second = await control.retry(machine.core, OWNER, first.id)
        ended = await finish(machine, second.run.id)
        assert ended.status is RunStatus.SUCCEEDED
        assert await agrees(machine, ended) == NO_USAGE


async def test_without_a_table_everything_stays_as_it_was_said(path: Path) -> None:
    said = Usage(input_tokens=10, output_tokens=3, model_calls=1, cost=0.5, credits=2.0)

    @agent
    async def says(ctx: Context) -> None:
        await ctx.usage(said, model="scripted")

    async with a_machine(path, says) as machine:
        assert await agrees(machine, await run_to_end(machine, "says"), outside=said) == said


async def test_the_log_names_the_model_that_answered(path: Path, model: ScriptedModel) -> None:
    async with a_machine(path, clerk(model), prices=PRICES) as machine:
        run = await run_to_end(machine, "clerk", "[[say: a]]")
        log = await whole_log(machine, run.id)
    models = [line.event.model for line in log if isinstance(line.event, UsageCounted)]
    assert models == ["scripted", "scripted"]


async def test_a_chain_of_models_counts_those_that_failed_too(path: Path, model: ScriptedModel) -> None:
    with ScriptedModel() as dead:
        broken = chat(dead, "broken")
    chain = PydanticAgent(Agent(FallbackModel(broken, chat(model))), name="chain")
    prices = {"fallback:*": Price(input=9.0, output=9.0), **PRICES}
    async with a_machine(path, chain, prices=prices) as machine:
        run = await run_to_end(machine, "chain", "[[say: a b]]")
        usage = await agrees(machine, run)
        failed = await run_to_end(machine, "chain", "[[error: 500]]")
        assert await agrees(machine, failed) == Usage(model_calls=2)
    assert (usage.model_calls, usage.output_tokens) == (2, 2)
    assert usage.cost == pytest.approx((3 * 100 + 2 * 1_000) / 1e6)


class Mute(TestModel):
    """Cannot stream, so that a chain may reject its answers."""

    def request_stream(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


@pytest.mark.filterwarnings("ignore:.*response handlers:UserWarning")
async def test_a_rejected_answer_of_a_chain_is_paid_for(path: Path) -> None:
    def poor(response: ModelResponse) -> bool:
        return response.model_name == "first"

    first = Mute(model_name="first", custom_output_text="one")
    second = Mute(model_name="second", custom_output_text="one two")
    chain = PydanticAgent(Agent(FallbackModel(first, second, fallback_on=poor)), name="chain")
    prices = {"first": Price(input=0.0, output=1_000.0), "second": Price(input=0.0, output=10.0)}
    async with a_machine(path, chain, prices=prices) as machine:
        usage = await agrees(machine, await run_to_end(machine, "chain", "hi"))
    assert (usage.model_calls, usage.output_tokens) == (2, 1 + 2)
    assert usage.cost == pytest.approx((1 * 1_000 + 2 * 10) / 1e6)
