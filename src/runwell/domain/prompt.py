"""What a model is asked: the text of an input or of a message, in the forms clients send it."""

from typing import Any

from runwell.domain.errors import InvalidInput
from runwell.domain.json_gate import JsonValue

_KEYS = ("prompt", "text", "content", "message", "input")


def prompt_of(value: JsonValue) -> str:
    """The prompt in a run's input: a string, `{"prompt": …}`, or parts `[{"type": "text", "text": …}]`.

    Raises `InvalidInput` when there is no text in it.
    """
    text = text_of(value)
    if text is None:
        raise InvalidInput("$", "expected a prompt", 'Send a string, or {"prompt": "…"}.')
    return text


def text_of(value: Any) -> str | None:
    """The text in a message's content; None when it has none."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        for key in _KEYS:
            if key in value:
                return text_of(value[key])
        return text_of(value["parts"]) if "parts" in value else None
    if isinstance(value, list):
        texts = [text for part in value if (text := text_of(part)) is not None]
        return "\n".join(texts) if texts else None
    return None
