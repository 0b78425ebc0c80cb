"""What this API reads. Faults are told as the original's validator tells them: the first one, with its
path. Keys that are not known are dropped."""

import re
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs

import msgspec

from runwell.dialects.exchange import Call
from runwell.dialects.recoup.errors import Failed
from runwell.domain import json_gate
from runwell.domain.errors import InvalidJson

Object = dict[str, Any]

UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\Z")
LONGEST_INDEX = 15
"""Digits of `startIndex`; no log has more frames."""
LONGEST_TITLE = 500
MOST_MESSAGES = 500
"""Of a headless run: each is written to its chat by itself."""
STATUSES = ("running", "completed", "failed", "archived")


class StartRun(NamedTuple):
    """`messages` has at least one of the user's, the last of which is the input."""

    messages: list[Object]
    model: str | None
    artist_id: str | None
    account_id: str | None
    organization_id: str | None


class Send(NamedTuple):
    messages: list[Object]
    chat_id: str
    session_id: str


class MakeSession(NamedTuple):
    title: str | None
    artist_id: str | None
    organization_id: str | None


class PatchSession(NamedTuple):
    """None leaves it."""

    title: str | None
    status: Literal["running", "completed", "failed", "archived"] | None
    lines_added: int | None
    lines_removed: int | None


class PatchChat(NamedTuple):
    """None leaves it."""

    title: str | None
    model_id: str | None


def invalid(text: str, *path: str) -> Failed:
    return Failed(400, text, missing_fields=list(path))


def read_start(body: bytes) -> StartRun:
    """Raises `Failed`."""
    given = _object(body)
    prompt = (_text(given, "prompt") or "").strip()
    messages = _array(given, "messages")
    artist_id = _uuid(given, "artistId")
    model = (_text(given, "model") or "").strip() or None
    account_id, organization_id = _text(given, "accountId"), _text(given, "organizationId")
    if bool(prompt) == bool(messages):
        raise Failed(400, "Exactly one of prompt or messages must be provided")
    if prompt:
        messages = [{"role": "user", "parts": [{"type": "text", "text": prompt}]}]
    kept = ui_messages(messages or [])
    asked_by_user(kept)
    if len(kept) > MOST_MESSAGES:
        raise invalid(f"messages must have at most {MOST_MESSAGES} entries", "messages")
    return StartRun(kept, model, artist_id, account_id, organization_id)


def read_send(body: bytes) -> Send:
    """Raises `Failed`."""
    given = _object(body)
    messages = _array(given, "messages", needed=True)
    chat_id, session_id = _needed_text(given, "chatId"), _needed_text(given, "sessionId")
    kept = ui_messages(messages or [])
    asked_by_user(kept)
    return Send(kept, chat_id, session_id)


def read_session(body: bytes) -> MakeSession:
    """Raises `Failed`. No body is an empty one."""
    given = _object(body or b"{}")
    title = _title(given)
    organization_id = _uuid(given, "organizationId")
    return MakeSession(title, _uuid(given, "artistId"), organization_id)


def read_session_patch(body: bytes) -> PatchSession:
    """Raises `Failed`, which has `path` here."""
    try:
        given = _object(body)
        status = given.get("status")
        if "status" in given and status not in STATUSES:
            options = "|".join(f'"{each}"' for each in STATUSES)
            raise invalid(f"Invalid option: expected one of {options}", "status")
        return PatchSession(_title(given), status, _count(given, "linesAdded"), _count(given, "linesRemoved"))
    except Failed as error:
        path = error.body.missing_fields
        if not isinstance(path, list):
            raise
        raise Failed(400, error.body.error, path=path) from error


def read_new_chat(body: bytes) -> str | None:
    """The id that the caller wants its chat to have. Raises `Failed`."""
    given = _object(body or b"{}")
    if "id" not in given:
        return None
    id = given["id"]
    if not isinstance(id, str) or not UUID.match(id.strip()):
        raise Failed(400, "Invalid chat id", bare=True)
    return id.strip().lower()


def read_chat_patch(body: bytes) -> PatchChat:
    """Raises `Failed`."""
    given = _object(body)
    unknown = [key for key in given if key not in ("title", "modelId")]
    if unknown:
        raise invalid(f'Unrecognized key: "{unknown[0][:80]}"')
    title, model_id = _title(given), _text(given, "modelId")
    if title is None and model_id is None:
        raise invalid("At least one field is required")
    return PatchChat(title, model_id)


def ui_messages(given: list[Any]) -> list[Object]:
    """The messages that have text, as `{id, role, parts}` with text parts only. What else the original's
    clients send along (files, calls of tools) is not an agent's input here."""
    kept: list[Object] = []
    for message in given:
        if not isinstance(message, dict) or message.get("role") not in ("user", "assistant", "system"):
            continue
        texts = [text for text in _texts(message) if text.strip()]
        if not texts:
            continue
        id = message.get("id")
        told: Object = {"id": id[:200]} if isinstance(id, str) and id else {}
        parts = [{"type": "text", "text": text} for text in texts]
        kept.append({**told, "role": message["role"], "parts": parts})
    return kept


def asked_by_user(messages: list[Object]) -> tuple[list[Object], Object]:
    """The last message of the user, and what came before it. Raises `Failed` where there is none."""
    for place in range(len(messages) - 1, -1, -1):
        if messages[place]["role"] == "user":
            return messages[:place], messages[place]
    raise invalid("messages must contain a message of the user with text", "messages")


def text_of_message(message: Object, between: str = "\n") -> str:
    return between.join(part["text"] for part in message["parts"])


def query_of(call: Call) -> dict[str, str]:
    """The query; of a name that comes twice the last counts."""
    query: bytes = call.scope.get("query_string", b"")
    found = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    return {name: values[-1] for name, values in found.items()}


def start_index(query: dict[str, str]) -> int | None:
    """Raises `Failed`."""
    text = query.get("startIndex")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_INDEX):
        raise invalid("startIndex must be a non-negative integer", "startIndex")
    return int(text)


def chat_id_of(text: str) -> str:
    """The id in a path, in lower case. Raises `Failed`."""
    if not UUID.match(text):
        raise invalid("chatId must be a valid UUID")
    return text.lower()


def _texts(message: Object) -> list[str]:
    parts = message.get("parts")
    if not isinstance(parts, list):
        content = message.get("content")
        return [content] if isinstance(content, str) else []
    found = [part for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return [part["text"] for part in found if isinstance(part.get("text"), str)]


def _object(body: bytes) -> Object:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Failed(400, "Invalid JSON body") from error
    if not isinstance(value, dict):
        raise invalid(f"Invalid input: expected object, received {_kind(value)}")
    try:
        json_gate.check(value)
    except InvalidJson as error:
        raise invalid(error.message, error.path) from error
    return value


def _text(given: Object, name: str) -> str | None:
    if name not in given:
        return None
    value = given[name]
    if not isinstance(value, str):
        raise invalid(f"Invalid input: expected string, received {_kind(value)}", name)
    return value


def _needed_text(given: Object, name: str) -> str:
    value = _text(given, name)
    if value is None:
        raise invalid("Invalid input: expected string, received undefined", name)
    if not value:
        raise invalid(f"{name} must not be empty", name)
    return value


def _title(given: Object) -> str | None:
    title = _text(given, "title")
    if title is None:
        return None
    title = title.strip()
    if not title:
        raise invalid("title must not be empty", "title")
    return title[:LONGEST_TITLE]


def _array(given: Object, name: str, *, needed: bool = False) -> list[Any] | None:
    if name not in given and not needed:
        return None
    value = given.get(name)
    if not isinstance(value, list):
        kind = _kind(value) if name in given else "undefined"
        raise invalid(f"Invalid input: expected array, received {kind}", name)
    return value


def _uuid(given: Object, name: str) -> str | None:
    value = _text(given, name)
    if value is not None and not UUID.match(value):
        raise invalid(f"{name} must be a valid UUID", name)
    return value


def _count(given: Object, name: str) -> int | None:
    if name not in given:
        return None
    value = given[name]
    if isinstance(value, bool) or not isinstance(value, int):
        expected = "int" if isinstance(value, float) else "number"
        raise invalid(f"Invalid input: expected {expected}, received {_kind(value)}", name)
    return value


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else "number"
