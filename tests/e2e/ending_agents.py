"""Agents whose process ends in unusual ways."""

import asyncio
import os
from pathlib import Path

from runwell import Context, agent


@agent
async def deadly(ctx: Context, question: str) -> None:
    """Take the whole server down, every time."""
    await ctx.step("last words", lambda: "said")
    os._exit(9)


@agent
async def patient(ctx: Context, gate: str) -> str:
    """Wait until a file is there."""
    await ctx.text("waiting ")
    await ctx.step("first", lambda: 1)
    while not Path(gate).exists():  # noqa: ASYNC110 - nothing in this process tells
        await asyncio.sleep(0.01)  # sleep: another process makes the file
    await ctx.text("done")
    return "done"


@agent
async def quick(question: str) -> str:
    return question
