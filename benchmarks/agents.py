"""The agents that the benchmarks run: one that does nothing, one that talks, one that never ends."""

import asyncio

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


@agent
async def waiter() -> None:
    """Works for ever, without doing anything."""
    await asyncio.Event().wait()
