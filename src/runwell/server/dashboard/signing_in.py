"""Signing in to the dashboard, and out again, without a script."""

from urllib.parse import parse_qs

from runwell.auth import cookies
from runwell.auth.sessions import LIFE, Accounts
from runwell.dialects.dialect import Services
from runwell.dialects.exchange import Call, Reply
from runwell.dialects.page_session import is_secure, require_this_server, token_in
from runwell.domain.errors import InvalidInput, NotFound, RateLimited, RunwellError, TooLarge, Unauthenticated
from runwell.server.dashboard.pages import Pages

LARGEST = 16 * 1024
"""Bytes of the form: nobody has said yet who asks."""
HOME = "/ui/"


class SigningIn:
    def __init__(self, services: Services, pages: Pages) -> None:
        self._services = services
        self._pages = pages

    async def form(self, call: Call) -> Reply:
        query = parse_qs(call.scope["query_string"].decode("latin-1"))
        return self._pages.sign_in(200, _inside(query.get("next", [HOME])[0]))

    async def sign_in(self, call: Call) -> Reply:
        """303 to where the reader wanted to go; the form again, saying why, when it is refused.

        Raises `Forbidden` for a foreign page: it must not sign its reader in as somebody else.
        """
        require_this_server(call.scope)
        given = await _fields(call)
        following, email = _inside(given.get("next", HOME)), given.get("email", "")
        client = call.scope.get("client")
        try:
            made = await self._accounts().sign_in(
                email,
                given.get("password", ""),
                address=str(client[0]) if client else "",
                user_agent=call.header(b"user-agent") or "",
            )
        except (Unauthenticated, RateLimited, InvalidInput) as error:
            return self._pages.sign_in(_status(error), following, email[:300], error.message, error.hint)
        # The cookie of an earlier session is replaced: nobody could end that one any more.
        if (earlier := token_in(call.scope, call.headers)) is not None:
            await self._accounts().sign_out(earlier)
        cookie = cookies.set_cookie(made.token, secure=is_secure(call.scope), max_age=LIFE)
        return Reply(303, [(b"location", following.encode()), (b"set-cookie", cookie.encode())])

    async def sign_out(self, call: Call) -> Reply:
        """303 to the form; the session has ended. Raises `Forbidden` for a foreign page."""
        require_this_server(call.scope)
        token = token_in(call.scope, call.headers)
        if token is not None and self._services.accounts is not None:
            await self._services.accounts.sign_out(token)
        cookie = cookies.end_cookie(secure=is_secure(call.scope))
        return Reply(303, [(b"location", b"/ui/sign-in"), (b"set-cookie", cookie.encode())])

    def _accounts(self) -> Accounts:
        if self._services.accounts is None:
            raise NoAccounts("Nobody can sign in to this server", "Serve it with `runwell serve`.")
        return self._services.accounts


class NoAccounts(NotFound):
    """The app was put together without people."""

    code = "no_accounts"


def _status(error: RunwellError) -> int:
    if isinstance(error, RateLimited):
        return 429
    return 401 if isinstance(error, Unauthenticated) else 422


async def _fields(call: Call) -> dict[str, str]:
    """The fields of a form; of one that comes twice, the first. Raises `TooLarge`."""
    body = await call.body(LARGEST)
    try:
        pairs = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        raise TooLarge("The form has more than 20 fields", "Send its fields alone.") from error
    return {name: values[0] for name, values in pairs.items()}


def _inside(path: str) -> str:
    """A path of the dashboard, for going on to; its beginning for all else."""
    inside = path.startswith(HOME) and path.isascii() and path.isprintable() and "\\" not in path
    return path if inside and not path.startswith("/ui/sign-") else HOME
