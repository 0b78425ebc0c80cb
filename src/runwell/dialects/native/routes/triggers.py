"""/triggers: addresses that start runs of your agents when somebody posts to them."""

from typing import Annotated

from fastapi import Path, Request
from starlette.responses import Response

from runwell.dialects.exchange import Reply, as_response
from runwell.dialects.native import bodies, requests
from runwell.dialects.native.native import ReadsRuns, WritesRuns, native_of
from runwell.dialects.native.openapi import Answer, Operation
from runwell.domain.ids import parse_id
from runwell.engine import triggers

TriggerId = Annotated[
    str, Path(description="The trigger's id", json_schema_extra={"pattern": bodies.ANY_SPELLING})
]


async def create_trigger(request: Request, caller: WritesRuns) -> Response:
    """Make a trigger. Its address is in this answer and nowhere else.

    Whoever posts JSON to the address starts a run of the agent. With a `secret`, a request must also
    carry `X-Signature`: the lower-case hex HMAC-SHA256 of its body.
    """
    native = native_of(request)
    wanted = requests.parse(await request.body(), requests.CREATE_TRIGGER)
    trigger, token = await triggers.create(
        native.core, caller.owner, wanted.agent, name=wanted.name, secret=wanted.secret
    )
    # No cache on the way may keep an address.
    no_store = (b"cache-control", b"no-store")
    return as_response(native.render.json(201, native.render.new_trigger(trigger, token), [no_store]))


async def list_triggers(request: Request, caller: ReadsRuns) -> Response:
    """List your triggers, newest first."""
    native = native_of(request)
    found = await native.core.store.triggers.all(caller.owner)
    body = bodies.TriggerList([native.render.trigger(trigger) for trigger in found])
    return as_response(native.render.json(200, body))


async def get_trigger(request: Request, trigger_id: TriggerId, caller: ReadsRuns) -> Response:
    """Read a trigger."""
    native = native_of(request)
    trigger = await native.core.store.triggers.get(parse_id(trigger_id), caller.owner)
    return as_response(native.render.json(200, native.render.trigger(trigger)))


async def update_trigger(request: Request, trigger_id: TriggerId, caller: WritesRuns) -> Response:
    """Pause or resume a trigger, or rename it. The address stays."""
    native = native_of(request)
    wanted = requests.parse(await request.body(), requests.UPDATE_TRIGGER)
    trigger = await triggers.update(
        native.core, caller.owner, parse_id(trigger_id), name=wanted.name, paused=wanted.paused
    )
    return as_response(native.render.json(200, native.render.trigger(trigger)))


async def delete_trigger(request: Request, trigger_id: TriggerId, caller: WritesRuns) -> Response:
    """Delete a trigger. Its address is unknown from now on; its runs stay."""
    native = native_of(request)
    await native.core.store.triggers.delete(parse_id(trigger_id), caller.owner)
    return as_response(Reply(204, []))


OPERATIONS = (
    Operation(
        "POST", "/triggers", create_trigger, (Answer(201, "The trigger.", bodies.NewTrigger),),
        "triggers", requests.CreateTrigger, (404,), {"agent": "summarize", "name": "news"},
    ),
    Operation(
        "GET", "/triggers", list_triggers, (Answer(200, "All of them.", bodies.TriggerList),), "triggers"
    ),
    Operation(
        "GET", "/triggers/{trigger_id}", get_trigger, (Answer(200, "The trigger.", bodies.Trigger),),
        "triggers", None, (404,),
    ),
    Operation(
        "PATCH", "/triggers/{trigger_id}", update_trigger, (Answer(200, "The trigger.", bodies.Trigger),),
        "triggers", requests.UpdateTrigger, (404,), {"paused": True},
    ),
    Operation(
        "DELETE", "/triggers/{trigger_id}", delete_trigger, (Answer(204, "Deleted."),),
        "triggers", None, (404,),
    ),
)  # fmt: skip
