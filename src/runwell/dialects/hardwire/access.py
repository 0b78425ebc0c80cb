"""Who is calling: the session's cookie, whose page asks, and which pages may read the answer."""

from typing import NamedTuple

from starlette.types import Scope

from runwell.auth import cookies
from runwell.auth.authenticator import require
from runwell.auth.local_mode import allowed_origins, normal_origin, origin_allowed
from runwell.auth.origin import SAFE_METHODS, fault
from runwell.auth.sessions import LIFE, Accounts, Found
from runwell.dialects.dialect import Services
from runwell.dialects.exchange import Call, Headers
from runwell.domain.errors import Forbidden, Unauthenticated
from runwell.domain.principal import Principal
from runwell.domain.principal import Scope as Right

COOKIE = "better-auth.session_token"
FORGETFUL = "better-auth.dont_remember"
"""Beside a session that ends with the browser."""
METHODS = b"GET, POST, PATCH, DELETE, OPTIONS"
HEADERS = b"accept, content-type, x-request-id"
NOT_OWN_PAGE = "List the page's origin in RUNWELL_ORIGINS; a proxy in front must pass on its Host."


class Visit(NamedTuple):
    """Somebody who is signed in, with what must go along with the answer."""

    found: Found
    token: str
    headers: Headers

    @property
    def owner(self) -> str:
        return self.found.principal.owner

    @property
    def principal(self) -> Principal:
        return self.found.principal

    @property
    def user_id(self) -> str:
        return self.found.user.id


class Access:
    """`accounts` are the server's people; nobody is anybody here without a session."""

    def __init__(self, services: Services, accounts: Accounts) -> None:
        self.accounts = accounts
        self._authenticator = services.authenticator
        self._local_mode = services.authenticator.local_mode
        self._origins = allowed_origins(services.options.origins)

    async def enter(self, call: Call, right: Right) -> Visit:
        """Who calls. Raises `Unauthenticated`, `RateLimited`; `Forbidden` for a foreign page."""
        token = self.token(call)
        found = await self.accounts.find(token)
        if found is None or token is None:
            raise Unauthenticated("There is no session", "Sign in: POST /api/auth/sign-in/email.")
        self.check_page(call.scope)
        if call.scope["method"] not in SAFE_METHODS:
            self._authenticator.admit_change(found.principal)
        require(found.principal, right)
        headers = self.kept_cookie(call, token) if found.refreshed else []
        return Visit(found, token, headers)

    def token(self, call: Call) -> str | None:
        return cookies.token_of(call.header(b"cookie"), secure=is_secure(call.scope), name=COOKIE)

    def check_page(self, scope: Scope) -> None:
        """Raise `Forbidden` when a foreign page asks for a change: a browser sends the cookie along."""
        if scope["method"] in SAFE_METHODS:
            return
        origins = _all(scope, b"origin")
        found = fault(
            scope["method"],
            secure=is_secure(scope),
            hosts=_all(scope, b"host"),
            origins=origins,
            sites=_all(scope, b"sec-fetch-site"),
            allowed=self._allowed(origins),
        )
        if found is not None:
            raise Forbidden(found, NOT_OWN_PAGE)

    def cookie(self, call: Call, token: str, *, remember: bool) -> Headers:
        """The headers that keep somebody signed in: for as long as the session lasts, or until the browser
        ends."""
        secure = is_secure(call.scope)
        kept = cookies.set_cookie(token, secure=secure, max_age=LIFE if remember else None, name=COOKIE)
        told = [_set(kept)]
        if not remember:
            told.append(_set(cookies.set_cookie("true", secure=secure, max_age=None, name=FORGETFUL)))
        elif self._forgetful(call):
            told.append(_set(cookies.end_cookie(secure=secure, name=FORGETFUL)))
        return told

    def kept_cookie(self, call: Call, token: str) -> Headers:
        """The same for a session that was refreshed: it is remembered as it was."""
        return self.cookie(call, token, remember=not self._forgetful(call))

    def end_cookie(self, call: Call) -> Headers:
        secure = is_secure(call.scope)
        return [_set(cookies.end_cookie(secure=secure, name=name)) for name in (COOKIE, FORGETFUL)]

    def trusts(self, origin: str) -> bool:
        """Whether pages of this origin may ask in a user's name, and read what is answered."""
        if self._local_mode:
            return origin_allowed(origin, self._origins)
        return normal_origin(origin) in self._origins

    def cors(self, scope: Scope) -> Headers:
        """What lets a page of a trusted origin read the answer, sent with its cookies."""
        origins = _all(scope, b"origin")
        if len(origins) != 1:
            return []
        vary = (b"vary", b"origin")
        if not self.trusts(origins[0]):
            return [vary]
        return [
            (b"access-control-allow-origin", origins[0].encode("latin-1")),
            (b"access-control-allow-credentials", b"true"),
            (b"access-control-expose-headers", b"retry-after, x-retry-after"),
            vary,
        ]

    def preflight(self, scope: Scope) -> Headers:
        granted = self.cors(scope)
        if len(granted) < 2:
            return granted
        return [
            *granted,
            (b"access-control-allow-methods", METHODS),
            (b"access-control-allow-headers", HEADERS),
            (b"access-control-max-age", b"600"),
        ]

    def _forgetful(self, call: Call) -> bool:
        secure = is_secure(call.scope)
        return cookies.token_of(call.header(b"cookie"), secure=secure, name=FORGETFUL) is not None

    def _allowed(self, origins: list[str]) -> frozenset[str]:
        """The origins among these that are trusted, spelled as `auth.origin` compares them."""
        trusted = (normal_origin(origin) for origin in origins if self.trusts(origin))
        return frozenset(origin for origin in trusted if origin is not None)


def is_secure(scope: Scope) -> bool:
    return scope.get("scheme") == "https"


def address_of(scope: Scope) -> str:
    """The client's address; empty when the server does not know it."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _all(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for header, value in scope["headers"] if header == name]


def _set(value: str) -> tuple[bytes, bytes]:
    return b"set-cookie", value.encode("latin-1")
