"""/api/users: a user's own chats, workflows and favourite model."""

import msgspec

from runwell.dialects.exchange import Reply
from runwell.dialects.hardwire.errors import OTHER_USER, Failed
from runwell.dialects.hardwire.hardwire import Asked, Hardwire, json_reply
from runwell.dialects.hardwire.requests import read_page, read_preference
from runwell.domain.json_gate import Json

PREFERENCES = "hardwire.preferences"
MODEL = "model"


class UserRoutes:
    def __init__(self, hardwire: Hardwire) -> None:
        self._chats = hardwire.chats
        self._workflows = hardwire.workflows
        self._documents = hardwire.core.store.documents
        self._clock = hardwire.core.clock
        self._wire = hardwire.wire

    async def list_chats(self, asked: Asked) -> Reply:
        """List the user's chats, the one changed last first."""
        user = _check(asked)
        limit, offset = read_page(asked.call)
        chats = await self._chats.all(asked.visit.owner)
        return json_reply(self._wire.chats(user, chats[offset : offset + limit], len(chats)))

    async def list_workflows(self, asked: Asked) -> Reply:
        """List the user's workflows and the server's own, the one changed last first."""
        user = _check(asked)
        return json_reply(self._wire.workflows(user, await self._workflows.all(asked.visit.owner)))

    async def get_preference(self, asked: Asked) -> Reply:
        """Read which model the user likes best."""
        user = _check(asked)
        found = await self._documents.get(asked.visit.owner, PREFERENCES, MODEL)
        model = msgspec.json.decode(found, type=str) if found is not None else None
        return json_reply(self._wire.preference(user, model))

    async def set_preference(self, asked: Asked) -> Reply:
        """Keep which model the user likes best. It is for clients to read: no run looks at it."""
        user = _check(asked)
        model = read_preference(await asked.call.body())
        kept = Json(msgspec.json.encode(model))
        await self._documents.put(asked.visit.owner, PREFERENCES, MODEL, kept, self._clock.now())
        return json_reply(self._wire.preference_set(user, model))


def _check(asked: Asked) -> str:
    """The user of the path, who is the caller. Raises `Failed`."""
    if asked.ids["userId"] != asked.visit.user_id:
        raise Failed(OTHER_USER)
    return asked.visit.user_id
