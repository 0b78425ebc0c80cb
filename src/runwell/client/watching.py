"""Following a run until it ends: long-polls for its state, an event stream for its log."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from runwell.client.errors import ApiError, ConnectionFailed
from runwell.client.models import Event, Run
from runwell.client.patience import REFUSED_FOR_NOW, Waits
from runwell.client.sse import Parser
from runwell.client.transport import Request, Transport, path_of

POLL = 30.0
"""Seconds one long-poll may last: shorter than what proxies commonly cut off."""

SILENCE = 45.0
"""Seconds without a byte after which a stream is dead: the server says something every 15."""

STEADY = 10.0
"""Seconds after which a stream that brought nothing was a working connection nevertheless."""

_RUN = msgspec.json.Decoder(Run)
_EVENT = msgspec.json.Decoder(Event)


async def until_final(transport: Transport, id: str, timeout: float | None) -> Run:
    """The run when it is final, or as it is after `timeout` seconds."""
    ends_at = None if timeout is None else time.monotonic() + timeout
    while True:
        left = POLL if ends_at is None else ends_at - time.monotonic()
        request = Request(method="GET", path=path_of("runs", id), wait=max(min(left, POLL), 0.0))
        run = transport.read(_RUN, (await transport.send(request)).content)
        if run.final or (ends_at is not None and time.monotonic() >= ends_at):
            return run


async def watch(transport: Transport, id: str) -> AsyncGenerator[Run, None]:
    """The run, and again whenever its ETag changes, until it is final."""
    etag = ""
    while True:
        request = Request(
            method="GET",
            path=path_of("runs", id),
            headers={"If-None-Match": etag} if etag else {},
            wait=POLL if etag else 0.0,
        )
        response = await transport.send(request)
        if response.status_code == 304:
            continue
        run = transport.read(_RUN, response.content)
        etag = response.headers.get("etag", "")
        if not etag and not run.final:
            # Without it there is no long-poll, and this would ask without a pause.
            raise transport.not_ours("the run has no ETag")
        yield run
        if run.final:
            return


async def events(transport: Transport, id: str, after: int) -> AsyncGenerator[Event, None]:
    """The log behind number `after`, each event once and in order, to the final one."""
    last, missing = after, -1
    waits: Waits | None = None
    while True:
        connection = _Connection(transport, id, last)
        try:
            async with aclosing(connection.events()) as stream:
                async for event in stream:
                    last, waits = event.seq, None
                    yield event
                    if event.final:
                        return
            if connection.ended:
                return
            failure: ApiError = ConnectionFailed(transport.base_url, "the stream broke off", sent=True)
        except Gap as gap:
            if gap.seq == missing:
                raise transport.not_ours(gap.message) from gap
            failure, missing = gap, gap.seq
        except ApiError as error:
            if error.status and error.status not in REFUSED_FOR_NOW:
                raise
            failure = error
        if waits is None or connection.was_steady():
            waits = transport.patience.begin(reached=transport.reached)
        wait = waits.next(failure.retry_after or connection.retry)
        if wait is None:
            raise failure
        await transport.pause(failure, wait)


class Gap(ApiError):
    """A log has no gaps, so something between here and there dropped event `seq`."""

    def __init__(self, seq: int) -> None:
        super().__init__(200, "event_missing", f"event {seq} is missing in the stream")
        self.seq = seq


class _Connection:
    """One connection's part of a log."""

    def __init__(self, transport: Transport, id: str, after: int) -> None:
        self._transport = transport
        self._path = path_of("runs", id, "/events")
        self._last = after
        self._parser = Parser()
        self._began_at = transport.patience.clock()
        self.ended = False
        """The server says there is nothing more: 204."""

    @property
    def retry(self) -> float | None:
        """Seconds to wait before the next connection, if the server named a time."""
        return None if self._parser.retry is None else self._parser.retry / 1000

    def was_steady(self) -> bool:
        return self._transport.patience.clock() - self._began_at > STEADY

    async def events(self) -> AsyncGenerator[Event, None]:
        """Events until the connection ends. Raises `ApiError`, `Gap`."""
        request = Request(
            method="GET",
            path=self._path,
            headers={"Accept": "text/event-stream", "Last-Event-ID": str(self._last)},
        )
        async with self._transport.stream(request, SILENCE) as response:
            if response.status_code == 204:
                self.ended = True
                return
            media_type = response.headers.get("content-type", "")
            if not media_type.startswith("text/event-stream"):
                raise self._transport.not_ours(f"a stream of {media_type or 'no type'}")
            async for chunk in response.aiter_bytes():
                for frame in self._parser.feed(chunk):
                    event = self._transport.read(_EVENT, frame.data)
                    if event.seq <= self._last:
                        continue  # seen before the reconnect
                    if event.seq != self._last + 1:
                        raise Gap(self._last + 1)
                    self._last = event.seq
                    yield event
