"""How often somebody may try a password: by address, and by the account that is tried."""

from ipaddress import AddressValueError, IPv6Address

from runwell.auth.rate_limit import RateLimit
from runwell.domain.instant import Instant

WINDOW = 300.0
"""Seconds."""
PER_EMAIL = 10
PER_ADDRESS = 60


class Attempts:
    """Every attempt counts, also a right one: it is counted before it is known.

    Known and unknown accounts are counted apart but alike: nobody can invent so many accounts that a
    real one's count is forgotten, and nobody learns from a refusal whether an account is there.
    """

    def __init__(self, *, per_email: int = PER_EMAIL, per_address: int = PER_ADDRESS) -> None:
        self._addresses = RateLimit(per_address, WINDOW)
        self._known = RateLimit(per_email, WINDOW)
        self._unknown = RateLimit(per_email, WINDOW)

    def of_address(self, address: str, now: Instant) -> None:
        """Count one of a client's address; an empty one is not known and not counted. Raises
        `RateLimited`."""
        if address:
            self._addresses.take(_network(address), now)

    def of_account(self, email_key: str, now: Instant, *, known: bool) -> None:
        """Count one of an account. Raises `RateLimited`."""
        (self._known if known else self._unknown).take(email_key, now)


def _network(address: str) -> str:
    """Whom an address belongs to: an IPv6 customer has 2^64 of them."""
    try:
        parsed = IPv6Address(address)
    except AddressValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{int(parsed) >> 64:x}"
