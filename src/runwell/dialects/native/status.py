"""GET /runs/{id}: the route that is asked a thousand times for every run. Served without a framework."""

from runwell.dialects.exchange import Call, Headers, Reply
from runwell.dialects.native.native import Native, admit
from runwell.dialects.native.preferences import matches, wait_of
from runwell.dialects.native.responses import PRIVATE, etag
from runwell.domain.ids import parse_id
from runwell.domain.principal import Scope
from runwell.domain.run import Run, RunStatus
from runwell.stream.poll import wait_for
from runwell.stream.presence import Attended
from runwell.stream.retry_after import retry_after

Sight = tuple[Run, int | None]
"""A run and its place in the queue: together they are what an ETag names."""


class ReadRun:
    """200 with the run; 304 when `If-None-Match` names it as it is.

    `Prefer: wait=N` waits for the run's end, or, with `If-None-Match`, for any change.
    """

    def __init__(self, native: Native) -> None:
        self._native = native
        self._services = native.services
        self._runs = native.core.store.runs

    async def __call__(self, call: Call) -> Reply:
        headers = call.headers
        principal = await admit(self._services, call.scope, headers, Scope.RUNS_READ)
        run_id = parse_id(call.param)
        if_none_match = headers.get(b"if-none-match")
        run, position = await self._look(run_id, principal.owner)
        applied: Headers | None = None
        wait = wait_of(headers)
        if wait is not None:
            applied = [(b"preference-applied", b"wait=%d" % wait)]
            if not _news(run, position, if_none_match):
                run, position = await self._wait(call, (run, position), if_none_match, wait)
        if if_none_match is not None and matches(if_none_match, etag(run, position)):
            return self._unchanged(run, position, applied)
        return self._native.seen_reply(200, run, position, call.mount, applied)

    async def _look(self, run_id: str, owner: str) -> Sight:
        run = await self._runs.get(run_id, owner)
        return run, await self._runs.position(run) if run.status is RunStatus.QUEUED else None

    async def _wait(self, call: Call, seen: Sight, if_none_match: bytes | None, seconds: int) -> Sight:
        run = seen[0]
        closing = self._native.services.closing
        async with Attended(call.receive, closing, closing.polls):
            return await wait_for(
                self._native.core.signals,
                run.id,
                lambda: self._look(run.id, run.owner),
                lambda sight: _news(*sight, if_none_match),
                seconds,
            )
        # Cut short: the server closes, or nobody is there any more.
        return seen

    def _unchanged(self, run: Run, position: int | None, applied: Headers | None) -> Reply:
        headers = [PRIVATE, (b"etag", etag(run, position).encode()), *(applied or ())]
        seconds = retry_after(run, position, self._native.core.clock.now())
        if seconds is not None:
            headers.append((b"retry-after", b"%d" % seconds))
        return Reply(304, headers)


def _news(run: Run, position: int | None, if_none_match: bytes | None) -> bool:
    """Whether a waiting caller has what it waits for."""
    if if_none_match is None:
        return run.final
    return not matches(if_none_match, etag(run, position))
