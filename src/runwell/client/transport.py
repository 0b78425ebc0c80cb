"""Requests over HTTP: credentials, retries, errors. Knows nothing of runs."""

import asyncio
import math
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import Enum
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from runwell.client.errors import ApiError, ConnectionFailed, error_of
from runwell.client.patience import REFUSED_FOR_NOW, Patience, Waits, retry_after_of

DEFAULT_URL = "http://127.0.0.1:8005"
LONGEST_WAIT = 60
"""Seconds; what the server allows for one `Prefer: wait`."""

T = TypeVar("T")

Notice = Callable[[ApiError, float], None]
"""Called before each wait, with what went wrong and the seconds until the next try."""


class Safety(Enum):
    """What may be done about a request whose fate is unknown."""

    REPEAT = "repeat"
    """Doing it twice is doing it once: reads, and writes with an Idempotency-Key."""
    ONCE = "once"
    """Repeated only when the connection was never made, so that nothing can have happened."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """`wait` is how long the server may hold back its answer, in seconds."""

    method: str
    path: str
    query: dict[str, Any] = {}
    body: bytes | None = None
    headers: dict[str, str] = {}
    wait: float = 0.0
    safety: Safety = Safety.REPEAT


class Transport:
    """One server. Belongs to one event loop; opens its connections when first used."""

    def __init__(
        self,
        base_url: str | None,
        key: str | None,
        timeout: float,
        patience: Patience,
        notice: Notice | None,
    ) -> None:
        self.base_url = _checked(base_url or os.environ.get("RUNWELL_URL") or DEFAULT_URL)
        self.patience = patience
        self.notice = notice
        self.reached = False
        self._timeout = timeout
        self._key = key or os.environ.get("RUNWELL_KEY")
        self._http: httpx.AsyncClient | None = None

    @property
    def http(self) -> httpx.AsyncClient:
        if self._http is None:
            headers = {"User-Agent": "runwell-client", "Accept": "application/json"}
            if self._key:
                headers["Authorization"] = f"Bearer {self._key}"
            self._http = httpx.AsyncClient(
                base_url=self.base_url,
                headers=headers,
                timeout=httpx.Timeout(self._timeout, connect=min(self._timeout, 10.0)),
                # Each watcher holds a connection for as long as it watches; there is no right number.
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
                # A proxy from the environment is never meant for this very machine.
                trust_env=not _is_loopback(self.base_url),
            )
        return self._http

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def send(self, request: Request) -> httpx.Response:
        """The answer, tried again while that is safe and patience lasts.

        Raises `ApiError` for every status from 400 on. 304 is an answer.
        """
        waits: Waits | None = None
        unsure = False
        while True:
            try:
                return await self._once(request)
            except ApiError as error:
                if unsure and request.method == "DELETE" and error.status == 404:
                    # An earlier try got through and only its answer was lost: it is deleted.
                    return httpx.Response(204)
                waits = waits or self.patience.begin(reached=self.reached)
                wait = waits.next(error.retry_after) if _may_repeat(request, error) else None
                if wait is None:
                    raise
                unsure = unsure or not isinstance(error, ConnectionFailed) or error.sent
                await self.pause(error, wait)

    async def pause(self, error: ApiError, wait: float) -> None:
        """Tell, and wait."""
        if self.notice is not None:
            self.notice(error, wait)
        await asyncio.sleep(wait)

    @asynccontextmanager
    async def stream(self, request: Request, silence: float) -> AsyncIterator[httpx.Response]:
        """One try at an answer that comes bit by bit; `silence` seconds without a byte break it.

        Raises `ApiError`, also from the body of the `with`, where the connection may be lost.
        """
        try:
            async with self.http.stream(
                request.method,
                request.path,
                params=_sendable(request.query),
                headers=request.headers,
                timeout=httpx.Timeout(self._timeout, read=silence),
            ) as response:
                self.reached = True
                if response.status_code >= 400:
                    await response.aread()
                    raise _error_of(response)
                yield response
        except httpx.TransportError as error:
            raise self._failed(error) from error

    async def _once(self, request: Request) -> httpx.Response:
        headers = dict(request.headers)
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        if request.wait:
            headers["Prefer"] = f"wait={math.ceil(request.wait)}"
        try:
            response = await self.http.request(
                request.method,
                request.path,
                params=_sendable(request.query),
                content=request.body,
                headers=headers,
                timeout=httpx.Timeout(self._timeout, read=self._timeout + request.wait),
            )
        except httpx.TransportError as error:
            raise self._failed(error) from error
        self.reached = True
        if response.status_code >= 400:
            raise _error_of(response)
        return response

    def read(self, decoder: msgspec.json.Decoder[T], data: bytes | str) -> T:
        """What an answer says. Raises `ApiError` when it is not what a Runwell server says."""
        try:
            return decoder.decode(data)
        except msgspec.DecodeError as error:
            raise self.not_ours(str(error)) from error

    def not_ours(self, why: str) -> ApiError:
        return ApiError(
            200,
            "unexpected_answer",
            f"{self.base_url} answers, but not as a Runwell server does: {why}",
            "Is the address right?",
        )

    def _failed(self, error: httpx.TransportError) -> ConnectionFailed:
        sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        return ConnectionFailed(self.base_url, _why(error), sent=sent)


def _why(error: BaseException) -> str:
    """What the system said, which is wrapped several times by now: `Connection refused`."""
    said = str(error) or type(error).__name__
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            # asyncio puts the address into strerror; the number has the plain words.
            said = os.strerror(inner.errno) if inner.errno and inner.errno > 0 else inner.strerror
        inner = inner.__cause__ or inner.__context__
    return said


def _sendable(query: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _may_repeat(request: Request, error: ApiError) -> bool:
    if isinstance(error, ConnectionFailed):
        return request.safety is Safety.REPEAT or not error.sent
    return request.safety is Safety.REPEAT and error.status in REFUSED_FOR_NOW


def _error_of(response: httpx.Response) -> ApiError:
    retry_after = retry_after_of(response.headers.get("retry-after"), time.time())
    return error_of(response.status_code, response.content, retry_after)


def path_of(room: str, id: str, rest: str = "") -> str:
    """`/runs/run_…/steps`. Whatever the id holds, it stays one segment."""
    return f"/{room}/{quote(id, safe='')}{rest}"


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no address of a server: write http://HOST:PORT")
    return url.rstrip("/")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
