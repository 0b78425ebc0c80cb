"""/keys: for keys with the scope `admin`, which sees the keys of all owners."""

from typing import Annotated

from fastapi import Path, Request
from starlette.responses import Response

from runwell.auth.keys import issue
from runwell.dialects.exchange import as_response
from runwell.dialects.native import bodies, requests
from runwell.dialects.native.native import Admin, native_of
from runwell.dialects.native.openapi import Answer, Operation
from runwell.dialects.native.responses import PRIVATE
from runwell.domain import json_gate
from runwell.domain.ids import parse_id
from runwell.domain.principal import ALL_SCOPES

KeyId = Annotated[str, Path(description="The key's id", json_schema_extra={"pattern": bodies.ANY_SPELLING})]


async def create_key(request: Request, caller: Admin) -> Response:
    """Make a key. Its secret is in this answer and nowhere else."""
    native = native_of(request)
    wanted = requests.parse(await request.body(), requests.CREATE_KEY)
    json_gate.check([wanted.name, wanted.owner])
    minted = await issue(
        native.core.store,
        native.core.clock,
        owner=wanted.owner or caller.owner,
        name=wanted.name,
        scopes=frozenset(wanted.scopes) if wanted.scopes is not None else ALL_SCOPES,
    )
    native.services.authenticator.forget()
    # No cache on the way may keep a secret.
    no_store = (b"cache-control", b"no-store")
    return as_response(native.render.json(201, native.render.new_key(minted), [no_store]))


async def list_keys(request: Request, caller: Admin) -> Response:
    """List keys, newest first, revoked ones too."""
    native = native_of(request)
    found = await native.core.store.keys.all(None)
    body = bodies.KeyList([native.render.key(key) for key in found])
    return as_response(native.render.json(200, body, [PRIVATE]))


async def revoke_key(request: Request, key_id: KeyId, caller: Admin) -> Response:
    """Revoke a key. It is refused from now on: here at once, by other servers within a second."""
    native = native_of(request)
    core = native.core
    key = await core.store.keys.revoke(parse_id(key_id), None, core.clock.now())
    native.services.authenticator.forget()
    return as_response(native.render.json(200, native.render.key(key)))


OPERATIONS = (
    Operation(
        "POST", "/keys", create_key, (Answer(201, "The key and its secret.", bodies.NewKey),),
        "keys", requests.CreateKey, (), {"name": "ci", "scopes": ["runs:read", "runs:write"]},
    ),
    Operation("GET", "/keys", list_keys, (Answer(200, "All keys.", bodies.KeyList),), "keys"),
    Operation(
        "DELETE", "/keys/{key_id}", revoke_key, (Answer(200, "The key.", bodies.Key),), "keys", None, (404,)
    ),
)  # fmt: skip
