"""Agents of a model for kill tests. Their tools leave a line in a journal that no crash takes back."""

import asyncio
import os
from pathlib import Path

from pydantic_ai import Agent, RunContext
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from runwell import Context, agent


def note(line: str) -> None:
    with Path(os.environ["JOURNAL"]).open("a", encoding="utf-8") as journal:
        journal.write(f"{line}\n")


async def gate() -> None:
    """Until the test opens it; a later process finds it open."""
    while not Path(os.environ["GATE"]).exists():  # noqa: ASYNC110 - nothing in this process tells
        await asyncio.sleep(0.01)  # sleep: another process makes the file


@agent(kind="tool")
async def first(ctx: Context) -> str:
    """Done at once."""
    note("first")
    return "1"


@agent(kind="tool")
async def second(ctx: Context) -> str:
    """Done when the gate is open."""
    note("second")
    await ctx.text("(second)")
    await gate()
    return "2"


clerk = Agent(
    OpenAIChatModel("scripted", provider=OpenAIProvider(base_url=os.environ["MODEL"], api_key="k")),
    deps_type=Context,
)


@clerk.tool(name="first")
async def clerks_first(ctx: RunContext[Context]) -> str:
    note("first")
    return "1"


@clerk.tool(name="second")
async def clerks_second(ctx: RunContext[Context]) -> str:
    note("second")
    await ctx.deps.text("(second)")
    await gate()
    return "2"


@agent
async def spender(ctx: Context, question: str) -> int:
    """Consumes in a step, outside of it, and in a step that a kill interrupts."""

    async def pay(tokens: int) -> None:
        await ctx.usage(input_tokens=tokens, model="scripted")

    async def stuck() -> None:
        await pay(1_000)
        await ctx.text("(stuck)")
        await gate()

    await pay(1)
    await ctx.step("finished", pay, 20)
    await ctx.step("interrupted", stuck)
    return ctx.run.attempt
