"""A generator agent: what it yields is streamed as text.

Serve it: runwell serve examples/generator_agent.py
"""

from collections.abc import AsyncIterator

from runwell import agent


@agent
async def alphabet(letters: int = 26) -> AsyncIterator[str]:
    """Say the alphabet, letter by letter."""
    for number in range(min(letters, 26)):
        yield chr(ord("a") + number)
