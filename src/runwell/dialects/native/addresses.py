"""Looks at the addresses of callbacks while whoever gave them still listens."""

import asyncio
from collections.abc import Iterable

from runwell.dialects.dialect import Services
from runwell.domain.errors import AddressFault, AddressRefused


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
