"""What the Flowyble API reads: ids in paths, and bodies."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from runwell.domain import json_gate
from runwell.domain.errors import InvalidId, InvalidInput, InvalidJson
from runwell.domain.ids import parse_id


class RunAgent(msgspec.Struct, frozen=True, rename="camel"):
    """Fields that are not known are ignored, as the original does."""

    user_message: Annotated[str, Meta(min_length=1)]
    conversation_id: (
        Annotated[
            str,
            Meta(
                extra_json_schema={"format": "uuid"},
                description="Messages under one id are one conversation; a new id begins one",
            ),
        ]
        | None
    ) = None


REQUESTS = (RunAgent,)

_RUN_AGENT = msgspec.json.Decoder(RunAgent)
_HINT = 'Send {"userMessage": "…"}.'


def read_run_agent(body: bytes) -> tuple[str, str | None]:
    """The message, and the id of the conversation it goes to. Raises `InvalidInput`, `InvalidJson`."""
    try:
        wanted = _RUN_AGENT.decode(body)
    except msgspec.ValidationError as error:
        fault, _, path = str(error).partition(" - at `")
        raise InvalidInput(path.rstrip("`") or "$", fault, _HINT) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("$", "the body is not JSON", _HINT) from error
    except RecursionError as error:
        raise InvalidJson("$", f"nested deeper than {json_gate.MAX_DEPTH} levels") from error
    json_gate.check(wanted.user_message, "$.userMessage")
    if wanted.conversation_id is None:
        return wanted.user_message, None
    try:
        return wanted.user_message, id_of(wanted.conversation_id)
    except InvalidId as error:
        raise InvalidInput(
            "$.conversationId", "is not a UUID", "Make one up for a new conversation."
        ) from error


def read_run_tool(body: bytes) -> dict[str, Any]:
    """The tool's input; no body is an empty one. Raises `InvalidInput`, `InvalidJson`."""
    hint = "Send a JSON object with the tool's parameters, or no body."
    try:
        value = msgspec.json.decode(body) if body.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("$", "the body is not JSON", hint) from error
    except RecursionError as error:
        raise InvalidJson("$", f"nested deeper than {json_gate.MAX_DEPTH} levels") from error
    if not isinstance(value, dict):
        raise InvalidInput("$", "the body is not an object", hint)
    return value


def id_of(text: str) -> str:
    """The id behind any spelling, and behind a UUID in upper case. Raises `InvalidId`."""
    try:
        return parse_id(text)
    except InvalidId:
        return parse_id(text.lower())
