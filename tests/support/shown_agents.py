"""Agents whose runs have something to show: every kind of step, text in Markdown, questions, failures."""

import asyncio
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from runwell import Context, agent
from runwell.domain.step import StepKind

REPORT = """\
## What makes the tides

The Moon pulls on the water that faces it, and a little less on the far side, so there are **two** bulges.

| tide | when |
|---|---|
| spring | Sun and Moon in line |
| neap | at right angles |

- high water twice a day
- 12 h 25 min from one to the next

```python
period = 12 + 25 / 60
```

See [the almanac](https://example.com/almanac).
"""


class Question(BaseModel):
    """What to look into, and how far."""

    topic: str
    depth: Literal["short", "long"] = "short"
    sources: int = 3


@agent
async def researcher(ctx: Context, question: Question) -> str:
    """Search, read and write a short report with its sources."""
    await ctx.progress(10, "searching")
    await ctx.step("plan", asyncio.sleep, 0.05, kind=StepKind.MODEL)
    await ctx.usage(input_tokens=1840, output_tokens=212, model_calls=1, cost=0.0042)
    for number, name in enumerate(["almanac", "harbour log"]):
        call = await ctx.tool_called("search", {"query": f"{question.topic} {name}", "limit": 5})
        found = await ctx.step("fetch page", _fetch, name)
        await ctx.tool_returned(call, found, name="search")
        await ctx.progress(30 + 20 * number, f"reading the {name}")
    await ctx.step("write", asyncio.sleep, 0.08, kind=StepKind.MODEL)
    for word in REPORT.split(" "):
        await ctx.text(word + " ")
    await ctx.usage(input_tokens=5210, output_tokens=388, model_calls=1, cost=0.0151)
    return REPORT


async def _fetch(name: str) -> dict[str, Any]:
    await asyncio.sleep(0.04)  # sleep: a bar of the waterfall should have a width
    return {"title": f"The {name}", "words": 812, "says": "High water follows the Moon by some hours."}


@agent(retries=1)
async def importer(ctx: Context, rows: int) -> int:
    """Import rows of a table; fails at the one that is broken."""
    await ctx.step("open table", asyncio.sleep, 0.02)
    await ctx.text(f"Importing {rows} rows.")
    await ctx.step("import rows", _import, rows)
    return rows


async def _import(rows: int) -> None:
    await asyncio.sleep(0.03)  # sleep: as above
    raise ValueError(f"row {rows // 2}: 'n/a' is no amount")


@agent
async def order_lunch(ctx: Context, people: int) -> str:
    """Propose a lunch, and order it when somebody agrees."""
    await ctx.text(f"{people} people would like pizza.")
    agreed = await ctx.ask(f"Order **{people} pizzas** for {people * 11} €?", schema={"type": "boolean"})
    return "Ordered." if agreed else "Nothing was ordered."


@agent
async def chatter(ctx: Context, count: int) -> None:
    """Say that many words, slowly enough to watch."""
    for number in range(count):
        await ctx.progress(100 * number / count, f"word {number} of {count}")
        await ctx.text(f"word {number}, ")
        await asyncio.sleep(0.01)  # sleep: so that somebody can watch it, and the server be killed meanwhile


@agent
async def flood(ctx: Context, events: int) -> int:
    """Write that many events, as fast as they go."""
    for number in range(events):
        await ctx.progress(None, f"event {number}")
    return events


@agent
async def hang(ctx: Context, text: str) -> None:
    """Say something, then wait to be cancelled."""
    await ctx.text(text)
    await asyncio.Event().wait()


@agent(retries=1)
async def moody(ctx: Context, wish: str) -> None:
    """Break off, and say something else at the second try."""
    tried = Path(f"{ctx.run.id}.tried")
    if tried.exists():
        await ctx.text("On reflection: coffee.")
        return
    tried.touch()
    await ctx.text(f"Certainly {wish}.")
    raise ConnectionError("the kettle is off")


@agent
async def mirror(ctx: Context, text: Any) -> Any:
    """Say what came in."""
    await ctx.text(str(text))
    return text


@agent
async def mirrors(ctx: Context, texts: list[str]) -> list[str]:
    """Put each text into every field there is."""
    for number, text in enumerate(texts):
        await ctx.progress(50, text)
        await ctx.message(text)
        await ctx.reasoning(f"{text}\n\n")
        call = await ctx.tool_called(text[:150], {text: text})
        await ctx.tool_returned(call, {"result": text}, name=text[:150], failed=number % 2 == 1)
        await ctx.step(text[:100], lambda text=text: text, key=f"{number} {text[:100]}")
    await ctx.text("\n\n".join(texts))
    fields = {
        text[:100]: {"title": text, "description": text, "default": text, "type": "string"} for text in texts
    }
    return await ctx.ask(
        "\n\n".join(texts), schema={"type": "object", "title": texts[0], "properties": fields}
    )


@agent
async def refuse(ctx: Context, text: str) -> None:
    """Fail with what came in."""
    raise ValueError(text)
