"""Agents that a live server runs for the original's clients."""

import asyncio

from runwell import Context, agent


@agent
async def report(ctx: Context, prompt: str) -> str:
    """Answers as a workflow of the original does: over several lines, with quotation marks."""
    await ctx.progress(30, "Running agent workflow")
    return f'### PraisonAI Output ###\n{prompt} "quoted"'


@agent
async def steady(ctx: Context, prompt: str) -> str:
    """Gets stuck half-way, and gets through when it is begun again."""
    await ctx.progress(50, "Processing data")
    if ctx.run.attempt == 1:
        await asyncio.Event().wait()
    return f"again: {prompt}"


@agent
async def broken(prompt: str) -> str:
    raise RuntimeError("1 of 1 task(s) failed")
