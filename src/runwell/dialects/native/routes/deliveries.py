"""/deliveries: what was posted, what came of it, and posting it again."""

from typing import Annotated

from fastapi import Path, Query, Request
from starlette.responses import Response

from runwell.dialects.exchange import as_response
from runwell.dialects.native import bodies, requests
from runwell.dialects.native.native import ReadsRuns, WritesRuns, native_of
from runwell.dialects.native.openapi import Answer, Operation
from runwell.dialects.native.responses import PRIVATE
from runwell.dialects.native.routes.runs import Cursor, Limit, RunId, Time
from runwell.domain.callback import DeliveryStatus
from runwell.domain.ids import parse_id
from runwell.engine import callbacks

DeliveryId = Annotated[
    str,
    Path(
        description="The delivery's id: what the receiver sees as `webhook-id`",
        json_schema_extra={"pattern": bodies.ANY_SPELLING},
    ),
]


async def list_run_deliveries(request: Request, run_id: RunId, caller: ReadsRuns) -> Response:
    """List what was posted for a run, with each post, oldest first."""
    native = native_of(request)
    found = await callbacks.deliveries_of(native.core, caller.owner, parse_id(run_id))
    body = bodies.RunDeliveries([native.render.delivery_history(*each) for each in found])
    return as_response(native.render.json(200, body, [PRIVATE]))


async def list_deliveries(
    request: Request,
    caller: ReadsRuns,
    status: Annotated[list[DeliveryStatus], Query(description="Any of these")] = [],  # noqa: B006
    callback_id: Annotated[str | None, Query(json_schema_extra={"pattern": bodies.ANY_SPELLING})] = None,
    since: Time = None,
    until: Time = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    """List deliveries, newest first."""
    native = native_of(request)
    found = await native.core.store.deliveries.page(
        caller.owner,
        statuses=frozenset(status),
        callback_id=parse_id(callback_id) if callback_id is not None else None,
        since=requests.instant(since, "query.since"),
        until=requests.instant(until, "query.until"),
        before=requests.read_cursor(cursor),
        limit=limit + 1,
    )
    shown = found[:limit]
    body = bodies.DeliveryPage(
        deliveries=[native.render.delivery(delivery) for delivery in shown],
        next_cursor=requests.cursor_of(shown[-1].id) if len(found) > limit else None,
    )
    return as_response(native.render.json(200, body, [PRIVATE]))


async def get_delivery(request: Request, delivery_id: DeliveryId, caller: ReadsRuns) -> Response:
    """Read a delivery with its posts."""
    native = native_of(request)
    deliveries = native.core.store.deliveries
    delivery = await deliveries.get(parse_id(delivery_id), caller.owner)
    body = native.render.delivery_history(delivery, await deliveries.posts(delivery.id))
    return as_response(native.render.json(200, body, [PRIVATE]))


async def redeliver(request: Request, delivery_id: DeliveryId, caller: WritesRuns) -> Response:
    """Post a delivery again, now, with all its tries before it. The body and the id are the old ones."""
    native = native_of(request)
    delivery = await callbacks.redeliver(native.core, caller.owner, parse_id(delivery_id))
    return as_response(native.render.json(202, native.render.delivery(delivery), [PRIVATE]))


async def redeliver_range(request: Request, caller: WritesRuns) -> Response:
    """Post again what was given up, or what else is asked for."""
    native = native_of(request)
    wanted = requests.parse(await request.body() or b"{}", requests.REDELIVER_RANGE)
    count = await callbacks.redeliver_range(
        native.core,
        caller.owner,
        statuses=frozenset(wanted.status),
        callback_id=parse_id(wanted.callback_id) if wanted.callback_id is not None else None,
        since=requests.instant(wanted.since, "$.since"),
        until=requests.instant(wanted.until, "$.until"),
    )
    return as_response(native.render.json(202, bodies.Redelivered(count)))


OPERATIONS = (
    Operation(
        "GET", "/runs/{run_id}/deliveries", list_run_deliveries,
        (Answer(200, "All of the run's.", bodies.RunDeliveries),), "deliveries", None, (404,),
    ),
    Operation(
        "GET", "/deliveries", list_deliveries, (Answer(200, "A page.", bodies.DeliveryPage),), "deliveries"
    ),
    Operation(
        "POST", "/deliveries/redeliver", redeliver_range,
        (Answer(202, "They are due.", bodies.Redelivered),),
        "deliveries", requests.RedeliverRange, (),
        {"status": ["given_up"], "since": "2026-11-22T00:00:00Z"},
    ),
    Operation(
        "GET", "/deliveries/{delivery_id}", get_delivery,
        (Answer(200, "The delivery.", bodies.DeliveryHistory),), "deliveries", None, (404,),
    ),
    Operation(
        "POST", "/deliveries/{delivery_id}/redeliver", redeliver,
        (Answer(202, "It is due.", bodies.Delivery),), "deliveries", None, (404,),
    ),
)  # fmt: skip
