"""Agents that a live server runs for the tests of the client and the command line."""

import asyncio
from typing import Any

from runwell import Context, agent


@agent
async def echo(ctx: Context, value: Any) -> Any:
    """Return what came in."""
    await ctx.usage(input_tokens=1200, output_tokens=34, model_calls=1)
    return await ctx.step("repeat", lambda: value)


@agent
async def talk(ctx: Context, count: int) -> None:
    """Say that many words, one after the other, with awkward characters among them."""
    for number in range(count):
        await ctx.progress(100 * number / count, f"word {number}")
        await ctx.text(f"{number} wörd\n" if number % 2 else f"{number} 🚀 ")
        await asyncio.sleep(0.005)  # sleep: so that the server can be killed in between


@agent
async def ask(ctx: Context, subject: str) -> str:
    """Ask whether it may, and say what the answer was."""
    answer = await ctx.ask(f"May I {subject}?")
    return f"{subject}: {answer}"


@agent
async def fail(ctx: Context, reason: str) -> None:
    """Raise."""
    raise ValueError(reason)


@agent
async def hang(ctx: Context, text: str) -> None:
    """Say something, then wait to be cancelled."""
    await ctx.text(text)
    await asyncio.Event().wait()
