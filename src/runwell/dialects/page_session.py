"""The session of whoever is signed in to this server's own pages, and whether such a page is asking."""

from starlette.types import Scope

from runwell.auth import cookies
from runwell.auth.origin import SAFE_METHODS, require_own_page
from runwell.auth.sessions import Accounts, Found


async def signed_in(accounts: Accounts | None, scope: Scope, headers: dict[bytes, bytes]) -> Found | None:
    """Who is signed in in the browser that sent this request; None for nobody.

    Raises `Forbidden` when the request would change something and a foreign page asks for it: browsers
    send the cookie along, whoever wrote the page. `StoreUnavailable` passes through.
    """
    token = token_in(scope, headers)
    if accounts is None or token is None:
        return None
    found = await accounts.find(token)
    if found is not None:
        require_this_server(scope)
    return found


def token_in(scope: Scope, headers: dict[bytes, bytes]) -> str | None:
    """The token in the session's cookie."""
    given = headers.get(b"cookie")
    if given is None:
        return None
    return cookies.token_of(given.decode("latin-1"), secure=is_secure(scope))


def require_this_server(scope: Scope) -> None:
    """Raise `Forbidden` for a change that a page of another origin asks for, listed or not: pages of
    other origins come with a key."""
    if scope["method"] in SAFE_METHODS:
        return
    require_own_page(
        scope["method"],
        secure=is_secure(scope),
        hosts=_all(scope, b"host"),
        origins=_all(scope, b"origin"),
        sites=_all(scope, b"sec-fetch-site"),
    )


def is_secure(scope: Scope) -> bool:
    return scope.get("scheme") == "https"


def _all(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for header, value in scope["headers"] if header == name]
