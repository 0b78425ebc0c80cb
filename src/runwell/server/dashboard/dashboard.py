"""The dashboard's routes: pages for whoever is signed in, or for anybody here in local mode."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
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
from runwell.dialects.native.problems import refuse
from runwell.dialects.page_session import is_secure, signed_in, token_in
from runwell.domain.errors import RunwellError, Unauthenticated
from runwell.domain.principal import Principal, Scope
from runwell.server.dashboard.assets import Assets
from runwell.server.dashboard.inside import Answer, ask
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

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

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
        the body out; what cannot be done there is refused."""
        pages: dict[str, dict[str, Handler]] = {}
        for method, path, handler in self._routes():
            pages.setdefault(path, {})[method] = handler
            if method == "GET":
                pages[path]["HEAD"] = handler
        for path, handlers in pages.items():
            # The root is not the dashboard's alone.
            refused = self._refusing(handlers) if path != "/" else None
            for method in METHODS:
                if (chosen := handlers.get(method, refused)) is not None:
                    yield method, path, self._whole(chosen)
        for method in METHODS:
            yield method, "/ui/{rest:path}", self._whole(self._nothing)

    def _routes(self) -> Iterator[tuple[str, str, Handler]]:
        yield "GET", "/", self._to_runs
        yield "GET", "/ui", self._to_runs
        yield "GET", "/ui/runs", self._to_runs
        yield "GET", "/ui/", self._runs
        yield "GET", "/ui/runs/{id}", self._run
        for path in (*VIEWS, *OF_ONE):
            yield "GET", path, self._view
        yield "GET", "/ui/sign-in", self._signing_in.form
        yield "POST", "/ui/sign-in", self._signing_in.sign_in
        yield "POST", "/ui/sign-out", self._signing_in.sign_out
        yield "GET", "/ui/assets/{build}/{name:path}", self._assets.serve
        yield "POST", "/ui/csp-reports", self._reports.take

    def _whole(self, handler: Handler) -> HotHandler:
        """The handler, whose refusals are pages too."""
        return partial(self._answered, handler)

    async def _answered(self, handler: Handler, call: Call) -> Reply:
        try:
            return await handler(call)
        except Unauthenticated:
            path, query = call.scope["path"], call.scope["query_string"].decode("latin-1")
            wanted = quote(f"{path}?{query}" if query else path, safe="/")
            return Reply(303, [(b"location", f"/ui/sign-in?next={wanted}".encode())])
        except RunwellError as error:
            return self._told(refuse(error, call.scope))
        except HTTPException as error:
            return self._fault(error.status_code, f"There is nothing at {call.scope['path'][:200]}")

    def _refusing(self, handlers: Iterable[str]) -> Handler:
        """Of these methods none is the one that was asked for."""
        allowed = ", ".join(sorted(handlers))

        async def refused(call: Call) -> Reply:
            message = f"{call.scope['method']} is not possible here"
            return self._fault(405, message, f"Possible: {allowed}", [(b"allow", allowed.encode())])

        return refused

    def _told(self, refusal: Reply | Answer) -> Reply:
        """A problem of the API as a page, in its own words."""
        problem = msgspec.json.decode(refusal.body)
        kept = [header for header in refusal.headers if header[0] == b"retry-after"]
        return self._fault(refusal.status, problem["detail"], problem.get("hint", ""), kept)

    def _fault(self, status: int, message: str, hint: str = "", headers: Headers | None = None) -> Reply:
        title = HTTPStatus(status).phrase
        told = "".join(f"<p>{escape(text)}.</p>" for text in (message.rstrip("."), hint.rstrip(".")) if text)
        return self._pages.plain(
            status, title, f'<h1>{title}</h1>{told}<p><a href="/ui/">Go to the runs</a></p>', headers
        )

    async def _to_runs(self, call: Call) -> Reply:
        return Reply(307, [(b"location", b"/ui/")])

    async def _nothing(self, call: Call) -> Reply:
        raise HTTPException(404)

    async def _runs(self, call: Call) -> Reply:
        visitor = await self._visitor(call)
        query = call.scope["query_string"]
        # The last of a name counts: what is asked for in the URL must not make the page any longer.
        answer = await self._ask(call, "/runs", query + b"&output=false&limit=%d" % ROWS)
        main = ""
        if answer.status == 200:
            page, now = msgspec.json.decode(answer.body), self._services.core.clock.now()
            main = table(page, now, visitor.principal.owner)
        return self._page(visitor, "Runs", "/ui/", main, first=msgspec.Raw(answer.body))

    async def _run(self, call: Call) -> Reply:
        visitor = await self._visitor(call)
        answer = await self._ask(call, f"/runs/{quote(call.param, safe='')}")
        if answer.status in (404, 422):  # there is none of that id, or the id is none
            raise HTTPException(404)
        if answer.status != 200:
            return self._told(answer)
        return self._page(visitor, "Run", "/ui/", "", first=msgspec.Raw(answer.body))

    async def _view(self, call: Call) -> Reply:
        visitor = await self._visitor(call)
        path = "/".join(call.scope["path"].split("/")[:3])
        place = next(place for place in PLACES if place.path == path)
        if place.admin and not visitor.principal.may(Scope.ADMIN):
            return self._fault(403, f"{place.name} are shown to administrators")
        return self._page(visitor, place.name, path, "")

    async def _ask(self, call: Call, path: str, query: bytes = b"") -> Answer:
        """Raises `Unauthenticated`: a session may have ended since the visitor was looked up."""
        answer = await ask(self._native, call, path, query)
        if answer.status == 401:
            problem = msgspec.json.decode(answer.body)
            raise Unauthenticated(problem["detail"], problem.get("hint", ""))
        return answer

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
