"""Agents for kill tests: what they do is written down outside, so that the log can be held against it."""

import asyncio
import os
from uuid import uuid4

from runwell import Context, SyncContext, agent


def executed(run: str, step: str) -> str:
    """Do a step's work: a fresh token, and a line in the journal that no crash takes back."""
    token = uuid4().hex
    line = f"{run} {step} {token}\n".encode()
    handle = os.open(os.environ["KILL_JOURNAL"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(handle, line)
    finally:
        os.close(handle)
    return token


@agent
async def quick(ctx: Context, question: str) -> str:
    return question


@agent
async def stepped(ctx: Context, question: str) -> list:
    """Four steps with a little time between them, each of which must happen once."""
    tokens = []
    for index in range(4):
        await ctx.progress(25.0 * index, f"step {index}")
        tokens.append(await ctx.step("work", executed, ctx.run.id, str(index)))
        await asyncio.sleep(0.01)  # sleep: room for a kill between two steps
    return tokens


@agent
async def talker(ctx: Context, question: str) -> None:
    """A deterministic stream."""
    for index in range(60):
        await ctx.text(f"{index} ")
        await asyncio.sleep(0.004)  # sleep: the pace of a model


@agent
def plain(ctx: SyncContext, question: str) -> str:
    return ctx.step("work", executed, ctx.run.id, "0")
