"""/api/auth: sign up, sign in, who is signed in, sign out."""

import unicodedata
from typing import Any

import msgspec
from msgspec import UNSET

from runwell.auth.origin import is_here
from runwell.auth.passwords import LONGEST, SHORTEST
from runwell.auth.sessions import Found
from runwell.dialects.exchange import Call, Reply
from runwell.dialects.hardwire import bodies
from runwell.dialects.hardwire.access import Access, address_of
from runwell.dialects.hardwire.auth_errors import (
    INVALID_EMAIL,
    INVALID_ORIGIN,
    SIGN_UP_CLOSED,
    AuthFailed,
    body_fault,
)
from runwell.dialects.hardwire.hardwire import Hardwire, json_reply
from runwell.dialects.hardwire.words import time_word
from runwell.domain import json_gate
from runwell.domain.errors import Forbidden, InvalidInput, InvalidJson, TooLarge
from runwell.domain.ids import spell_uuid
from runwell.domain.user import User, read_email, read_name

LARGEST = 64 * 1_024
"""Bytes of a body: reading it takes the loop's time, and nobody has said yet who asks."""


class AuthRoutes:
    def __init__(self, hardwire: Hardwire) -> None:
        self._access: Access = hardwire.access
        self._accounts = hardwire.access.accounts

    async def sign_up(self, call: Call) -> Reply:
        """Make an account.

        It can sign in at once: no mail is sent, and no address is verified.
        """
        given = await self._given(call)
        self._check_page(call)
        name, email, password = (_text(given, each) for each in ("name", "email", "password"))
        address = address_of(call.scope)
        here = is_here(address, call.scope["headers"])
        if not self._accounts.takes(here=here):
            raise AuthFailed(400, SIGN_UP_CLOSED)
        email, name = _email(email), _name(name)
        _check_password(password)
        user = await self._accounts.sign_up(email, name, password, address=address, here=here)
        return json_reply(bodies.SignedUp(user=user_body(user)))

    async def sign_in(self, call: Call) -> Reply:
        """Sign in: sets the session's cookie."""
        given = await self._given(call)
        self._check_page(call)
        email, password = _email(_text(given, "email")), _text(given, "password")
        remember, url = _flag(given, "rememberMe"), self._callback_url(given)
        signed_in = await self._accounts.sign_in(
            email,
            password,
            address=address_of(call.scope),
            user_agent=call.header(b"user-agent") or "",
        )
        body = bodies.SignedIn(
            redirect=url is not None,
            token=signed_in.token,
            url=url if url is not None else UNSET,
            user=user_body(signed_in.user),
        )
        reply = json_reply(body)
        cookie = self._access.cookie(call, signed_in.token, remember=remember)
        return reply._replace(headers=[*reply.headers, *cookie])

    async def get_session(self, call: Call) -> Reply:
        """Read who is signed in: null for nobody."""
        token = self._access.token(call)
        found = await self._accounts.find(token)
        if found is None or token is None:
            return json_reply(None)
        reply = json_reply(_session_body(found, token))
        if not found.refreshed:
            return reply
        return reply._replace(headers=[*reply.headers, *self._access.kept_cookie(call, token)])

    async def sign_out(self, call: Call) -> Reply:
        """Sign out: the session has ended, wherever its cookie still is."""
        self._check_page(call)
        token = self._access.token(call)
        if token is not None:
            await self._accounts.sign_out(token)
        reply = json_reply(bodies.Success())
        return reply._replace(headers=[*reply.headers, *self._access.end_cookie(call)])

    def _check_page(self, call: Call) -> None:
        """Also for who has no cookie yet: a foreign page must not sign its reader in as somebody else."""
        try:
            self._access.check_page(call.scope)
        except Forbidden as error:
            raise AuthFailed(403, INVALID_ORIGIN) from error

    async def _given(self, call: Call) -> dict[str, Any]:
        body = await call.body()
        if len(body) > LARGEST:
            raise TooLarge(f"The body is larger than {LARGEST} bytes", "Send the fields of the form alone.")
        try:
            value = msgspec.json.decode(body)
            json_gate.check(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidJson) as error:
            raise body_fault("", "Invalid JSON") from error
        if not isinstance(value, dict):
            raise body_fault("", "Invalid input: expected object")
        return value

    def _callback_url(self, given: dict[str, Any]) -> str | None:
        """Where the page wants to go next: here, or to a page that is trusted anyway."""
        url = given.get("callbackURL")
        if url is None:
            return None
        if not isinstance(url, str):
            raise body_fault("callbackURL", "Invalid input: expected string")
        inside = url.startswith("/") and url[1:2] not in ("/", "\\") and url.isprintable()
        origin = "/".join(url.split("/")[:3])
        if not inside and not self._access.trusts(origin):
            raise AuthFailed(403, "Invalid callbackURL")
        return url


def user_body(user: User) -> bodies.User:
    at = time_word(user.created_at)
    return bodies.User(id=user.id, name=user.name, email=user.email, created_at=at, updated_at=at)


def _session_body(found: Found, token: str) -> bodies.SessionShown:
    session = found.session
    return bodies.SessionShown(
        session=bodies.Session(
            id=spell_uuid(session.id),
            token=token,
            user_id=session.user_id,
            expires_at=time_word(session.expires_at),
            created_at=time_word(session.created_at),
            updated_at=time_word(session.last_seen_at),
            ip_address=session.address,
            user_agent=session.user_agent,
        ),
        user=user_body(found.user),
    )


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise body_fault(name, f"Invalid input: expected string, received {_kind(given, name)}")
    return value


def _flag(given: dict[str, Any], name: str) -> bool:
    value = given.get(name, True)
    if value is None:
        return True
    if not isinstance(value, bool):
        raise body_fault(name, f"Invalid input: expected boolean, received {_kind(given, name)}")
    return value


def _kind(given: dict[str, Any], name: str) -> str:
    if name not in given:
        return "undefined"
    value = given[name]
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str | list | dict):
        return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"
    return "number"


def _email(text: str) -> str:
    try:
        return read_email(text)
    except InvalidInput as error:
        raise AuthFailed(400, INVALID_EMAIL) from error


def _name(text: str) -> str:
    try:
        return read_name(text)
    except InvalidInput as error:
        raise body_fault("name", error.message.partition(": ")[2]) from error


def _check_password(password: str) -> None:
    """Raise `AuthFailed` for one that is too short or too long; the rest is for `auth.passwords`."""
    if len(password) > 4 * LONGEST:
        raise AuthFailed(400, "Password too long")
    length = len(unicodedata.normalize("NFC", password))
    if length < SHORTEST:
        raise AuthFailed(400, "Password too short")
    if length > LONGEST:
        raise AuthFailed(400, "Password too long")
