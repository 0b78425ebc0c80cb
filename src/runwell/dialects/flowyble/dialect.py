"""The Flowyble dialect, assembled."""

from fastapi import FastAPI

from runwell import __version__
from runwell.dialects.dialect import Dialect, HotRoute, Services
from runwell.dialects.flowyble import bodies, errors, openapi
from runwell.dialects.flowyble.flowyble import Flowyble
from runwell.dialects.flowyble.openapi import ANY_JSON, ANY_OBJECT, Operation, ref
from runwell.dialects.flowyble.requests import RunAgent
from runwell.dialects.flowyble.routes import Routes

AGENT_STATUS = "/v1/agents/run/{agentRunId}/status"
TOOL_STATUS = "/v1/tools/run/{toolRunId}/status"
SIGNATURE = {
    "name": "X-Signature",
    "in": "header",
    "required": False,
    "description": "Lower-case hex HMAC-SHA256 of the raw body under the trigger's secret, if it has one.",
    "schema": {"type": "string"},
}


def build_flowyble(services: Services) -> Dialect:
    routes = Routes(Flowyble(services))
    app = FastAPI(
        title="Runwell: Flowyble API",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for operation in _operations(routes):
        openapi.add(app, operation)
    errors.install(app)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    hot = (
        HotRoute("GET", AGENT_STATUS, routes.agent_status),
        HotRoute("GET", TOOL_STATUS, routes.tool_status),
    )
    # A webhook's address is a secret, and the front logs the path of a hot route that fails.
    return Dialect("flowyble", app, hot, errors.refuse)


def _operations(routes: Routes) -> tuple[Operation, ...]:
    return (
        Operation(
            "POST", "/v1/agents/run/{agentId}", routes.run_agent, bodies.Started, "agents",
            request=ref(RunAgent),
        ),
        Operation("GET", AGENT_STATUS, routes.agent_status, bodies.AgentRun, "agents"),
        Operation(
            "GET", "/v1/agents/run/{agentRunId}/details", routes.agent_details, bodies.AgentRunDetails,
            "agents",
        ),
        Operation(
            "POST", "/v1/tools/run/{toolId}", routes.run_tool, bodies.Started, "tools",
            request=ANY_OBJECT, request_required=False,
        ),
        Operation("GET", TOOL_STATUS, routes.tool_status, bodies.ToolRun, "tools"),
        Operation(
            "GET", "/v1/tools/run/{toolRunId}/result", routes.tool_result, bodies.ToolResult, "tools"
        ),
        Operation(
            "POST", "/webhooks/{token}", routes.webhook, bodies.Fired, "webhooks",
            request=ANY_JSON, headers=(SIGNATURE,), open=True,
        ),
    )  # fmt: skip
