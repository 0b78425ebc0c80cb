"""From Pydantic's list of faults to one sentence with a JSONPath."""

from typing import Any

from pydantic import ValidationError

from runwell.domain.errors import InvalidInput
from runwell.domain.json_gate import JsonValue

NAMED = 3
"""How many faults a message names; the rest is counted."""


def invalid_input(agent: str, value: JsonValue, error: ValidationError) -> InvalidInput:
    """The first fault's path and words, with the next ones behind."""
    faults = [(_path(value, fault), _words(fault)) for fault in error.errors(include_url=False)]
    (path, first), rest = faults[0], faults[1:]
    more = "".join(f"; {where}: {what}" for where, what in rest[: NAMED - 1])
    if len(rest) >= NAMED:
        more += f"; and {len(rest) - NAMED + 1} more"
    return InvalidInput(path, first + more, f"The input schema of agent {agent!r} says what it takes.")


def _words(fault: Any) -> str:
    message = str(fault["msg"])
    return message[:1].lower() + message[1:]


def _path(value: Any, fault: Any) -> str:
    """The JSONPath of a fault. Pydantic puts union branches into its locations: they are left out."""
    path = "$"
    location = fault["loc"]
    for position, part in enumerate(location):
        if _has(value, part):
            value = value[part]
        elif fault["type"] == "missing" and position == len(location) - 1:
            value = None
        else:
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path


def _has(value: Any, part: int | str) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value
