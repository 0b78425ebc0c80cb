"""From the messages of a thread to PydanticAI's."""

from collections.abc import Iterable

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    UserPromptPart,
)

from runwell.domain.json_gate import decode
from runwell.domain.prompt import text_of
from runwell.domain.thread import Message, Role


def history_of(messages: Iterable[Message]) -> list[ModelMessage]:
    """User, system and assistant messages, in order; neighbours of one side are joined.

    Left out are messages of tools, which no API takes without the call that they answer, and
    messages without text.
    """
    history: list[ModelMessage] = []
    for message in messages:
        content = decode(message.content)
        text = text_of(content)
        if text is None and message.role is not Role.TOOL:
            text = message_as_json(message)
        if not text or message.role is Role.TOOL:
            continue
        if message.role is Role.ASSISTANT:
            _add_response(history, TextPart(text))
        elif message.role is Role.SYSTEM:
            _add_request(history, SystemPromptPart(text))
        else:
            _add_request(history, UserPromptPart(text))
    return history


def message_as_json(message: Message) -> str:
    """The content of a message that is data, such as an earlier run's output object."""
    text = bytes(message.content).decode()
    return "" if text in ("null", "{}", "[]") else text


def _add_response(history: list[ModelMessage], part: TextPart) -> None:
    if history and isinstance(history[-1], ModelResponse):
        history[-1] = ModelResponse(parts=[*history[-1].parts, part])
    else:
        history.append(ModelResponse(parts=[part]))


def _add_request(history: list[ModelMessage], part: ModelRequestPart) -> None:
    if history and isinstance(history[-1], ModelRequest):
        history[-1] = ModelRequest(parts=[*history[-1].parts, part])
    else:
        history.append(ModelRequest(parts=[part]))
