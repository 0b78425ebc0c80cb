"""Connections to a model whose address somebody else chose: only to where they may lead.

Whoever makes an agent through the API names its `base_url`. Were it followed blindly, it would reach what
only this server can: its own ports, its network, the metadata service of its cloud.
"""

import ssl

import httpx2
from pydantic_ai.exceptions import UserError

from runwell.domain.errors import AddressRefused
from runwell.ports.agent import Reach


async def check_reach(base_url: str, reach: Reach | None) -> Reach:
    """What `checked_client` takes. Raises `UserError` for an address that may not be reached, which
    the client would try three times and call a fault of the network."""
    if reach is None:
        raise UserError("this worker was not told which addresses agents made through the API may reach")
    try:
        await reach(base_url)
    except AddressRefused as error:
        raise UserError(f"the agent's base_url {error.fault.said}. {error.hint}".strip()) from error
    return reach


def checked_client(reach: Reach, *, verify: ssl.SSLContext, timeout: httpx2.Timeout) -> httpx2.AsyncClient:
    """A client that asks `reach` before each request. It follows no redirect and takes no proxy from the
    environment, which would resolve names by itself."""
    transport = CheckedTransport(reach, httpx2.AsyncHTTPTransport(verify=verify, trust_env=False))
    return httpx2.AsyncClient(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False)


class CheckedTransport(httpx2.AsyncBaseTransport):
    """Connects to an address that was checked, never to the name again: it may resolve to another one a
    moment later. The name stays in `Host`, and is what TLS asks for and verifies."""

    def __init__(self, reach: Reach, inner: httpx2.AsyncBaseTransport) -> None:
        self._reach = reach
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        named = request.url
        try:
            *others, last = await self._reach(str(named))
        except AddressRefused as error:
            raise httpx2.ConnectError(f"its address {error.fault.said}", request=request) from error
        request.extensions = {**request.extensions, "sni_hostname": named.host}
        try:
            for address in others:
                request.url = named.copy_with(host=address)
                try:
                    return await self._inner.handle_async_request(request)
                except (httpx2.ConnectError, httpx2.ConnectTimeout):
                    continue  # nothing was sent yet
            request.url = named.copy_with(host=last)
            return await self._inner.handle_async_request(request)
        finally:
            # What went wrong is told by the name that its owner gave.
            request.url = named

    async def aclose(self) -> None:
        await self._inner.aclose()
