"""The dashboard's routes: pages for whoever is signed in, or for anybody here in local mode."""

from collections.abc import Awaitable, Callable, Iterator
from html import escape
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote

import msgspec
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from runwell.auth import cookies
from runwell.auth.sessions import LIFE
from runwell.dialects.dialect import HotHandler, Services
from runwell.dialects.exchange import Call, Headers, Reply, bearer_or_key
from runwell.dialects.page_session import is_secure, signed_in, token_in
from runwell.domain.errors import ErrorKind, RunwellError, Unauthenticated
from runwell.domain.principal import Principal, Scope
from runwell.server.dashboard.assets import Assets
from runwell.server.dashboard.inside import ask
from runwell.server.dashboard.pages import PLACES, Pages, Shown, seed_of
from runwell.server.dashboard.reports import Reports
from runwell.server.dashboard.rows import table
from runwell.server.dashboard.signing_in import SigningIn

VIEWS = (
    "/ui/agents",
    "/ui/threads",
    "/ui/schedules",
    "/ui/callbacks",
    "/ui/workers",
    "/ui/keys",
    "/ui/users",
)
OF_ONE = ("/ui/agents/{name}", "/ui/threads/{id}")
ROWS = 50
"""How many runs the first page has; `runs.js` asks for as many."""

STATUS = {
    ErrorKind.INVALID: 422,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.LIMITED: 429,
    ErrorKind.UNAVAILABLE: 503,
}


Handler = Callable[[Call], Awaitable[Reply]]


class Visitor(NamedTuple):
    """Who looks, and the headers that keep the session's cookie as long as the session."""

    principal: Principal
    name: str
    headers: Headers


class Dashboard:
    """`native` is the app of the native API, which the first rows are asked of."""

    def __init__(self, services: Services, native: ASGIApp) -> None:
        self._services = services
        self._native = native
        self._assets = Assets()
        self._pages = Pages(self._assets)
        self._reports = Reports(services.core.clock)
        self._signing_in = SigningIn(services, self._pages)

    def routes(self) -> Iterator[tuple[str, str, HotHandler]]:
        """Method, path and handler of each. Where a page can be read its head can, and the server leaves
        the body out."""
        for method, path, handler in self._routes():
            yield method, path, handler
            if method == "GET":
                yield "HEAD", path, handler

    def _routes(self) -> Iterator[tuple[str, str, HotHandler]]:
        yield "GET", "/", self._to_runs
        yield "GET", "/ui", self._to_runs
        yield "GET", "/ui/runs", self._to_runs
        yield "GET", "/ui/", self._whole(self._runs)
        yield "GET", "/ui/runs/{id}", self._whole(self._run)
        for path in (*VIEWS, *OF_ONE):
            yield "GET", path, self._whole(self._view)
        yield "GET", "/ui/sign-in", self._whole(self._signing_in.form)
        yield "POST", "/ui/sign-in", self._whole(self._signing_in.sign_in)
        yield "POST", "/ui/sign-out", self._whole(self._signing_in.sign_out)
        yield "GET", "/ui/assets/{build}/{name:path}", self._assets.serve
        yield "POST", "/ui/csp-reports", self._reports.take
        yield "GET", "/ui/{rest:path}", self._whole(self._nothing)

    def _whole(self, handler: Handler) -> HotHandler:
        """The handler, whose refusals are pages too."""

        async def answered(call: Call) -> Reply:
            try:
                return await handler(call)
            except Unauthenticated:
                path, query = call.scope["path"], call.scope["query_string"].decode("latin-1")
                wanted = quote(f"{path}?{query}" if query else path, safe="/")
                return Reply(303, [(b"location", f"/ui/sign-in?next={wanted}".encode())])
            except RunwellError as error:
                return self._fault(STATUS.get(error.kind, 409), error.message, error.hint)
            except HTTPException as error:
                return self._fault(error.status_code, f"There is nothing at {call.scope['path'][:200]}", "")

        return answered

    def _fault(self, status: int, message: str, hint: str) -> Reply:
        title = HTTPStatus(status).phrase
        told = "".join(f"<p>{escape(text)}.</p>" for text in (message.rstrip("."), hint.rstrip(".")) if text)
        return self._pages.plain(
            status, title, f'<h1>{title}</h1>{told}<p><a href="/ui/">Go to the runs</a></p>'
        )

    async def _to_runs(self, call: Call) -> Reply:
        return Reply(307, [(b"location", b"/ui/")])

    async def _nothing(self, call: Call) -> Reply:
        raise HTTPException(404)

    async def _runs(self, call: Call) -> Reply:
        visitor = await self._visitor(call)
        query = call.scope["query_string"]
        limited = b"output=false&limit=%d" % ROWS
        answer = await ask(self._native, call, "/runs", limited + b"&" + query if query else limited)
        main = ""
        if answer.status == 200:
            main = table(msgspec.json.decode(answer.body), self._services.core.clock.now())
        return self._page(visitor, "Runs", "/ui/", main, first=msgspec.Raw(answer.body))

    async def _run(self, call: Call) -> Reply:
        visitor = await self._visitor(call)
        answer = await ask(self._native, call, f"/runs/{quote(call.param, safe='')}")
        if answer.status in (404, 422):  # there is none of that id, or the id is none
            raise HTTPException(404)
        if answer.status != 200:
            problem = msgspec.json.decode(answer.body)
            return self._fault(answer.status, problem["detail"], problem["hint"])
        return self._page(visitor, "Run", "/ui/", "", first=msgspec.Raw(answer.body))

    async def _view(self, call: Call) -> Reply:
        visitor = await self._visitor(call)
        path = "/".join(call.scope["path"].split("/")[:3])
        place = next(place for place in PLACES if place.path == path)
        if place.admin and not visitor.principal.may(Scope.ADMIN):
            return self._fault(403, f"{place.name} are shown to administrators", "")
        return self._page(visitor, place.name, path, "")

    def _page(self, visitor: Visitor, title: str, current: str, main: str, **first: msgspec.Raw) -> Reply:
        principal = visitor.principal
        seed = seed_of(
            now=self._services.core.clock.now(),
            scopes=sorted(principal.scopes),
            via=principal.via,
            owner=principal.owner,
            **first,
        )
        shown = Shown(title, main, _who(visitor), seed, principal.may(Scope.ADMIN), current)
        return self._pages.page(200, shown, visitor.headers)

    async def _visitor(self, call: Call) -> Visitor:
        """Raises `Unauthenticated`."""
        found = await signed_in(self._services.accounts, call.scope, call.headers)
        if found is None:
            principal = await self._services.authenticator.authenticate(bearer_or_key(call.headers))
            return Visitor(principal, "local mode" if principal.via == "local" else principal.owner, [])
        token = token_in(call.scope, call.headers) or ""
        kept = cookies.set_cookie(token, secure=is_secure(call.scope), max_age=LIFE)
        return Visitor(found.principal, found.user.email, [(b"set-cookie", kept.encode())])


def _who(visitor: Visitor) -> str:
    name = f'<span title="{escape(visitor.name)}">{escape(visitor.name)}</span>'
    if visitor.principal.via != "session":
        return name
    return f'{name}<form method="post" action="/ui/sign-out"><button type="submit">Sign out</button></form>'
