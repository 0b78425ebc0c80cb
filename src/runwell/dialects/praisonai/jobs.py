"""What every route of this dialect works with, and how it learns who is calling."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, cast

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import Scope as AsgiScope

from runwell.dialects.dialect import Services
from runwell.dialects.exchange import Reply
from runwell.dialects.praisonai.bodies import JobStatusResponse
from runwell.dialects.praisonai.errors import JSON, JobNotFound
from runwell.dialects.praisonai.responses import PRIVATE, Renderer, seconds
from runwell.domain.errors import InvalidId, RunNotFound
from runwell.domain.ids import parse_id
from runwell.domain.principal import Principal, Scope
from runwell.domain.run import Run, RunStatus
from runwell.engine.core import Core


@dataclass(frozen=True, slots=True)
class Jobs:
    """The dialect's rooms. `render` is shared by the routes of the app and the hot one."""

    services: Services
    render: Renderer

    @property
    def core(self) -> Core:
        return self.services.core

    def admit(self, headers: dict[bytes, bytes], scope: Scope) -> Awaitable[Principal]:
        """The caller, who has `scope`: see `Authenticator.admit`."""
        return self.services.authenticator.admit(credential_of(headers), scope)

    async def find(self, owner: str, job_id: str) -> Run:
        """Raises `JobNotFound`, also for what is no id: ids are opaque here."""
        try:
            return await self.core.store.runs.get(parse_id(job_id), owner)
        except (InvalidId, RunNotFound) as error:
            raise JobNotFound(job_id) from error

    async def position(self, run: Run) -> int | None:
        if run.status is not RunStatus.QUEUED:
            return None
        return await self.core.store.runs.position(run)

    async def status_body(self, run: Run) -> JobStatusResponse:
        wait = seconds(run, await self.position(run), self.core.clock.now())
        return self.render.status_body(run, wait)

    async def status_reply(self, run: Run, status: int = 200) -> Reply:
        position = await self.position(run) if run.status is RunStatus.QUEUED else None
        body = self.render.status(run, position, self.core.clock.now())
        return Reply(status, [JSON, PRIVATE], body)


def credential_of(headers: dict[bytes, bytes]) -> str | None:
    """That of `Authorization: Bearer …`; without a bearer that of `X-API-Key`. None where neither header is
    there: an `Authorization` of any other kind is a wrong credential."""
    scheme, _, bearer = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer":
        return bearer.strip().decode("latin-1")
    key = headers.get(b"x-api-key")
    if key is not None:
        return key.strip().decode("latin-1")
    return "" if b"authorization" in headers else None


def jobs_of(request: Request) -> Jobs:
    return cast(Jobs, request.app.state.jobs)


def caller_of(request: Request) -> Principal:
    """Who `AdmittedRoute` let in."""
    return cast(Principal, request.state.caller)


def base_of(scope: AsgiScope, host: str) -> str:
    """The address that the request came to, with the mount: `http://127.0.0.1:8005/praisonai`."""
    return f"{scope['scheme']}://{host}{scope.get('root_path', '')}"


class AdmittedRoute(APIRoute):
    """A route whose caller is known before anything else of the request is looked at: a stranger is
    told nothing about the body that it sent."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        scope = Scope.RUNS_READ if self.methods == {"GET"} else Scope.RUNS_WRITE

        async def admitted(request: Request) -> Response:
            request.state.caller = await jobs_of(request).admit(dict(request.scope["headers"]), scope)
            return await handle(request)

        return admitted
