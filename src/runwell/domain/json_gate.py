"""The one gate for JSON that people and agents send in: what passes here, every backend can keep.

Refused, with the path to the fault: deeper than 64 levels, NaN and infinities, NUL characters, lone
surrogates, integers beyond 64 bits. What a *model* streams is cleaned instead (`clean_text`):
refusing it would lose the run for one bad byte.
"""

import math
import re
from typing import Any

import msgspec

from runwell.domain.errors import InvalidJson

Json = msgspec.Raw
"""A JSON document as checked bytes: written once, spliced into rows, events and answers as it is."""

JsonValue = None | bool | int | float | str | list[Any] | dict[str, Any]

MAX_DEPTH = 64
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

NULL = Json(b"null")
EMPTY = Json(b"{}")


LONGEST_SHOWN = 80
"""Characters of a key in the path to a fault."""

_Fault = tuple[str, list[str]]
"""What is wrong, and the path to it, its last part first."""


def check(value: object, path: str = "$") -> None:
    """Raise `InvalidJson` at the first fault in `value`; plain JSON types only."""
    found = _fault(value, 0)
    if found is not None:
        fault, parts = found
        raise InvalidJson(path + "".join(reversed(parts)), fault)


def _fault(value: object, depth: int) -> _Fault | None:
    # The path is put together on the way back from a fault: one for each item would take hours for a
    # document with one long key above many items.
    if isinstance(value, str):
        return _unstorable(value)
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return None if _INT_MIN <= value <= _INT_MAX else ("an integer beyond 64 bits", [])
    if isinstance(value, float):
        return None if math.isfinite(value) else ("NaN and infinities are not JSON", [])
    if depth >= MAX_DEPTH:
        return f"nested deeper than {MAX_DEPTH} levels", []
    if isinstance(value, dict):
        return _in_object(value, depth + 1)
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            if (found := _fault(item, depth + 1)) is not None:
                found[1].append(f"[{index}]")
                return found
        return None
    return f"{type(value).__name__} is not a JSON type", []


def _in_object(value: dict[object, object], depth: int) -> _Fault | None:
    for key, item in value.items():
        if not isinstance(key, str):
            return f"a key that is no string: {key!r}", []
        if (found := _unstorable(key)) is not None:
            return found
        if (found := _fault(item, depth)) is not None:
            found[1].append(f".{key[:LONGEST_SHOWN]}")
            return found
    return None


def _unstorable(text: str) -> _Fault | None:
    found = _UNSTORABLE.search(text)
    if found is None:
        return None
    return "a NUL character" if found[0] == "\x00" else "a lone surrogate", []


def encode(value: object) -> Json:
    """Check a JSON value and write it as bytes. Raises `InvalidJson`."""
    if isinstance(value, Json):
        return value
    check(value)
    return Json(msgspec.json.encode(value))


def encode_any(value: object) -> Json:
    """Like `encode`, after turning dataclasses, Pydantic models, dates, sets … into plain JSON.

    This is the codec of step values and agent outputs. Raises `InvalidJson` naming the type that
    has no JSON form.
    """
    try:
        plain = msgspec.to_builtins(value, str_keys=True, enc_hook=_plain)
    except (TypeError, ValueError, NotImplementedError, RecursionError) as error:
        raise InvalidJson("$", f"cannot be written as JSON: {error}") from error
    return encode(plain)


def _plain(value: object) -> object:
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")


def decode(data: Json | bytes) -> Any:
    """The value of checked JSON bytes."""
    return msgspec.json.decode(data)


def clean_text(text: str) -> str:
    """Text as a model streamed it, a plain `str`, with NUL and lone surrogates replaced by U+FFFD."""
    if type(text) is not str:
        text = str.__str__(text)  # a subclass's characters: encoders refuse the subclass itself
    return _UNSTORABLE.sub("\ufffd", text)
