"""The agents that the benchmarks run: one that does nothing, one that talks, one that never ends."""

import asyncio
import time

from runwell import Context, agent

TOKENS = 200
"""How many pieces of text `talker` says."""


@agent
async def noop() -> None:
    """Ends at once."""


@agent
async def talker(ctx: Context) -> None:
    """Says 200 tokens, one by one, and lets others speak after each, as a model's stream would."""
    for number in range(TOKENS):
        await ctx.text(f"token{number:04d} ")
        await asyncio.sleep(0)


TICKS = 40
"""How often `ticker` says the time."""


@agent
async def ticker(ctx: Context) -> None:
    """Says the time, ten times a second, after a second in which somebody may come to watch."""
    await asyncio.sleep(1.0)
    for _ in range(TICKS):
        await ctx.text(f"tick:{time.time_ns() // 1_000_000} ")
        await asyncio.sleep(0.1)


@agent
async def waiter() -> None:
    """Works for ever, without doing anything."""
    await asyncio.Event().wait()
