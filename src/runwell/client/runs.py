"""Runs: submit, watch, answer, cancel."""

import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from runwell.client import watching
from runwell.client.models import Event, Run, RunPage, Step, StepList
from runwell.client.overview import BulkResult, RunStats, Why
from runwell.client.transport import LONGEST_WAIT, Request, Safety, Transport, path_of

_RUN = msgspec.json.Decoder(Run)
_PAGE = msgspec.json.Decoder(RunPage)
_STEPS = msgspec.json.Decoder(StepList)
_STATS = msgspec.json.Decoder(RunStats)
_WHY = msgspec.json.Decoder(Why)
_BULK = msgspec.json.Decoder(BulkResult)

IfBusy = Literal["refuse", "queue", "together"]


class AsyncRuns:
    """`client.runs`. An id may have any spelling the server reads. Every method raises `ApiError`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(
        self,
        agent: str | None = None,
        input: Any = None,
        *,
        thread_id: str | None = None,
        if_busy: IfBusy | None = None,
        concurrency_key: str | None = None,
        metadata: dict[str, Any] | None = None,
        priority: int | None = None,
        not_before: datetime | None = None,
        timeout: float | None = None,
        max_attempts: int | None = None,
        expires_in: float | None = None,
        callbacks: Iterable[str | dict[str, Any]] = (),
        idempotency_key: str | None = None,
        wait: float | None = None,
    ) -> Run:
        """Submit a run; `agent` None is the server's default agent.

        The request carries an idempotency key, a fresh one unless given, so it is repeated without
        fear of a second run. `timeout` (of work) and `expires_in` (until it first starts) are seconds.
        `callbacks` are addresses that its end is posted to, or `{"url": …, "events": […]}`. `wait` holds
        the call back for up to that many seconds until the run ends; it is returned as it then is.
        """
        fields = {
            "agent": agent, "thread_id": thread_id, "if_busy": if_busy, "concurrency_key": concurrency_key,
            "metadata": metadata, "priority": priority, "not_before": not_before, "timeout": timeout,
            "max_attempts": max_attempts, "expires_in": expires_in,
            "callbacks": [{"url": each} if isinstance(each, str) else each for each in callbacks] or None,
        }  # fmt: skip
        body = {"input": input} | {name: value for name, value in fields.items() if value is not None}
        request = Request(
            method="POST",
            path="/runs",
            body=msgspec.json.encode(body),
            headers={"Idempotency-Key": idempotency_key or str(uuid4())},
        )
        return await self._create(request, wait)

    async def _create(self, request: Request, wait: float | None) -> Run:
        if wait is None:
            return await self._run(request)
        began = time.monotonic()
        run = await self._run(replace(request, wait=min(wait, LONGEST_WAIT)))
        if run.final:
            return run
        left = max(wait - (time.monotonic() - began), 0.0)
        return await watching.until_final(self._transport, run.id, left)

    async def get(self, id: str) -> Run:
        """The run as it is now."""
        return await self._run(Request(method="GET", path=path_of("runs", id)))

    async def wait(self, id: str, timeout: float | None = None) -> Run:
        """Until the run is final; survives restarts of the server that end within the client's
        patience. Raises `TimeoutError` after `timeout` seconds.

        A run that asks a question is not final: `watch` shows it.
        """
        run = await watching.until_final(self._transport, id, timeout)
        if not run.final:
            raise TimeoutError(f"{run.id} is still {run.status} after {timeout:g} s")
        return run

    def watch(self, id: str) -> AsyncGenerator[Run, None]:
        """The run now, and again each time its status, progress, steps, usage or place in the queue
        changed; the last one is final. States that follow each other closely may be skipped."""
        return watching.watch(self._transport, id)

    def events(self, id: str, after: int = 0) -> AsyncGenerator[Event, None]:
        """The run's log from behind number `after` on, then live, to its last event.

        Each event comes once and in order, whatever becomes of connection and server meanwhile.
        Raises `ApiError` with code `log_pruned` when the log is not kept any more.
        """
        return watching.events(self._transport, id, after)

    async def text(self, id: str) -> AsyncGenerator[str, None]:
        """The text the run streams, piece by piece, from the first on.

        After a crash an agent may say something else than before. The log has `output.restarted`
        there, and what was said until then, outside finished steps, is void; this iterator just goes
        on with the new text. Read `events` to know, or take the final run's `output`.
        """
        async with aclosing(self.events(id)) as events:
            async for event in events:
                if event.type == "output.text_delta":
                    yield event.data["text"]

    async def steps(self, id: str) -> tuple[Step, ...]:
        """The run's steps in the order of their first start."""
        response = await self._transport.send(Request(method="GET", path=path_of("runs", id, "/steps")))
        return self._transport.read(_STEPS, response.content).steps

    async def list(
        self,
        *,
        status: str | Iterable[str] | None = None,
        agent: str | None = None,
        thread_id: str | None = None,
        text: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        owner: str | None = None,
        all_owners: bool = False,
    ) -> AsyncGenerator[Run, None]:
        """Runs, newest first; pages are fetched as you go. `limit` None is all of them.

        `since` and `until` bound the creation: [since, until). `text` finds failed runs by words of their
        error. Runs of another `owner`, or of `all_owners`, take the scope `admin`.
        """
        query: dict[str, Any] = {
            "status": [status] if isinstance(status, str) else list(status or ()),
            "agent": agent,
            "thread_id": thread_id,
            "text": text,
            "since": since.isoformat() if since else None,
            "until": until.isoformat() if until else None,
            **_whose(owner, all_owners),
        }
        left = limit
        while left is None or left > 0:
            query["limit"] = 100 if left is None else min(left, 100)
            response = await self._transport.send(Request(method="GET", path="/runs", query=query))
            page = self._transport.read(_PAGE, response.content)
            for run in page.runs if left is None else page.runs[:left]:
                yield run
            left = None if left is None else left - len(page.runs)
            if page.next_cursor is None:
                return
            query["cursor"] = page.next_cursor

    async def stats(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        bucket: int | None = None,
        owner: str | None = None,
        all_owners: bool = False,
    ) -> RunStats:
        """How many runs were made and ended when, for each `bucket` seconds, and what is under way. The last
        hour by the minute, unless asked otherwise."""
        query = {
            "since": since.isoformat() if since else None,
            "until": until.isoformat() if until else None,
            "bucket": bucket,
            **_whose(owner, all_owners),
        }
        response = await self._transport.send(Request(method="GET", path="/runs/stats", query=query))
        return self._transport.read(_STATS, response.content)

    async def why(self, id: str) -> str:
        """One sentence: why the run is where it is."""
        response = await self._transport.send(Request(method="GET", path=path_of("runs", id, "/why")))
        return self._transport.read(_WHY, response.content).why

    async def bulk(
        self,
        action: Literal["cancel", "retry"],
        ids: Iterable[str] | None = None,
        *,
        filter: dict[str, Any] | None = None,
        dry_run: bool = False,
    ) -> BulkResult:
        """Cancel or retry the runs with these `ids`, or the newest 1,000 that are like `filter`, which has
        the names of `list`; its `cursor` goes on after a result that said `more`.

        A retry is not repeated once it may have been sent: each call makes runs.
        """
        which = {"filter": filter} if ids is None else {"ids": list(ids)}
        body = msgspec.json.encode({"action": action, "dry_run": dry_run, **which})
        safety = Safety.ONCE if action == "retry" and not dry_run else Safety.REPEAT
        request = Request(method="POST", path="/runs/bulk", body=body, safety=safety)
        return self._transport.read(_BULK, (await self._transport.send(request)).content)

    async def cancel(self, id: str) -> Run:
        """Ask the run to stop. It is `cancelled` in the answer, or soon after: see `wait`.

        Asking twice is asking once, so this is repeated like a read.
        """
        return await self._run(Request(method="POST", path=path_of("runs", id, "/cancel")))

    async def answer(self, id: str, value: Any, *, key: str | None = None) -> Run:
        """Answer the question of a waiting run. `key` is that of the question you have read
        (`run.question.key`): when the run asks another by now, this raises `ApiError` with code
        `question_changed` instead of answering that one.

        Not repeated once it may have been sent: the run may ask something else by then. When the
        answer to this call was lost, look whether the run still waits.
        """
        body = msgspec.json.encode({"answer": value} if key is None else {"answer": value, "key": key})
        return await self._run(
            Request(method="POST", path=path_of("runs", id, "/answer"), body=body, safety=Safety.ONCE)
        )

    async def retry(self, id: str) -> Run:
        """Run a final run again: a new run, which inherits the finished steps and the answers.

        Not repeated once it may have been sent: each call makes a run.
        """
        return await self._run(Request(method="POST", path=path_of("runs", id, "/retry"), safety=Safety.ONCE))

    async def delete(self, id: str) -> None:
        """Remove a final run and its log for good."""
        await self._transport.send(Request(method="DELETE", path=path_of("runs", id)))

    async def _run(self, request: Request) -> Run:
        response = await self._transport.send(request)
        return self._transport.read(_RUN, response.content)


def _whose(owner: str | None, all_owners: bool) -> dict[str, Any]:
    return {"owner": owner, "all_owners": "true" if all_owners else None}
