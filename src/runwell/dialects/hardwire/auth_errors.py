"""Errors below /api/auth: `{code, message}`, whose code is the message in capitals."""

import re

import msgspec
from msgspec import UNSET, UnsetType
from starlette.exceptions import HTTPException
from starlette.types import Scope

from runwell.dialects.exchange import Reply
from runwell.dialects.hardwire.errors import TOO_MANY, headers_of, retry_after, status_of
from runwell.domain.errors import EmailTaken, RateLimited, RunwellError, Unauthenticated

_DROPPED = re.compile(r"[^A-Z0-9_]")


class AuthError(msgspec.Struct, frozen=True, kw_only=True):
    """Too many requests have no code."""

    code: str | UnsetType = UNSET
    message: str


class AuthFailed(RunwellError):
    """A refusal in the words of the original's library. `code` is made from the message unless given."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.word = code or code_of(message)


def code_of(message: str) -> str:
    return _DROPPED.sub("", message.upper().replace(" ", "_"))


def body_fault(path: str, text: str) -> AuthFailed:
    """`path` is that of a field: `email`; empty for the body itself."""
    place = f"body.{path}" if path else "body"
    return AuthFailed(400, f"[{place}] {text}", "VALIDATION_ERROR")


INVALID_EMAIL = "Invalid email"
SIGN_UP_CLOSED = "Email and password sign up is not enabled"
INVALID_ORIGIN = "Invalid origin"


def auth_error(error: Exception, scope: Scope) -> Reply:
    status, body = _told(error)
    headers = headers_of(error, scope)
    seconds = retry_after(error)
    if seconds is not None:
        headers.append((b"x-retry-after", b"%d" % seconds))
    return Reply(status, headers, msgspec.json.encode(body))


def _told(error: Exception) -> tuple[int, AuthError]:
    match error:
        case AuthFailed():
            return error.status, AuthError(code=error.word, message=error.message)
        case EmailTaken():
            return 422, _coded("User already exists. Use another email.")
        case Unauthenticated():
            return 401, _coded("Invalid email or password")
        case RateLimited():
            return 429, AuthError(message=TOO_MANY)
        case RunwellError():
            text = f"{error.message.rstrip('.')}. {error.hint}".strip()
            return status_of(error), AuthError(code=error.code.upper(), message=text)
        case HTTPException():
            return error.status_code, _coded("Not found" if error.status_code == 404 else "Not allowed")
        case _:
            return 500, AuthError(code="INTERNAL_SERVER_ERROR", message="Internal server error")


def _coded(message: str) -> AuthError:
    return AuthError(code=code_of(message), message=message)
