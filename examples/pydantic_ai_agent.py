"""A PydanticAI agent: model requests and tool calls are durable steps, with nothing to change.

Needs the extra and a key: pip install 'runwell[pydantic-ai]', export OPENAI_API_KEY=…
Serve it: runwell serve examples/pydantic_ai_agent.py
"""

from datetime import UTC, datetime

from pydantic_ai import Agent

clerk = Agent("openai:gpt-5-mini", instructions="Answer in one sentence.", defer_model_check=True)


@clerk.tool_plain
def now() -> str:
    """The current date and time, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@clerk.tool_plain(requires_approval=True)
async def book_room(name: str, hour: int) -> str:
    """Book a meeting room. Runwell asks a person first."""
    return f"{name} is booked for {hour}:00."
