"""Schedules: runs at the times that a cron expression names."""

from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from runwell.client.models import Run, Schedule, SchedulePage
from runwell.client.transport import Request, Safety, Transport, path_of

_SCHEDULE = msgspec.json.Decoder(Schedule)
_PAGE = msgspec.json.Decoder(SchedulePage)
_RUN = msgspec.json.Decoder(Run)


class AsyncSchedules:
    """`client.schedules`. Every method raises `ApiError`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(
        self,
        agent: str,
        cron: str,
        input: Any = None,
        *,
        name: str = "",
        timezone: str = "UTC",
        missed: str = "skip",
        paused: bool = False,
        thread_id: str | None = None,
        if_busy: str | None = None,
        concurrency_key: str | None = None,
        metadata: dict[str, Any] | None = None,
        priority: int | None = None,
        timeout: float | None = None,
        max_attempts: int | None = None,
        expires_in: float | None = None,
    ) -> Schedule:
        """Run `agent` at the times of `cron`: five fields, minute hour day-of-month month day-of-week, read
        in `timezone`. Its `next` shows the next few.

        `missed` says what becomes of times that came while no server was there: `skip` them, make up for
        them with `once`, or with `all`. The options after `paused` are those of `client.runs.create`. Not
        repeated once it may have been sent; a schedule whose answer was lost can be deleted.
        """
        fields = {
            "agent": agent, "cron": cron, "name": name, "timezone": timezone, "missed": missed,
            "paused": paused, "thread_id": thread_id, "if_busy": if_busy, "concurrency_key": concurrency_key,
            "metadata": metadata, "priority": priority, "timeout": timeout, "max_attempts": max_attempts,
            "expires_in": expires_in,
        }  # fmt: skip
        given = {name: value for name, value in fields.items() if value is not None}
        return await self._one("POST", "/schedules", {"input": input} | given)

    async def list(self, *, limit: int | None = None) -> AsyncGenerator[Schedule, None]:
        """Your schedules, newest first, without `input` and `next`; pages are fetched as you go. `limit`
        None is all of them."""
        left, cursor = limit, None
        while left is None or left > 0:
            query = {"limit": 100 if left is None else min(left, 100), "cursor": cursor}
            response = await self._transport.send(Request(method="GET", path="/schedules", query=query))
            page = self._transport.read(_PAGE, response.content)
            for schedule in page.schedules if left is None else page.schedules[:left]:
                yield schedule
            left = None if left is None else left - len(page.schedules)
            cursor = page.next_cursor
            if cursor is None:
                return

    async def get(self, id: str) -> Schedule:
        return await self._one("GET", path_of("schedules", id))

    async def update(
        self,
        id: str,
        *,
        agent: str | UnsetType = UNSET,
        cron: str | UnsetType = UNSET,
        input: Any = UNSET,
        name: str | UnsetType = UNSET,
        timezone: str | UnsetType = UNSET,
        missed: str | UnsetType = UNSET,
        paused: bool | UnsetType = UNSET,
        thread_id: str | UnsetType | None = UNSET,
        if_busy: str | UnsetType = UNSET,
        concurrency_key: str | UnsetType | None = UNSET,
        metadata: dict[str, Any] | UnsetType = UNSET,
        priority: int | UnsetType = UNSET,
        timeout: float | UnsetType | None = UNSET,
        max_attempts: int | UnsetType | None = UNSET,
        expires_in: float | UnsetType | None = UNSET,
    ) -> Schedule:
        """Replace what is given, keep the rest; None takes an option away. Another `cron` or `timezone`
        counts from now."""
        fields = {
            "agent": agent, "cron": cron, "input": input, "name": name, "timezone": timezone,
            "missed": missed, "paused": paused, "thread_id": thread_id, "if_busy": if_busy,
            "concurrency_key": concurrency_key, "metadata": metadata, "priority": priority,
            "timeout": timeout, "max_attempts": max_attempts, "expires_in": expires_in,
        }  # fmt: skip
        given = {name: value for name, value in fields.items() if value is not UNSET}
        return await self._one("PATCH", path_of("schedules", id), given)

    async def pause(self, id: str) -> Schedule:
        """Let it start nothing until it is resumed. What comes meanwhile is not made up for."""
        return await self.update(id, paused=True)

    async def resume(self, id: str) -> Schedule:
        """Let it start runs again, from its next time on."""
        return await self.update(id, paused=False)

    async def delete(self, id: str) -> None:
        """Remove it. Its runs stay."""
        await self._transport.send(Request(method="DELETE", path=path_of("schedules", id)))

    async def fire(self, id: str) -> Run:
        """Start a run of it now, besides those that are due, also while it is paused.

        Not repeated once it may have been sent: that would be another run.
        """
        request = Request(method="POST", path=path_of("schedules", id, "/fire"), safety=Safety.ONCE)
        response = await self._transport.send(request)
        return self._transport.read(_RUN, response.content)

    async def _one(self, method: str, path: str, fields: dict[str, Any] | None = None) -> Schedule:
        body = msgspec.json.encode(fields) if fields is not None else None
        safety = Safety.ONCE if method == "POST" else Safety.REPEAT
        request = Request(method=method, path=path, body=body, safety=safety)
        response = await self._transport.send(request)
        return self._transport.read(_SCHEDULE, response.content)
