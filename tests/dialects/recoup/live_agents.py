"""Agents of a live server that is spoken to as to Recoup. The first answers where none is named."""

import asyncio

from runwell import Context, agent
from runwell.domain.step import StepKind

WORDS = ("tides ", "wörd\n", "🚀 ", "月 ", "“quoted” ", "data: x\n\n", "\u2028", "\\ ")

DOOMED_WORDS = 60


@agent
async def guide(ctx: Context, text: str) -> None:
    """Think, look something up, and talk about it: two requests to a model with a tool between them.

    It rests after each word until the word is on disk, so there is time to break connections.
    """

    async def first() -> str:
        await ctx.usage(input_tokens=100, output_tokens=20, model_calls=1, model="some-model")
        for word in ("Where ", "is ", "it? "):
            await ctx.reasoning(word)
        await talk(ctx, "Looking. ", 4)
        return "asked"

    async def look() -> list[str]:
        call = await ctx.tool_called("search", {"q": text})
        await ctx.tool_returned(call, {"found": [text]}, name="search")
        return [text]

    async def second() -> str:
        await ctx.usage(input_tokens=300, output_tokens=50, model_calls=1, model="some-model")
        await talk(ctx, "", 40)
        return "answered"

    await ctx.step("model", first, kind=StepKind.MODEL)
    await ctx.step("search", look, kind=StepKind.TOOL)
    await ctx.step("model", second, kind=StepKind.MODEL)


async def talk(ctx: Context, opening: str, count: int) -> None:
    await ctx.text(opening)
    for number in range(count):
        await ctx.text(f"{number} {WORDS[number % len(WORDS)]}")
        await ctx.step("word", lambda: None)


@agent
async def doomed(ctx: Context, gates: str) -> None:
    """Talk, but stop for ever at the n-th of `gates` (numbers of words) in the n-th attempt: only when the
    server dies there does it get further."""
    attempt, places = ctx.run.attempt, [int(place) for place in gates.split()]

    async def model() -> None:
        for number in range(DOOMED_WORDS):
            if attempt <= len(places) and number == places[attempt - 1]:
                await asyncio.Event().wait()
            await ctx.text(f"{number} {WORDS[number % len(WORDS)]}")

    await ctx.step("model", model, kind=StepKind.MODEL)


@agent
async def hang(ctx: Context, text: str) -> None:
    """Call a tool, say something, and wait to be cancelled."""
    await ctx.text("Let me see. ")
    await ctx.tool_called("search", {"q": text})
    await ctx.text("Hm.")
    await asyncio.Event().wait()


@agent
async def fail(ctx: Context, text: str) -> None:
    """Say something and raise."""
    await ctx.text("So far so good")
    raise ValueError(text)


@agent
async def answer(text: str) -> str:
    """Only return."""
    return f"You said: {text}"
