"""POST /runs/bulk: cancel or retry many."""

from fastapi import Request
from starlette.responses import Response

from runwell.dialects.exchange import as_response
from runwell.dialects.native import overview, requests
from runwell.dialects.native.native import WritesRuns, native_of
from runwell.dialects.native.openapi import Answer, Operation
from runwell.engine.bulk import bulk


async def bulk_runs(request: Request, caller: WritesRuns) -> Response:
    """Cancel or retry many runs, at most 1,000.

    Each is cancelled or retried as it would be by itself; one that is refused leaves the others. A retry that
    is sent again makes more runs: ask for a `dry_run` first.
    """
    native = native_of(request)
    wanted = requests.parse(await request.body(), overview.BULK_RUNS)
    outcome = await bulk(
        native.core,
        caller.owner,
        wanted.action,
        wanted.which(),
        dry_run=wanted.dry_run,
        by=caller.owner,
        before=wanted.before(),
    )
    return as_response(native.render.json(200, overview.bulk_result(outcome)))


_EXAMPLE = {"action": "cancel", "filter": {"agent": "researcher", "status": ["queued"]}, "dry_run": True}

OPERATIONS = (
    Operation(
        "POST", "/runs/bulk", bulk_runs, (Answer(200, "What was done.", overview.BulkResult),),
        "runs", overview.BulkRuns, (), _EXAMPLE,
    ),
)  # fmt: skip
