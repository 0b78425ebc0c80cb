"""The Recoup dialect, assembled."""

from typing import Any

from fastapi import FastAPI

from runwell import __version__
from runwell.dialects.dialect import Dialect, HotRoute, Services
from runwell.dialects.recoup import bodies, errors, openapi
from runwell.dialects.recoup.openapi import Operation
from runwell.dialects.recoup.recoup import Recoup
from runwell.dialects.recoup.routes.chat import ChatRoutes
from runwell.dialects.recoup.routes.runs import RunRoutes
from runwell.dialects.recoup.routes.sessions import SessionRoutes

STATUS = "/api/chat/runs/{runId}"
CHATS = "/api/sessions/{sessionId}/chats"
CHAT = f"{CHATS}/{{chatId}}"

_UUID = {"type": "string", "format": "uuid"}
_TEXT = {"type": "string"}
_MESSAGES = {"type": "array", "items": {"type": "object", "description": "A UIMessage of the AI SDK"}}
_ACCOUNT = {"name": "account_id", "in": "query", "required": False, "schema": _UUID}
_START_INDEX = {
    "name": "startIndex", "in": "query", "required": False, "schema": {"type": "integer", "minimum": 0},
    "description": "The number of the first frame wanted: how many came already",
}  # fmt: skip


def build_recoup(services: Services) -> Dialect:
    recoup = Recoup(services)
    app = FastAPI(
        title="Runwell: Recoup API",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    runs = RunRoutes(recoup)
    openapi.add(
        app, (*_chat_operations(runs, ChatRoutes(recoup)), *_session_operations(SessionRoutes(recoup)))
    )
    errors.install(app)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    hot = (HotRoute("GET", STATUS, runs.get_run),)
    return Dialect("recoup", app, hot, errors.refuse, own_cors=True)


def _object(*required: str, **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _chat_operations(runs: RunRoutes, chat: ChatRoutes) -> tuple[Operation, ...]:
    start = _object(
        prompt=_TEXT, messages=_MESSAGES, model=_TEXT, artistId=_UUID, accountId=_UUID, organizationId=_TEXT
    )
    send = _object("messages", "chatId", "sessionId", messages=_MESSAGES, chatId=_UUID, sessionId=_UUID)
    return (
        Operation("POST", "/api/chat/runs", runs.start_run, bodies.Started, status=202, request=start),
        Operation("GET", STATUS, runs.get_run, bodies.RunStatus, (404,)),
        Operation("POST", "/api/chat", chat.send_message, None, (404, 409), request=send),
        Operation(
            "GET", "/api/chat/{chatId}/stream", chat.watch_chat, None, (400, 404),
            query=(_START_INDEX, _ACCOUNT), may_be_empty=True,
        ),
        Operation(
            "POST", "/api/chat/{chatId}/stop", chat.stop_chat, bodies.Stopped, (400, 404, 504),
            query=(_ACCOUNT,),
        ),
    )  # fmt: skip


def _session_operations(sessions: SessionRoutes) -> tuple[Operation, ...]:
    session = "/api/sessions/{sessionId}"
    made = _object(title=_TEXT, organizationId=_UUID, artistId=_UUID)
    count = {"type": "integer"}
    status = {"enum": ["running", "completed", "failed", "archived"]}
    patched = _object(title=_TEXT, status=status, linesAdded=count, linesRemoved=count)
    return (
        Operation(
            "POST", "/api/sessions", sessions.create_session, bodies.SessionMade,
            request=made, request_required=False,
        ),
        Operation("GET", session, sessions.get_session, bodies.SessionShown, (404,)),
        Operation("PATCH", session, sessions.update_session, bodies.SessionShown, (404,), request=patched),
        Operation("GET", CHATS, sessions.list_chats, bodies.ChatList, (404,)),
        Operation(
            "POST", CHATS, sessions.create_chat, bodies.ChatShown, (404, 409),
            request=_object(id=_UUID), request_required=False,
        ),
        Operation("GET", CHAT, sessions.get_chat, bodies.ChatRead, (404,)),
        Operation(
            "PATCH", CHAT, sessions.update_chat, bodies.ChatShown, (404,),
            request=_object(title=_TEXT, modelId=_TEXT),
        ),
        Operation("DELETE", CHAT, sessions.delete_chat, bodies.Success, (404, 409)),
        Operation("POST", f"{CHAT}/read", sessions.mark_read, bodies.Success, (404,)),
    )  # fmt: skip
