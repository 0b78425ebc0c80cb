"""Reading all documents of a space."""

from collections.abc import AsyncIterator

from runwell.domain.json_gate import Json
from runwell.engine.core import Core

AT_ONCE = 500


async def everything(core: Core, owner: str, space: str) -> AsyncIterator[tuple[str, Json]]:
    """Id and value, newest first."""
    before: str | None = None
    while True:
        found = await core.store.documents.page(owner, space, before=before, limit=AT_ONCE)
        for each in found:
            yield each
        if len(found) < AT_ONCE:
            return
        before = found[-1][0]
