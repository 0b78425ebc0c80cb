"""Looks at the addresses of callbacks and models while whoever gave them still listens."""

import asyncio
from collections.abc import Iterable

from runwell.dialects.dialect import Services
from runwell.domain.errors import AddressFault, AddressRefused, InvalidInput


async def check_addresses(services: Services, urls: Iterable[str], *, must_resolve: bool = False) -> None:
    """Raise `AddressRefused` for the first that may not be posted to.

    Names move: unless it `must_resolve`, one that has no address now may have one when the run ends,
    and is looked at again before each post.
    """
    checks = (services.check_address(url) for url in dict.fromkeys(urls))
    for found in await asyncio.gather(*checks, return_exceptions=True):
        if (
            isinstance(found, AddressRefused)
            and found.fault is AddressFault.UNRESOLVABLE
            and not must_resolve
        ):
            continue
        if isinstance(found, BaseException):
            raise found


async def check_base_url(services: Services, base_url: str) -> None:
    """Raise `InvalidInput` for the address of a model that an agent made through the API may not name.

    One that has no address now is looked at again before each request.
    """
    try:
        await services.check_address(base_url)
    except AddressRefused as error:
        if error.fault is not AddressFault.UNRESOLVABLE:
            raise InvalidInput("$.base_url", error.fault.said, error.hint) from error
