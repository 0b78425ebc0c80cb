"""The Hardwire dialect, assembled."""

from typing import Any

from fastapi import FastAPI

from runwell import __version__
from runwell.dialects.dialect import Dialect, HotRoute, Services
from runwell.dialects.hardwire import bodies, openapi
from runwell.dialects.hardwire.hardwire import NAME, Hardwire
from runwell.dialects.hardwire.openapi import Operation
from runwell.dialects.hardwire.routes.auth import AuthRoutes
from runwell.dialects.hardwire.routes.chats import ChatRoutes
from runwell.dialects.hardwire.routes.runs import RunRoutes
from runwell.dialects.hardwire.routes.server import ServerRoutes
from runwell.dialects.hardwire.routes.users import UserRoutes
from runwell.dialects.hardwire.routes.workflows import WorkflowRoutes
from runwell.domain.principal import Scope

READ, WRITE, MAKE = Scope.RUNS_READ, Scope.RUNS_WRITE, Scope.AGENTS_WRITE
CHAT = "/api/chats/{chatId}"
RUNS = f"{CHAT}/workflow-runs"
USER = "/api/users/{userId}"
WORKFLOW = "/api/workflows/{workflowId}"

_TEXT = {"type": "string"}
_UUID = {"type": "string", "format": "uuid"}
_EMAIL = {"type": "string", "format": "email"}


def build_hardwire(services: Services) -> Dialect:
    """Raises `ValueError` for a server without accounts: nobody could sign in."""
    if services.accounts is None:
        raise ValueError("the Hardwire API needs accounts")
    hardwire = Hardwire(services, services.accounts)
    app = FastAPI(
        title="Runwell: Hardwire API",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    runs = RunRoutes(hardwire)
    listing = Operation(
        "GET", RUNS, runs.list_workflow_runs, READ, _answer(hardwire, "list_workflow_runs"), (404,)
    )
    operations = (
        *_auth(AuthRoutes(hardwire)),
        *_server(hardwire, ServerRoutes(hardwire)),
        *_users(hardwire, UserRoutes(hardwire)),
        *_chats(hardwire, ChatRoutes(hardwire)),
        listing,
        Operation(
            "GET", f"{RUNS}/{{workflowRunId}}/stream", runs.watch_workflow_run, READ, None, (404, 429),
            stream=True,
        ),
        *_workflows(hardwire, WorkflowRoutes(hardwire)),
    )  # fmt: skip
    openapi.add(app, hardwire, operations)
    app.openapi = lambda: openapi.document(app, operations)  # type: ignore[method-assign]
    hot = (HotRoute("GET", RUNS, openapi.handler_of(hardwire, listing)),)
    return Dialect(NAME, app, hot, hardwire.refuse, own_cors=True)


def _answer(hardwire: Hardwire, name: str) -> Any:
    return hardwire.wire.answers[name]


def _object(*required: str, **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _auth(auth: AuthRoutes) -> tuple[Operation, ...]:
    sign_up = _object("name", "email", "password", name=_TEXT, email=_EMAIL, password=_TEXT)
    sign_in = _object(
        "email", "password", email=_EMAIL, password=_TEXT, rememberMe={"type": "boolean"}, callbackURL=_TEXT
    )
    session = bodies.SessionShown | None
    base = "/api/auth"
    return (
        Operation(
            "POST", f"{base}/sign-up/email", auth.sign_up, None, bodies.SignedUp, (403, 422, 429),
            request=sign_up,
        ),
        Operation(
            "POST", f"{base}/sign-in/email", auth.sign_in, None, bodies.SignedIn, (401, 403, 429),
            request=sign_in,
        ),
        Operation("GET", f"{base}/session", auth.get_session, None, session),
        Operation("GET", f"{base}/get-session", auth.get_session, None, session),
        Operation("POST", f"{base}/sign-out", auth.sign_out, None, bodies.Success, (403,)),
    )  # fmt: skip


def _server(hardwire: Hardwire, server: ServerRoutes) -> tuple[Operation, ...]:
    query = {"name": "q", "in": "query", "required": True, "schema": _TEXT}
    refresh = {"name": "refresh", "in": "query", "required": False, "schema": {"type": "boolean"}}
    return (
        Operation("GET", "/api/liveness", server.liveness, None, _answer(hardwire, "liveness")),
        Operation("GET", "/api/models", server.list_models, READ, _answer(hardwire, "list_models")),
        Operation(
            "GET", "/api/tools", server.list_tools, READ, _answer(hardwire, "list_tools"), query=(refresh,)
        ),
        Operation(
            "GET", "/api/tools/search", server.search_tools, READ, _answer(hardwire, "search_tools"), (400,),
            query=(query,),
        ),
        Operation(
            "GET", "/api/tools/{toolId}", server.get_tool, READ, _answer(hardwire, "get_tool"), (404,)
        ),
    )  # fmt: skip


def _users(hardwire: Hardwire, users: UserRoutes) -> tuple[Operation, ...]:
    number = {"type": "integer", "minimum": 0}
    page = tuple(
        {"name": name, "in": "query", "required": False, "schema": number} for name in ("limit", "offset")
    )
    preference = f"{USER}/model-preference"
    return (
        Operation(
            "GET", f"{USER}/chats", users.list_chats, READ, _answer(hardwire, "list_chats"), (400,),
            query=page,
        ),
        Operation(
            "GET", f"{USER}/workflows", users.list_workflows, READ, _answer(hardwire, "list_workflows")
        ),
        Operation(
            "GET", preference, users.get_preference, READ, _answer(hardwire, "get_preference"), (404,)
        ),
        Operation(
            "POST", preference, users.set_preference, WRITE, _answer(hardwire, "set_preference"),
            request=_object("modelId", modelId=_TEXT),
        ),
    )  # fmt: skip


def _chats(hardwire: Hardwire, chats: ChatRoutes) -> tuple[Operation, ...]:
    status, _ = hardwire.wire.deleted()
    needed = ("content", "modelId", "userId") if hardwire.wire.strict else ("content",)
    said = _object(*needed, content=_TEXT, modelId=_TEXT, userId=_TEXT, workflowId=_UUID)
    messages = f"{CHAT}/messages"
    return (
        Operation(
            "DELETE", CHAT, chats.delete_chat, WRITE, _answer(hardwire, "delete_chat"), (404, 409),
            status=status,
        ),
        Operation(
            "GET", messages, chats.list_messages, READ, _answer(hardwire, "list_messages"), (404,)
        ),
        Operation(
            "POST", messages, chats.send_message, WRITE, _answer(hardwire, "send_message"), (404, 409, 500),
            status=201, request=said,
        ),
        Operation(
            "POST", f"{messages}/stream", chats.stream_message, WRITE, None, (404, 429), request=said,
            stream=True,
        ),
    )  # fmt: skip


def _workflows(hardwire: Hardwire, workflows: WorkflowRoutes) -> tuple[Operation, ...]:
    status, _ = hardwire.wire.deleted()
    steps = {"type": "array", "items": {"type": "object"}}
    fields: dict[str, dict[str, Any]] = {"name": _TEXT, "description": _TEXT, "steps": steps}
    needed = ("userId", "name") if hardwire.wire.strict else ("name",)
    return (
        Operation(
            "POST", "/api/workflows", workflows.create_workflow, MAKE, _answer(hardwire, "create_workflow"),
            status=201, request=_object(*needed, userId=_TEXT, **fields),
        ),
        Operation(
            "GET", WORKFLOW, workflows.get_workflow, READ, _answer(hardwire, "get_workflow"), (404,)
        ),
        Operation(
            "PATCH", WORKFLOW, workflows.update_workflow, MAKE, _answer(hardwire, "update_workflow"), (404,),
            request=_object(**fields),
        ),
        Operation(
            "DELETE", WORKFLOW, workflows.delete_workflow, MAKE, _answer(hardwire, "delete_workflow"),
            (404,), status=status,
        ),
    )  # fmt: skip
