"""The guard of local mode: without keys, only this machine may ask, and no web page in its name.

A browser on this machine reaches loopback too. It says which name it asked for (`Host`) and which
page asks (`Origin`); a page cannot change either. A foreign name that was made to resolve to
127.0.0.1 (DNS rebinding) shows in `Host`, any other page in `Origin`. Pure functions.
"""

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address, IPv6Address

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?\Z")
_ORIGIN = re.compile(r"(https?)://([^/\s@?#\\]+)\Z", re.IGNORECASE)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_V6_LOOPBACK = IPv6Address("::1")


def is_loopback(host: str) -> bool:
    """Whether a `Host` value (name or address, with or without a port) names this machine for certain.

    `localhost`, 127.0.0.0/8 in plain dotted form, `[::1]` in any spelling. Not 0.0.0.0, which some
    systems route to loopback, and no name below `localhost`: resolvers differ on both.
    """
    found = _HOST.match(host)
    if found is None:
        return False
    name = found[1]
    if name.startswith("["):
        try:
            return IPv6Address(name[1:-1]) == _V6_LOOPBACK
        except AddressValueError:
            return False
    if name.lower() == "localhost":
        return True
    try:
        # Refuses what browsers would rewrite before sending: 127.1, 0x7f.0.0.1, 127.0.0.01.
        return IPv4Address(name).is_loopback
    except AddressValueError:
        return False


def normal_origin(origin: str) -> str | None:
    """`scheme://host[:port]` in lower case without a default port; None when it is no web origin."""
    found = _ORIGIN.match(origin)
    if found is None:
        return None
    scheme, host = found[1].lower(), found[2].lower()
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS[scheme])}"


def allowed_origins(listed: Iterable[str]) -> frozenset[str]:
    """The origins of `RUNWELL_ORIGINS`, normalised. Raises `ValueError` for an entry that is none."""
    origins = set()
    for entry in listed:
        origin = normal_origin(entry.strip().rstrip("/"))
        if origin is None:
            raise ValueError(f"RUNWELL_ORIGINS: {entry!r} is no origin such as https://app.example.com")
        origins.add(origin)
    return frozenset(origins)


def origin_allowed(origin: str, allowed: frozenset[str]) -> bool:
    """Whether a page of this origin may drive the server: it is loopback's own, or listed."""
    normal = normal_origin(origin)
    if normal is None:
        return False  # among them "null", which sandboxed frames and local files send
    return normal in allowed or is_loopback(normal.partition("://")[2])


def fault(
    hosts: list[str],
    origins: list[str],
    allowed: frozenset[str],
    sites: Iterable[str] = (),
    modes: Iterable[str] = (),
) -> str | None:
    """Why a request with these `Host` and `Origin` headers is refused; None when it may enter.

    Every header of the name counts: which of two a server behind would take is anybody's guess. `sites`
    and `modes` are `Sec-Fetch-Site` and `Sec-Fetch-Mode`: a picture or a script that a foreign page asks
    for has no `Origin`, and could hold streams open. A link that somebody follows is let in.
    """
    if not hosts:
        return "The request names no Host"
    for host in hosts:
        if not is_loopback(host):
            return f"Host {host[:100]!r} is not this machine"
    for origin in origins:
        if not origin_allowed(origin, allowed):
            return f"Origin {origin[:100]!r} is neither this machine nor in RUNWELL_ORIGINS"
    if not origins and "cross-site" in sites and "navigate" not in modes:
        return "Sec-Fetch-Site says that another site's page asks"
    return None


def is_loopback_address(address: str) -> bool:
    """Whether a client's address, as the server sees it or a proxy told it, is this machine's."""
    return is_loopback(f"[{address}]" if ":" in address else address)
