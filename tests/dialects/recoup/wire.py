"""Asking a house as Recoup's clients do, and what every refusal of this API looks like."""

import json
from typing import Any

from runwell.domain.ids import parse_id
from runwell.domain.run import Run
from tests.support.asgi import Answer, AsgiClient
from tests.support.house import House

CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, POST, PUT, DELETE, OPTIONS, PATCH",
    "access-control-allow-headers": "Content-Type, Authorization, X-Requested-With, x-api-key",
    "access-control-expose-headers": "x-workflow-run-id, x-workflow-stream-tail-index",
}
UNKNOWN = "0190c3b1-0000-4000-8000-000000000001"


def check_refused(answer: Answer, status: int, text: str | None = None, **more: Any) -> None:
    """`more` are the other keys of the body."""
    assert answer.status == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert CORS.items() <= answer.headers.items()
    body = answer.json
    assert body["error"] == body["message"]
    assert body == {"status": "error", "error": body["error"], "message": body["error"], **more}
    if text is not None:
        assert body["error"] == text


def a_message(text: str, id: str | None = "u1", **more: Any) -> dict[str, Any]:
    told = {"id": id} if id is not None else {}
    return {**told, "role": "user", "parts": [{"type": "text", "text": text}], **more}


async def a_session(client: AsgiClient) -> tuple[str, str]:
    """The ids of a new session and of its first chat."""
    made = (await client.post("/api/sessions", {})).json
    return made["session"]["id"], made["chat"]["id"]


async def a_headless_run(client: AsgiClient, **body: Any) -> dict[str, Any]:
    answer = await client.post("/api/chat/runs", body or {"prompt": "hello"})
    assert answer.status == 202, answer.text
    started: dict[str, Any] = answer.json
    return started


async def the_run(house: House, started: dict[str, Any]) -> Run:
    return await house.store.runs.get(parse_id(started["runId"]))


def send_body(session: str, chat: str, text: str = "hello", **message: Any) -> dict[str, Any]:
    return {"messages": [a_message(text, **message)], "chatId": chat, "sessionId": session}


async def sent(house: House, body: dict[str, Any]) -> Run:
    """The run of a message whose stream is left again at once."""
    async with house.client.open("POST", "/api/chat", body=_json(body)) as exchange:
        await exchange.started()
        assert exchange.status == 200, await exchange.read()
        return await house.store.runs.get(parse_id(exchange.headers["x-workflow-run-id"]))


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()
