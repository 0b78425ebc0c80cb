"""/callbacks: where the ends of all your runs are posted, and what the posts are signed with."""

from typing import Annotated

from fastapi import Path, Request
from msgspec import UNSET
from starlette.responses import Response

from runwell.dialects.exchange import Headers, Reply, as_response
from runwell.dialects.native import bodies, requests
from runwell.dialects.native.addresses import check_addresses
from runwell.dialects.native.native import Native, ReadsRuns, WritesRuns, native_of
from runwell.dialects.native.openapi import Answer, Operation
from runwell.domain import json_gate
from runwell.domain.ids import parse_id
from runwell.domain.instant import after
from runwell.engine import callbacks

CallbackId = Annotated[
    str, Path(description="The callback's id", json_schema_extra={"pattern": bodies.ANY_SPELLING})
]
NO_STORE: Headers = [(b"cache-control", b"no-store")]
"""No cache on the way may keep a secret."""


async def create_callback(request: Request, caller: WritesRuns) -> Response:
    """Be told of all runs to come.

    Their events are posted to `url`, signed with the secret in this answer, which is shown nowhere
    else. The address is looked up and must not be a private one.
    """
    native = native_of(request)
    wanted = requests.parse(await request.body(), requests.CREATE_CALLBACK)
    json_gate.check([wanted.url, wanted.agents, wanted.description])
    secret = callbacks.read_secret(wanted.secret) if wanted.secret is not None else None
    await check_addresses(native.services, [wanted.url], must_resolve=True)
    callback, made = await callbacks.create(
        native.core,
        caller.owner,
        url=wanted.url,
        events=wanted.events,
        agents=wanted.agents,
        description=wanted.description,
        secret=secret,
    )
    return as_response(native.render.json(201, native.render.new_callback(callback, made), NO_STORE))


async def list_callbacks(request: Request, caller: ReadsRuns) -> Response:
    """List callbacks, newest first."""
    native = native_of(request)
    found = await native.core.store.callbacks.all(caller.owner)
    body = bodies.CallbackList([native.render.callback(callback) for callback in found])
    return as_response(native.render.json(200, body))


async def read_secret(request: Request, caller: WritesRuns) -> Response:
    """Read your own secret, which callbacks of single runs are signed with."""
    native = native_of(request)
    secret = await callbacks.own_secret(native.core, caller.owner)
    return as_response(native.render.json(200, native.render.secret(secret), NO_STORE))


async def rotate_own_secret(request: Request, caller: WritesRuns) -> Response:
    """Replace your own secret. Both are good for a while."""
    return as_response(await _rotate(native_of(request), caller.owner, None, await request.body()))


async def get_callback(request: Request, callback_id: CallbackId, caller: ReadsRuns) -> Response:
    """Read a callback."""
    native = native_of(request)
    callback = await native.core.store.callbacks.get(parse_id(callback_id), caller.owner)
    return as_response(native.render.json(200, native.render.callback(callback)))


async def update_callback(request: Request, callback_id: CallbackId, caller: WritesRuns) -> Response:
    """Change, pause or resume a callback. What was due to be posted before stays so."""
    native = native_of(request)
    wanted = requests.parse(await request.body(), requests.UPDATE_CALLBACK)
    given = [each for each in (wanted.url, wanted.agents, wanted.description) if each is not UNSET]
    json_gate.check(given)
    if wanted.url is not UNSET:
        await check_addresses(native.services, [wanted.url], must_resolve=True)
    callback = await callbacks.update(
        native.core,
        caller.owner,
        parse_id(callback_id),
        url=wanted.url,
        events=wanted.events,
        agents=wanted.agents,
        description=wanted.description,
        paused=wanted.paused,
    )
    return as_response(native.render.json(200, native.render.callback(callback)))


async def delete_callback(request: Request, callback_id: CallbackId, caller: WritesRuns) -> Response:
    """Delete a callback and its secret. What was still to be posted for it is given up."""
    native = native_of(request)
    await native.core.store.callbacks.delete(parse_id(callback_id), caller.owner)
    return as_response(Reply(204, []))


async def rotate_secret(request: Request, callback_id: CallbackId, caller: WritesRuns) -> Response:
    """Replace a callback's secret. Both are good for a while."""
    id = parse_id(callback_id)
    return as_response(await _rotate(native_of(request), caller.owner, id, await request.body()))


async def _rotate(native: Native, owner: str, callback_id: str | None, body: bytes) -> Reply:
    wanted = requests.parse(body or b"{}", requests.ROTATE_SECRET)
    brought = callbacks.read_secret(wanted.secret) if wanted.secret is not None else None
    made = await callbacks.rotate(native.core, owner, callback_id, secret=brought, overlap=wanted.overlap)
    old_until = after(made.created_at, wanted.overlap)
    return native.render.json(200, native.render.rotated(made, old_until), NO_STORE)


_EXAMPLE = {"url": "https://app.example.com/hooks", "events": ["run.succeeded", "run.failed"]}

# Literal paths come before those with a parameter: the framework takes the first that fits.
OPERATIONS = (
    Operation(
        "POST", "/callbacks", create_callback,
        (Answer(201, "The callback and its secret.", bodies.NewCallback),),
        "callbacks", requests.CreateCallback, (), _EXAMPLE,
    ),
    Operation(
        "GET", "/callbacks", list_callbacks, (Answer(200, "All of yours.", bodies.CallbackList),), "callbacks"
    ),
    Operation(
        "GET", "/callbacks/secret", read_secret, (Answer(200, "The secret.", bodies.SigningSecret),),
        "callbacks",
    ),
    Operation(
        "POST", "/callbacks/secret/rotate", rotate_own_secret,
        (Answer(200, "The new secret.", bodies.RotatedSecret),),
        "callbacks", requests.RotateSecret, (), {"overlap": 86400},
    ),
    Operation(
        "GET", "/callbacks/{callback_id}", get_callback, (Answer(200, "The callback.", bodies.Callback),),
        "callbacks", None, (404,),
    ),
    Operation(
        "PATCH", "/callbacks/{callback_id}", update_callback,
        (Answer(200, "The callback.", bodies.Callback),),
        "callbacks", requests.UpdateCallback, (404,), {"paused": True},
    ),
    Operation(
        "DELETE", "/callbacks/{callback_id}", delete_callback, (Answer(204, "Deleted."),),
        "callbacks", None, (404,),
    ),
    Operation(
        "POST", "/callbacks/{callback_id}/rotate", rotate_secret,
        (Answer(200, "The new secret.", bodies.RotatedSecret),),
        "callbacks", requests.RotateSecret, (404,), {"overlap": 86400},
    ),
)  # fmt: skip
