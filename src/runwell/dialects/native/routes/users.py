"""/users: people who sign in. For whoever has the scope `admin`; they are made by `runwell users create`."""

from typing import Annotated

from fastapi import Path, Request
from starlette.responses import Response

from runwell.auth.sessions import Accounts
from runwell.dialects.exchange import as_response
from runwell.dialects.native import bodies, overview
from runwell.dialects.native.native import Admin, Native, native_of
from runwell.dialects.native.openapi import Answer, Operation
from runwell.dialects.native.responses import PRIVATE
from runwell.domain.errors import NotFound
from runwell.domain.ids import parse_id

UserId = Annotated[str, Path(description="The user's id", json_schema_extra={"pattern": bodies.ANY_SPELLING})]


async def list_users(request: Request, caller: Admin) -> Response:
    """List users, newest first, disabled ones too."""
    native = native_of(request)
    found = await _accounts(native).all()
    body = overview.UserList([overview.shown_user(user) for user in found])
    return as_response(native.render.json(200, body, [PRIVATE]))


async def disable_user(request: Request, user_id: UserId, caller: Admin) -> Response:
    """Let a user not sign in any more, and end all sessions. Runs and keys stay."""
    native = native_of(request)
    user = await _accounts(native).disable(parse_id(user_id))
    return as_response(native.render.json(200, overview.shown_user(user)))


async def enable_user(request: Request, user_id: UserId, caller: Admin) -> Response:
    """Let a user who was disabled sign in again."""
    native = native_of(request)
    user = await _accounts(native).enable(parse_id(user_id))
    return as_response(native.render.json(200, overview.shown_user(user)))


async def list_sessions(request: Request, user_id: UserId, caller: Admin) -> Response:
    """List where a user is signed in, newest first."""
    native = native_of(request)
    accounts = _accounts(native)
    user = await accounts.get(parse_id(user_id))
    found = await accounts.sessions(user.id)
    body = overview.UserSessions([overview.shown_session(session) for session in found])
    return as_response(native.render.json(200, body, [PRIVATE]))


async def end_sessions(request: Request, user_id: UserId, caller: Admin) -> Response:
    """Sign a user out everywhere. Whoever knows the password can sign in again."""
    native = native_of(request)
    accounts = _accounts(native)
    user = await accounts.get(parse_id(user_id))
    body = overview.SessionsEnded(await accounts.sign_out_everywhere(user.id))
    return as_response(native.render.json(200, body))


def _accounts(native: Native) -> Accounts:
    accounts = native.services.accounts
    if accounts is None:
        raise NotFound("This server has no users", "They belong to servers that people can sign in to.")
    return accounts


_ONE = "/users/{user_id}"
_USER = (Answer(200, "The user.", overview.User),)

OPERATIONS = (
    Operation("GET", "/users", list_users, (Answer(200, "All of them.", overview.UserList),), "users"),
    Operation("POST", f"{_ONE}/disable", disable_user, _USER, "users", None, (404,)),
    Operation("POST", f"{_ONE}/enable", enable_user, _USER, "users", None, (404,)),
    Operation(
        "GET", f"{_ONE}/sessions", list_sessions,
        (Answer(200, "All of them.", overview.UserSessions),), "users", None, (404,),
    ),
    Operation(
        "DELETE", f"{_ONE}/sessions", end_sessions,
        (Answer(200, "How many ended.", overview.SessionsEnded),), "users", None, (404,),
    ),
)  # fmt: skip
