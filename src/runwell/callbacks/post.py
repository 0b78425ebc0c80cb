"""One post: to an address that was checked, at most once, within a time, whatever the other side does."""

import asyncio
import errno
import os
import ssl
import time
from collections.abc import Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
import msgspec

from runwell.callbacks.guard import CheckedTarget, Target
from runwell.domain.instant import SECOND, Instant

CONNECT_TIMEOUT = 5.0
"""Seconds for each address."""
TOTAL_TIMEOUT = 15.0
"""Seconds for all of it, however lively the other side is."""
MOST_READ = 64 * 1024
"""Bytes of an answer that are read, only so that small ones end in good order. Nothing is kept."""
LONGEST_RETRY_AFTER = 24 * 3600.0
"""Seconds."""


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a post: exactly one of `status_code` and `error` is set.

    `retry_after` is how many seconds the receiver asks to be left alone, at most a day. `duration`
    is the seconds until the head of the answer, or until the fault. `error` is a sentence for the
    owner of the run: it holds neither path nor query, and nothing that the other side said.
    """

    duration: float
    status_code: int | None = None
    error: str | None = None
    retry_after: float | None = None

    @property
    def delivered(self) -> bool:
        """Whether somebody took it: a 2xx."""
        return self.status_code is not None and 200 <= self.status_code < 300


def new_client(timeout: float = CONNECT_TIMEOUT, tls: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    """The client for posts, one for all of them. `timeout` is the seconds for a connect.

    It takes no proxy, password or certificate from the environment, remembers no cookie and keeps
    no connection: two names at one address would share it, and only the first name was verified.
    """
    return httpx.AsyncClient(
        verify=True if tls is None else tls,
        trust_env=False,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        # How many posts are made at once is the caller's to say; nobody waits in here.
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        # The time for all of it is kept by `post`; a time for each read would never end a drip.
        timeout=httpx.Timeout(None, connect=timeout),
        headers={"User-Agent": "runwell", "Connection": "close"},
    )


async def post(
    client: httpx.AsyncClient,
    checked: CheckedTarget,
    body: bytes,
    headers: Mapping[str, str],
    *,
    now: Instant,
    timeout: float = TOTAL_TIMEOUT,
) -> Posted:
    """Post `body` to the first of the checked addresses that can be connected to.

    No name is looked up here, and no redirect followed: its status is the answer. `now` is what a
    date in `Retry-After` is seen from, `timeout` the seconds for everything. A fault of the network
    is an answer too and is not raised. If the process dies in here the receiver may have the body or
    not, so the delivery is posted again, under the same id.
    """
    begun = time.monotonic()
    answered: Posted | None = None
    fault = ""
    try:
        async with asyncio.timeout(timeout):
            response = await _send(client, checked, body, headers)
            answered = Posted(
                duration=time.monotonic() - begun,
                status_code=response.status_code,
                retry_after=_retry_after(response.headers.get("Retry-After"), now),
            )
            await _drain(response)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        fault = _fault(checked.target, error, timeout)
    if answered is not None:
        # The head said what became of it; how the rest of the answer fares changes nothing.
        return answered
    return Posted(duration=time.monotonic() - begun, error=fault)


async def _send(
    client: httpx.AsyncClient, checked: CheckedTarget, body: bytes, headers: Mapping[str, str]
) -> httpx.Response:
    *others, last = checked.addresses
    for address in others:
        try:
            return await client.send(_request(client, checked.target, address, body, headers), stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            # Nothing was sent yet, so another address cannot make it arrive twice.
            continue
    return await client.send(_request(client, checked.target, last, body, headers), stream=True)


def _request(
    client: httpx.AsyncClient, target: Target, address: str, body: bytes, headers: Mapping[str, str]
) -> httpx.Request:
    """To the address by number; the name stands in `Host`, and is what TLS asks for and verifies."""
    named = httpx.Headers(headers)
    named["Host"] = target.authority
    return client.build_request(
        "POST",
        target.at(address),
        content=body,
        headers=named,
        extensions={"sni_hostname": target.host},
    )


async def _drain(response: httpx.Response) -> None:
    """Read a little of the answer, as it is: a body that unpacks to gigabytes is not unpacked."""
    read = 0
    try:
        async for piece in response.aiter_raw():
            read += len(piece)
            if read >= MOST_READ:
                break
    finally:
        await response.aclose()


def _retry_after(header: str | None, now: Instant) -> float | None:
    """Seconds, from a number or an HTTP date; None without the header and for nonsense."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(text)
        seconds = date.replace(tzinfo=date.tzinfo or UTC).timestamp() - now / SECOND
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def _fault(target: Target, error: Exception, timeout: float) -> str:
    where = target.origin
    match error:
        case httpx.ConnectTimeout():
            return f"could not connect to {where} in time"
        case httpx.ConnectError():
            return f"could not connect to {where}: {_reason(error)}"
        case TimeoutError():
            return f"{where} did not answer within {timeout:g} s"
        case httpx.RemoteProtocolError():
            return f"{where} closed the connection without an answer, or its answer is not HTTP"
        case httpx.NetworkError():
            return f"the connection to {where} was lost before an answer"
        case _:
            return f"posting to {where} failed: {type(error).__name__}"


def _reason(error: BaseException) -> str:
    """The cause under httpx's and anyio's own, in the words of the system or of TLS."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its TLS certificate is not valid: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {cause.reason or 'no common ground'}"
        if isinstance(cause, OSError) and cause.errno is not None and cause.errno in errno.errorcode:
            return os.strerror(cause.errno).lower()
    return "no connection"


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
