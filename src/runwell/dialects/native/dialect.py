"""The native dialect, assembled."""

from fastapi import FastAPI

from runwell import __version__
from runwell.dialects.dialect import Dialect, HotRoute, Services
from runwell.dialects.native import openapi, problems
from runwell.dialects.native.events import WatchRun
from runwell.dialects.native.native import Native
from runwell.dialects.native.responses import Renderer
from runwell.dialects.native.routes import (
    agents,
    bulk,
    callbacks,
    deliveries,
    keys,
    runs,
    schedules,
    stats,
    threads,
    triggers,
    users,
    workers,
)
from runwell.dialects.native.status import ReadRun
from runwell.dialects.native.submit import PostRun
from runwell.domain.callback import NATIVE_FORMAT
from runwell.stream.changes import Changes

DESCRIPTION = """\
Runs AI agents as durable background runs. Submit a run, get its id at once; then poll it, watch it,
answer it, cancel it. Every run is a log that can be replayed from any point by any number of readers.

Ids are accepted in any spelling. Instants are RFC 3339 in UTC, durations are seconds. Errors are
RFC 9457 problems with a `code` for machines and a `hint` for people.
"""


def build_native(services: Services) -> Dialect:
    core = services.core
    native = Native(services, Renderer(), Changes(core.store, core.signals))
    app = FastAPI(
        title="Runwell",
        version=__version__,
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.native = native
    # Literal paths come before those with a parameter: the framework takes the first that fits.
    for module in (stats, bulk, runs, agents, threads, callbacks, deliveries, keys, triggers, schedules):
        openapi.add(app, module.OPERATIONS)
    for module in (workers, users):
        openapi.add(app, module.OPERATIONS)
    problems.install(app)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    hot = (
        HotRoute("GET", "/runs/{run_id}", ReadRun(native)),
        HotRoute("GET", "/runs/{run_id}/events", WatchRun(native)),
        HotRoute("POST", "/runs", PostRun(native)),
    )
    return Dialect("native", app, hot, problems.refuse, callback_bodies={NATIVE_FORMAT: native.callback_body})
