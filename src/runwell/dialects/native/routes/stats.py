"""/runs/stats and /runs/{id}/why: how the runs go, and why one is where it is."""

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from runwell.dialects.exchange import as_response
from runwell.dialects.native import overview, requests
from runwell.dialects.native.native import AllOwners, OfOwner, ReadsRuns, native_of, whose
from runwell.dialects.native.openapi import Answer, Operation
from runwell.dialects.native.responses import PRIVATE
from runwell.dialects.native.routes.runs import RunId, Time
from runwell.domain.ids import parse_id, spell
from runwell.engine import stats
from runwell.engine.why import why

BUCKET = 60


async def run_stats(
    request: Request,
    caller: ReadsRuns,
    since: Time = None,
    until: Time = None,
    bucket: Annotated[int, Query(ge=1, le=stats.LONGEST_BUCKET, description="Seconds")] = BUCKET,
    owner: OfOwner = None,
    all_owners: AllOwners = False,
) -> Response:
    """Count runs by when they were made and how they ended.

    The last hour by the minute, unless asked otherwise: at most seven days, and a thousand buckets. They
    begin at multiples of `bucket` since 1970. The queue is as it is now, whatever the window.
    """
    native = native_of(request)
    found = await stats.stats(
        native.core,
        whose(caller, owner, all_owners=all_owners),
        requests.instant(since, "query.since"),
        requests.instant(until, "query.until"),
        bucket,
    )
    return as_response(native.render.json(200, overview.run_stats(found, bucket), [PRIVATE]))


async def explain_run(request: Request, run_id: RunId, caller: ReadsRuns) -> Response:
    """Say in one sentence why a run is where it is.

    It is made of the run, its log, the queue and the workers; reading the run itself is much cheaper.
    """
    native = native_of(request)
    run, said = await why(native.core, caller.owner, parse_id(run_id))
    body = overview.Why(spell("run", run.id), run.status, said)
    return as_response(native.render.json(200, body, [PRIVATE]))


OPERATIONS = (
    Operation("GET", "/runs/stats", run_stats, (Answer(200, "The counts.", overview.RunStats),), "runs"),
    Operation(
        "GET", "/runs/{run_id}/why", explain_run, (Answer(200, "The sentence.", overview.Why),),
        "runs", None, (404,),
    ),
)  # fmt: skip
