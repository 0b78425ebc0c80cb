"""Triggers: addresses on the server that start runs when somebody posts to them."""

from typing import Any

import msgspec

from runwell.client.models import Trigger, TriggerList
from runwell.client.transport import Request, Safety, Transport, path_of

_TRIGGER = msgspec.json.Decoder(Trigger)
_TRIGGERS = msgspec.json.Decoder(TriggerList)


class AsyncTriggers:
    """`client.triggers`. Every method raises `ApiError`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(self, agent: str, *, name: str = "", secret: str | None = None) -> Trigger:
        """A new address that starts runs of `agent`. Its `url` and `token` are in this answer and nowhere
        else. With a `secret`, whoever posts must sign the body with it.

        Not repeated once it may have been sent; a trigger whose answer was lost can be deleted.
        """
        body: dict[str, Any] = {"agent": agent, "name": name}
        if secret is not None:
            body["secret"] = secret
        made = await self._one("POST", "/triggers", body)
        return msgspec.structs.replace(made, url=f"{self._transport.base_url}{made.path}")

    async def list(self) -> tuple[Trigger, ...]:
        """Your triggers, newest first, without their addresses."""
        response = await self._transport.send(Request(method="GET", path="/triggers"))
        return self._transport.read(_TRIGGERS, response.content).triggers

    async def get(self, id: str) -> Trigger:
        return await self._one("GET", path_of("triggers", id))

    async def rename(self, id: str, name: str) -> Trigger:
        return await self._one("PATCH", path_of("triggers", id), {"name": name})

    async def pause(self, id: str) -> Trigger:
        """Let it start nothing until it is resumed. The address stays."""
        return await self._one("PATCH", path_of("triggers", id), {"paused": True})

    async def resume(self, id: str) -> Trigger:
        return await self._one("PATCH", path_of("triggers", id), {"paused": False})

    async def delete(self, id: str) -> None:
        """End the address for good. Its runs stay."""
        await self._transport.send(Request(method="DELETE", path=path_of("triggers", id)))

    async def _one(self, method: str, path: str, body: dict[str, Any] | None = None) -> Trigger:
        content = msgspec.json.encode(body) if body is not None else None
        safety = Safety.ONCE if method == "POST" else Safety.REPEAT
        request = Request(method=method, path=path, body=content, safety=safety)
        response = await self._transport.send(request)
        return self._transport.read(_TRIGGER, response.content)
