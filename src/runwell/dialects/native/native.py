"""What every route of this dialect works with, and how it learns who is calling."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Query, Request
from starlette.types import Scope as HttpScope

from runwell.auth.authenticator import require
from runwell.auth.origin import SAFE_METHODS
from runwell.dialects.dialect import Services
from runwell.dialects.exchange import Headers, Reply, bearer_or_key
from runwell.dialects.native.responses import JSON, PRIVATE, Renderer, etag
from runwell.dialects.page_session import signed_in
from runwell.domain.errors import InvalidInput, Unauthenticated, Unavailable
from runwell.domain.events import LoggedEvent
from runwell.domain.principal import Principal, Scope
from runwell.domain.run import Run, RunStatus
from runwell.engine.core import Core
from runwell.stream.changes import Changes
from runwell.stream.retry_after import retry_after


@dataclass(frozen=True, slots=True)
class Native:
    """The dialect's rooms. `render` is shared by the routes of the app and the hot ones, `changes` by all
    who read them."""

    services: Services
    render: Renderer
    changes: Changes

    @property
    def core(self) -> Core:
        return self.services.core

    async def position(self, run: Run) -> int | None:
        if run.status is not RunStatus.QUEUED:
            return None
        return await self.core.store.runs.position(run)

    async def run_reply(self, status: int, run: Run, mount: str) -> Reply:
        """A Run body with its validator."""
        return self.seen_reply(status, run, await self.position(run), mount)

    def seen_reply(
        self, status: int, run: Run, position: int | None, mount: str, extra: Headers | None = None
    ) -> Reply:
        """The same for a run whose place in the queue is known."""
        headers = [JSON, PRIVATE, (b"etag", etag(run, position).encode())]
        seconds = retry_after(run, position, self.core.clock.now())
        if seconds is not None:
            headers.append((b"retry-after", b"%d" % seconds))
        if extra:
            headers.extend(extra)
        return Reply(status, headers, self.render.run(run, position, mount))

    async def callback_body(self, run: Run, line: LoggedEvent) -> bytes:
        """What callbacks of the format `native` post; links in it are those of the root."""
        return self.render.callback_body(run, await self.position(run), line)


def native_of(request: Request) -> Native:
    return cast(Native, request.app.state.native)


def mount_of(request: Request) -> str:
    """The path prefix that the request came through, for the links of the answer."""
    return cast(str, request.scope.get("root_path", ""))


def admit(
    services: Services, request: HttpScope, headers: dict[bytes, bytes], scope: Scope
) -> Awaitable[Principal]:
    """The caller, who has `scope`: see `Authenticator.admit`. Without a key, whoever is signed in to the
    dashboard in this browser."""
    credential = bearer_or_key(headers)
    if credential is None and b"cookie" in headers:
        return _with_cookie(services, request, headers, scope)
    return services.authenticator.admit(credential, scope)


async def _with_cookie(
    services: Services, request: HttpScope, headers: dict[bytes, bytes], scope: Scope
) -> Principal:
    found = await signed_in(services.accounts, request, headers)
    if found is None:
        return await services.authenticator.admit(None, scope)
    if request["method"] not in SAFE_METHODS:
        services.authenticator.admit_change(found.principal)
    require(found.principal, scope)
    return found.principal


async def still_admitted(services: Services, request: HttpScope, caller: Principal) -> bool:
    """Whether whoever sent this request is still who it was, and may what it might: for answers that never
    end. Counted for nothing."""
    headers = dict(request["headers"])
    credential = bearer_or_key(headers)
    try:
        found = await signed_in(services.accounts, request, headers) if credential is None else None
        now = found.principal if found is not None else await services.authenticator.authenticate(credential)
    except Unauthenticated:
        return False
    except Unavailable:
        return True  # nobody can say otherwise; it is asked again
    return now == caller


def _with_scope(scope: Scope):  # type: ignore[no-untyped-def]
    async def admitted(request: Request) -> Principal:
        services = native_of(request).services
        return await admit(services, request.scope, dict(request.scope["headers"]), scope)

    return Depends(admitted)


def whose(caller: Principal, owner: str | None, *, all_owners: bool) -> str | None:
    """Whose runs are asked for; None is everybody's.

    Raises `Forbidden` for others' without the scope `admin`, `InvalidInput` for both at once.
    """
    if owner is not None and all_owners:
        raise InvalidInput("query.owner", "is given together with `all_owners`", "Ask for one of them.")
    if all_owners or owner not in (None, caller.owner):
        require(caller, Scope.ADMIN)
    return None if all_owners else owner or caller.owner


OfOwner = Annotated[
    str | None,
    Query(min_length=1, max_length=200, description="Default: you. Others' take the scope `admin`"),
]
AllOwners = Annotated[bool, Query(description="Everybody's; takes the scope `admin`")]
ReadsRuns = Annotated[Principal, _with_scope(Scope.RUNS_READ)]
WritesRuns = Annotated[Principal, _with_scope(Scope.RUNS_WRITE)]
WritesAgents = Annotated[Principal, _with_scope(Scope.AGENTS_WRITE)]
Admin = Annotated[Principal, _with_scope(Scope.ADMIN)]
