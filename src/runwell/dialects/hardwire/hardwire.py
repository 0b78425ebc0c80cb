"""What every route of this dialect works with, and how each is entered and left."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec
from starlette.responses import Response
from starlette.types import Scope

from runwell.auth.sessions import Accounts
from runwell.dialects.dialect import Services
from runwell.dialects.exchange import Call, Headers, Reply
from runwell.dialects.hardwire.access import Access, Visit
from runwell.dialects.hardwire.app_wire import AppWire
from runwell.dialects.hardwire.auth_errors import auth_error
from runwell.dialects.hardwire.chats import Chats
from runwell.dialects.hardwire.docs_wire import DocsWire
from runwell.dialects.hardwire.errors import JSON, PRIVATE
from runwell.dialects.hardwire.plans import Plans
from runwell.dialects.hardwire.sending import Sending
from runwell.dialects.hardwire.wire import Wire
from runwell.dialects.hardwire.workflows import Workflows
from runwell.domain.principal import Scope as Right
from runwell.engine.core import Core

NAME = "hardwire"
MOUNT = f"/{NAME}"
AUTH = "/api/auth/"

Answer = Reply | Response


class Asked(NamedTuple):
    """A request of somebody who is signed in. `ids` are those in its path, by their names; other
    parameters stand there as they came."""

    call: Call
    visit: Visit
    ids: dict[str, str]


Handler = Callable[[Asked], Awaitable[Answer]]


class Hardwire:
    """The dialect's rooms."""

    def __init__(self, services: Services, accounts: Accounts) -> None:
        core = services.core
        self.services = services
        self.access = Access(services, accounts)
        self.wire: Wire = AppWire() if services.options.hardwire_wire == "app" else DocsWire()
        self.chats = Chats(core)
        self.workflows = Workflows(core)
        self.plans = Plans(core)
        self.sending = Sending(core, self.chats, self.workflows)

    @property
    def core(self) -> Core:
        return self.services.core

    async def handle(
        self, handler: Handler, right: Right, call: Call, read_ids: Callable[[], dict[str, str]]
    ) -> Answer:
        """The ids of the path are looked at first, then who calls."""
        ids = read_ids()
        visit = await self.access.enter(call, right)
        answer = await handler(Asked(call, visit, ids))
        return self.let_go(answer, call.scope, visit.headers)

    def let_go(self, answer: Answer, scope: Scope, more: Headers) -> Answer:
        """The answer with what goes along with it, and readable for pages that may read it."""
        headers = [*more, *self.access.cors(scope)]
        if isinstance(answer, Reply):
            return answer._replace(headers=[*answer.headers, *headers])
        answer.raw_headers.extend(headers)
        return answer

    def refuse(self, error: Exception, scope: Scope) -> Reply:
        """The answer to a request that ended in `error`."""
        render = auth_error if scope["path"].removeprefix(MOUNT).startswith(AUTH) else self.wire.error
        reply = render(error, scope)
        return reply._replace(headers=[*reply.headers, *self.access.cors(scope)])


def json_reply(body: msgspec.Struct | None, status: int = 200) -> Reply:
    return json_bytes(msgspec.json.encode(body), status)


def json_bytes(body: bytes, status: int = 200) -> Reply:
    return Reply(status, [JSON, PRIVATE], body)
