"""Agents that a live server runs for Letta's own client: one in code, and some of PydanticAI on a
scripted model, whose address is in the environment."""

import asyncio
import os

from pydantic_ai import Agent, Tool
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from runwell import Context, agent


def _model() -> OpenAIChatModel:
    return OpenAIChatModel(
        "scripted", provider=OpenAIProvider(base_url=os.environ["SCRIPTED_URL"], api_key="none")
    )


def look_up(name: str) -> str:
    """Look something up."""
    return f"{name}: 20,000 species"


def delete_file(path: str) -> str:
    """Delete a file."""
    return f"{path} is gone"


@agent
async def plain(ctx: Context, text: str) -> str:
    """Says it again, in a step."""
    return await ctx.step("repeat", lambda: f"echo: {text}")


@agent
async def asks(ctx: Context, text: str) -> str:
    """Asks a person in words."""
    answer = await ctx.ask(f"May I {text}?")
    return f"{text}: {answer}"


@agent
async def hangs(ctx: Context, text: str) -> None:
    """Says something, then waits to be cancelled."""
    await ctx.text(text)
    await asyncio.Event().wait()


@agent
async def breaks(ctx: Context, text: str) -> None:
    raise ValueError(text)


careful = Agent(_model(), name="careful", tools=[Tool(look_up), Tool(delete_file, requires_approval=True)])
