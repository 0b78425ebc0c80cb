"""Callbacks, and the deliveries that came of them."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from runwell.client.models import (
    Callback,
    CallbackList,
    Delivery,
    DeliveryPage,
    Redelivered,
    RunDeliveries,
    SigningSecret,
)
from runwell.client.transport import Request, Safety, Transport, path_of

_CALLBACK = msgspec.json.Decoder(Callback)
_CALLBACKS = msgspec.json.Decoder(CallbackList)
_SECRET = msgspec.json.Decoder(SigningSecret)
_DELIVERY = msgspec.json.Decoder(Delivery)
_DELIVERIES = msgspec.json.Decoder(DeliveryPage)
_OF_RUN = msgspec.json.Decoder(RunDeliveries)
_REDELIVERED = msgspec.json.Decoder(Redelivered)


class AsyncCallbacks:
    """`client.callbacks`: where the events of all your runs are posted. Every method raises `ApiError`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(
        self,
        url: str,
        *,
        events: Sequence[str] | None = None,
        agents: Sequence[str] | None = None,
        description: str | None = None,
        secret: str | None = None,
    ) -> Callback:
        """Post to `url` when a run ends, or at these `events`; of all agents, or of these.

        Its `secret`, which the posts are signed with, is in this answer and nowhere else. Not repeated
        once it may have been sent; a callback whose answer was lost can be deleted.
        """
        fields = {
            "url": url, "events": events, "agents": agents, "description": description, "secret": secret
        }  # fmt: skip
        return await self._one("POST", "/callbacks", _given(fields))

    async def list(self) -> tuple[Callback, ...]:
        """Your callbacks, newest first, without their secrets."""
        response = await self._transport.send(Request(method="GET", path="/callbacks"))
        return self._transport.read(_CALLBACKS, response.content).callbacks

    async def get(self, id: str) -> Callback:
        return await self._one("GET", path_of("callbacks", id))

    async def update(
        self,
        id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        agents: Sequence[str] | None = None,
        description: str | None = None,
        paused: bool | None = None,
    ) -> Callback:
        """Replace what is given, keep the rest. What happens while it is paused is not told later."""
        fields = {
            "url": url, "events": events, "agents": agents, "description": description, "paused": paused
        }  # fmt: skip
        return await self._one("PATCH", path_of("callbacks", id), _given(fields))

    async def delete(self, id: str) -> None:
        """Remove it and its secret. What was still to be posted for it is given up."""
        await self._transport.send(Request(method="DELETE", path=path_of("callbacks", id)))

    async def rotate(
        self, id: str | None = None, *, overlap: float | None = None, secret: str | None = None
    ) -> SigningSecret:
        """A new secret for a callback, or without an `id` your own, which callbacks of single runs are
        signed with. For `overlap` seconds posts are signed with the old one too.

        Not repeated once it may have been sent; rotate again when the answer was lost.
        """
        path = path_of("callbacks", id, "/rotate") if id is not None else "/callbacks/secret/rotate"
        body = msgspec.json.encode(_given({"overlap": overlap, "secret": secret}))
        request = Request(method="POST", path=path, body=body, safety=Safety.ONCE)
        response = await self._transport.send(request)
        return self._transport.read(_SECRET, response.content)

    async def secret(self) -> SigningSecret:
        """Your own secret, which callbacks of single runs are signed with."""
        response = await self._transport.send(Request(method="GET", path="/callbacks/secret"))
        return self._transport.read(_SECRET, response.content)

    async def _one(self, method: str, path: str, fields: dict[str, Any] | None = None) -> Callback:
        body = msgspec.json.encode(fields) if fields is not None else None
        safety = Safety.ONCE if method == "POST" else Safety.REPEAT
        request = Request(method=method, path=path, body=body, safety=safety)
        response = await self._transport.send(request)
        return self._transport.read(_CALLBACK, response.content)


class AsyncDeliveries:
    """`client.deliveries`: what was posted, and what came of it. Every method raises `ApiError`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(
        self,
        *,
        status: str | Iterable[str] | None = None,
        callback_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[Delivery, None]:
        """Deliveries, newest first; pages are fetched as you go. `limit` None is all of them.

        `since` and `until` bound the time they were made: [since, until).
        """
        query = _range(status, callback_id, since, until)
        left = limit
        while left is None or left > 0:
            query["limit"] = 100 if left is None else min(left, 100)
            response = await self._transport.send(Request(method="GET", path="/deliveries", query=query))
            page = self._transport.read(_DELIVERIES, response.content)
            for delivery in page.deliveries if left is None else page.deliveries[:left]:
                yield delivery
            left = None if left is None else left - len(page.deliveries)
            if page.next_cursor is None:
                return
            query["cursor"] = page.next_cursor

    async def of(self, run_id: str) -> tuple[Delivery, ...]:
        """A run's, oldest first, each with its `history`."""
        request = Request(method="GET", path=path_of("runs", run_id, "/deliveries"))
        response = await self._transport.send(request)
        return self._transport.read(_OF_RUN, response.content).deliveries

    async def get(self, id: str) -> Delivery:
        """One, with its `history`: every post that was made."""
        return await self._one(Request(method="GET", path=path_of("deliveries", id)))

    async def redeliver(self, id: str) -> Delivery:
        """Post it again now, and if that fails on the whole schedule. Asking twice is asking once."""
        return await self._one(Request(method="POST", path=path_of("deliveries", id, "/redeliver")))

    async def redeliver_range(
        self,
        *,
        status: str | Iterable[str] | None = None,
        callback_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> int:
        """The same for all that fit, those that were given up unless `status` says otherwise; how many.

        Not repeated once it may have been sent: the count would be of what was left.
        """
        fields = _given(_range(status, callback_id, since, until))
        if not fields["status"]:
            del fields["status"]
        body = msgspec.json.encode(fields)
        request = Request(method="POST", path="/deliveries/redeliver", body=body, safety=Safety.ONCE)
        response = await self._transport.send(request)
        return self._transport.read(_REDELIVERED, response.content).redelivered

    async def _one(self, request: Request) -> Delivery:
        response = await self._transport.send(request)
        return self._transport.read(_DELIVERY, response.content)


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _range(
    status: str | Iterable[str] | None,
    callback_id: str | None,
    since: datetime | None,
    until: datetime | None,
) -> dict[str, Any]:
    return {
        "status": [status] if isinstance(status, str) else list(status or ()),
        "callback_id": callback_id,
        "since": since.isoformat() if since else None,
        "until": until.isoformat() if until else None,
    }
