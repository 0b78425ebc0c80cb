"""Agents of a fleet. What they do is written down outside, so that the log can be held against it."""

import asyncio
import json
import os
import time
from pathlib import Path
from uuid import uuid4

from runwell import Context, SyncContext, agent

WORDS = 60


def note(run: str, what: str) -> str:
    """A line in the journal that no crash takes back; its token is new each time."""
    token = uuid4().hex
    line = {"run": run, "what": what, "token": token, "pid": os.getpid(), "at": time.time()}
    handle = os.open(os.environ["FLEET_JOURNAL"], os.O_WRONLY | os.O_APPEND)
    try:
        os.write(handle, json.dumps(line).encode() + b"\n")
    finally:
        os.close(handle)
    return token


@agent
async def quick(question: str) -> str:
    return question


@agent
async def stepped(ctx: Context, question: str) -> list:
    """Four steps with a little time between them, each of which must happen once."""
    tokens = []
    for index in range(4):
        await ctx.progress(25.0 * index, f"step {index}")
        tokens.append(await ctx.step("work", note, ctx.run.id, f"work {index + 1}"))
        await asyncio.sleep(0.02)  # sleep: room for a kill between two steps
    return tokens


@agent
async def walker(ctx: Context, question: str) -> list:
    """As many steps as a run of a second or two has: whatever happens, it happens to one of these."""
    tokens = []
    for index in range(12):
        tokens.append(await ctx.step("work", note, ctx.run.id, f"work {index + 1}"))
        await asyncio.sleep(0.12)  # sleep: the pace of the work
    return tokens


@agent
async def talker(ctx: Context, question: str) -> None:
    """A deterministic stream."""
    for index in range(WORDS):
        await ctx.text(f"{index} ")
        await asyncio.sleep(0.01)  # sleep: the pace of a model


@agent
def plain(ctx: SyncContext, question: str) -> str:
    return ctx.step("work", note, ctx.run.id, "work 1")


@agent
async def asking(ctx: Context, question: str) -> str:
    return str(await ctx.ask("go on?"))


@agent
async def ticking(ctx: Context, gate: str) -> str:
    """Two steps, and then a mark in the journal every few milliseconds until a file is there: whoever reads
    it knows when this process was at work. It does not need the database for that. One step more."""
    for index in (1, 2):
        await ctx.step("work", note, ctx.run.id, f"work {index}")
    while not Path(gate).exists():
        note(ctx.run.id, "tick")
        await asyncio.sleep(0.01)  # sleep: the pace of the work
    await ctx.step("work", note, ctx.run.id, "work 3")
    return "done"


@agent
async def busy(ctx: Context, gate: str) -> str:
    """Step after step, and so at any time in the middle of a commit."""
    for index in range(1, 100_000):
        await ctx.step("work", note, ctx.run.id, f"work {index}")
        if Path(gate).exists():
            return f"{index} steps"
    raise AssertionError("nobody opens the gate")


@agent
async def patient(ctx: Context, gate: str) -> str:
    """Wait, and say nothing."""
    while not Path(gate).exists():  # noqa: ASYNC110 - nothing in this process tells
        await asyncio.sleep(0.02)  # sleep: another process makes the file
    return "done"
