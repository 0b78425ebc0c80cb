"""The Letta dialect, assembled."""

from fastapi import FastAPI, Request
from starlette.responses import Response

from runwell import __version__
from runwell.dialects.dialect import Dialect, HotRoute, Services
from runwell.dialects.exchange import as_response
from runwell.dialects.letta import errors, openapi
from runwell.dialects.letta.callbacks import RenderCallback
from runwell.dialects.letta.letta import Letta
from runwell.dialects.letta.routes import agents, conversations, messages, runs, server, steps
from runwell.dialects.letta.runs import FORMAT
from runwell.dialects.letta.status import ReadRun

DESCRIPTION = """\
The runs API of Letta 0.16.8, as its client 1.12.1 speaks it: agents, messages, runs, steps,
conversations. Every run can be watched, from any point and at any time.
"""
COLLECTIONS = ("runs", "agents", "conversations", "steps", "models", "health")


def build_letta(services: Services) -> Dialect:
    letta = Letta(services)
    app = FastAPI(
        title="Runwell: Letta",
        version=__version__,
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.letta = letta
    for module in (runs, agents, messages, conversations, steps, server):
        openapi.add(app, module.OPERATIONS)
    for collection in COLLECTIONS:
        app.add_api_route(
            f"/v1/{collection}",
            with_slash,
            methods=["GET", "POST"] if collection in ("agents", "conversations") else ["GET"],
            include_in_schema=False,
        )
    errors.install(app)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    return Dialect(
        "letta",
        app,
        (HotRoute("GET", "/v1/runs/{run_id}", ReadRun(letta)),),
        errors.refuse,
        callback_bodies={FORMAT: RenderCallback(services.core)},
    )


async def with_slash(request: Request) -> Response:
    """A collection's path ends with a slash."""
    return as_response(errors.redirect(f"{request.scope['path']}/", request.scope))
