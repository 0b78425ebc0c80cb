"""Whose page is asking: a browser sends the session's cookie along, whoever wrote the page.

So a request that changes something and bears a session must come from a page of this server or of
an origin in `RUNWELL_ORIGINS`, or from no page at all. Browsers say so in `Sec-Fetch-Site` and
`Origin`, which a page cannot change; programs such as curl send neither. Pure functions.
"""

from collections.abc import Iterable, Sequence

from runwell.auth.local_mode import is_loopback, is_loopback_address, normal_origin
from runwell.domain.errors import Forbidden

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITES = frozenset({"same-origin", "none"})
"""What `Sec-Fetch-Site` says of the server's own pages, and of what the user asked for directly."""
FORWARDING = frozenset(
    {b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"cf-connecting-ip"}
)
"""Headers that a proxy adds, and all that begin with `X-Forwarded`."""


def is_here(address: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether whoever asks is on this machine, and no proxy on it asks for somebody else.

    `address` is the client's as the server knows it, `headers` are all of the request, lower-case. That
    a proxy passes something on is enough, whatever it says: the first who asked wrote part of it.
    """
    if not is_loopback_address(address):
        return False
    hosts = 0
    for name, value in headers:
        if name in FORWARDING or name.startswith(b"x-forwarded"):
            return False
        if name == b"host":
            hosts += 1
            if not is_loopback(value.decode("latin-1")):
                return False
    return hosts == 1


def fault(
    method: str,
    *,
    secure: bool,
    hosts: Sequence[str],
    origins: Sequence[str] = (),
    sites: Sequence[str] = (),
    allowed: frozenset[str] = frozenset(),
) -> str | None:
    """Why a request that bears a session's cookie is refused; None when it may pass.

    `hosts`, `origins` and `sites` are all values of `Host`, `Origin` and `Sec-Fetch-Site`. `secure`:
    it came over TLS. `allowed` are origins as `local_mode.allowed_origins` returns them.
    """
    if method in SAFE_METHODS:
        return None
    for origin in origins:
        if not _own(origin, hosts, secure) and normal_origin(origin) not in allowed:
            return f"Origin {origin[:100]!r} is neither this server nor in RUNWELL_ORIGINS"
    if not origins:
        for site in sites:
            if site not in OWN_SITES:
                return f"Sec-Fetch-Site {site[:100]!r} says that another site's page asks"
    return None


def require_own_page(
    method: str,
    *,
    secure: bool,
    hosts: Sequence[str],
    origins: Sequence[str] = (),
    sites: Sequence[str] = (),
    allowed: frozenset[str] = frozenset(),
) -> None:
    """Raise `Forbidden` where `fault` finds one.

    For every request that bears a session's cookie, and for those that sign in: a foreign page must
    not sign its reader in as somebody else.
    """
    found = fault(method, secure=secure, hosts=hosts, origins=origins, sites=sites, allowed=allowed)
    if found is not None:
        raise Forbidden(
            found,
            "List the page's origin in RUNWELL_ORIGINS; a proxy in front must pass on the Host it was given.",
        )


def _own(origin: str, hosts: Sequence[str], secure: bool) -> bool:
    """Whether the origin is the host that was asked for.

    A request without TLS may have come to a proxy with it; the other way round it is a page without
    TLS that asks, which anybody on its way may have written.
    """
    normal = normal_origin(origin)
    if normal is None or len(hosts) != 1:
        return False
    scheme = normal.partition("://")[0]
    if secure and scheme != "https":
        return False
    return normal_origin(f"{scheme}://{hosts[0]}") == normal
