"""/workers: the processes that serve and work. For whoever has the scope `admin`."""

from fastapi import Request
from starlette.responses import Response

from runwell.dialects.exchange import as_response
from runwell.dialects.native import overview
from runwell.dialects.native.native import Admin, native_of
from runwell.dialects.native.openapi import Answer, Operation
from runwell.dialects.native.responses import PRIVATE


async def list_workers(request: Request, caller: Admin) -> Response:
    """List the processes that serve or work on this database."""
    native = native_of(request)
    now = native.core.clock.now()
    found = await native.core.store.workers.all()
    body = overview.WorkerList([overview.shown_worker(beat, now) for beat in found])
    return as_response(native.render.json(200, body, [PRIVATE]))


OPERATIONS = (
    Operation(
        "GET", "/workers", list_workers, (Answer(200, "All of them.", overview.WorkerList),), "workers"
    ),
)  # fmt: skip
