"""Agents and tools of a server that is spoken to as to Flowyble."""

from runwell import agent
from runwell.domain.ids import id_of_name, spell_uuid
from tests.support.house import counter, echo


@agent(kind="tool")
async def search(query: str, limit: int = 3) -> list[str]:
    """Look something up."""
    return [query] * limit


@agent(kind="tool")
async def shout(text: str):
    return text.upper()


AGENTS = (echo, counter, search, shout)


def uuid_of(name: str) -> str:
    return spell_uuid(id_of_name(name))


ECHO, COUNTER, SEARCH, SHOUT = map(uuid_of, ("echo", "counter", "search", "shout"))
