"""What every route of this dialect works with, and how it learns who is calling."""

import re
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from runwell.auth.authenticator import Authenticator
from runwell.dialects.dialect import Services
from runwell.dialects.exchange import bearer_or_key
from runwell.dialects.letta.errors import malformed, malformed_path_id
from runwell.dialects.letta.runs import RunRenderer
from runwell.domain.errors import InvalidId
from runwell.domain.ids import parse_id
from runwell.domain.principal import Principal, Scope
from runwell.engine.core import Core

_USER = re.compile(r"user-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_BARE_PASSWORD = b"password "


@dataclass(frozen=True, slots=True)
class Letta:
    """The dialect's rooms. `render` is shared by the routes of the app and the hot one."""

    services: Services
    render: RunRenderer = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "render", RunRenderer(self.services.core))

    @property
    def core(self) -> Core:
        return self.services.core


def letta_of(request: Request) -> Letta:
    return cast(Letta, request.app.state.letta)


async def admit(authenticator: Authenticator, headers: dict[bytes, bytes], scope: Scope) -> Principal:
    """The caller, who has `scope`. The header `user_id` chooses an actor in Letta; here the key says
    who calls, and the header must only be well-formed."""
    principal = await authenticator.admit(_credential(headers), scope)
    user = headers.get(b"user_id")
    if user is not None and not _USER.match(user.decode("latin-1")):
        raise malformed("user", user.decode("latin-1"), "user")
    return principal


def _credential(headers: dict[bytes, bytes]) -> str | None:
    """`Authorization: Bearer …`, or the `X-BARE-PASSWORD: password …` of self-hosted servers."""
    bare = headers.get(b"x-bare-password")
    if bare is not None and b"authorization" not in headers:
        return bare.removeprefix(_BARE_PASSWORD).strip().decode("latin-1")
    return bearer_or_key(headers)


def _with_scope(scope: Scope):  # type: ignore[no-untyped-def]
    async def admitted(request: Request) -> Principal:
        authenticator = letta_of(request).services.authenticator
        return await admit(authenticator, dict(request.scope["headers"]), scope)

    return Depends(admitted)


Reads = Annotated[Principal, _with_scope(Scope.RUNS_READ)]
Writes = Annotated[Principal, _with_scope(Scope.RUNS_WRITE)]
WritesAgents = Annotated[Principal, _with_scope(Scope.AGENTS_WRITE)]


def run_id_of(text: str) -> str:
    """The id in a path. Raises a refusal (400)."""
    try:
        return parse_id(text)
    except InvalidId as error:
        raise malformed("run", text, "run") from error


def path_id(parameter: str, text: str) -> str:
    """The id of an agent, a step or a conversation in a path. Raises `Faulty` (422)."""
    try:
        return parse_id(text)
    except InvalidId as error:
        raise malformed_path_id(parameter, text) from error
