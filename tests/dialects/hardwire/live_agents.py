"""Agents that a live server runs for the tests of this API."""

from runwell import Context, agent


@agent
async def talk(ctx: Context, text: str) -> str:
    """Say it again, word by word."""
    for word in text.split():
        await ctx.text(f"{word} ")
    return text


@agent(kind="tool", name="exa-web-search")
async def search(query: str) -> dict[str, list[str]]:
    """Search the web."""
    return {"items": [query]}


@agent
async def count(ctx: Context, text: str) -> str:
    """Count the letters, and say how far it is."""
    await ctx.progress(50, "Counting...")
    return f"{len(text)} letters"


@agent
async def break_down(text: str) -> str:
    """Raise."""
    raise ValueError("no net")
