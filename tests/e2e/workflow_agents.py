"""The agents of a workflow that is killed in its second step. What they do is written down outside."""

import asyncio
import os
from pathlib import Path

from runwell import Context, SyncContext, agent, step, workflow


def journal(line: str) -> None:
    """A line that no crash takes back."""
    handle = os.open(os.environ["WORKFLOW_JOURNAL"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(handle, f"{line}\n".encode())
    finally:
        os.close(handle)


@agent
async def gather(ctx: Context, topic: str) -> str:
    journal("gather")
    return f"facts about {topic}"


@agent
async def sift(ctx: Context, facts: str) -> str:
    """Has a finished step of its own, then waits until a file is there."""
    await ctx.step("read", journal, "read")
    await ctx.text("sifting ")
    journal("sift")
    while not Path(os.environ["WORKFLOW_GATE"]).exists():  # noqa: ASYNC110 - nothing in this process tells
        await asyncio.sleep(0.01)  # sleep: another process makes the file
    await ctx.text("sifted")
    return f"sifted {facts}"


@agent
def write(ctx: SyncContext, facts: str) -> str:
    journal("write")
    return f"report on {facts}"


@agent
async def polish(facts: str) -> str:
    journal("polish")
    return f"{facts}!"


report = workflow(
    "report",
    steps=[
        step("gather", agent=gather),
        step("sift", agent=sift),
        step("write", agent=write),
        step("polish", agent=polish),
    ],
)
