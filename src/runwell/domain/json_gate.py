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


def check(value: object, path: str = "$", depth: int = 0) -> None:
    """Raise `InvalidJson` at the first fault in `value`; plain JSON types only."""
    if isinstance(value, str):
        if found := _UNSTORABLE.search(value):
            raise InvalidJson(path, "a NUL character" if found[0] == "\x00" else "a lone surrogate")
    elif value is None or isinstance(value, bool):
        return
    elif isinstance(value, int):
        if not _INT_MIN <= value <= _INT_MAX:
            raise InvalidJson(path, "an integer beyond 64 bits")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidJson(path, "NaN and infinities are not JSON")
    elif depth >= MAX_DEPTH:
        raise InvalidJson(path, f"nested deeper than {MAX_DEPTH} levels")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidJson(path, f"a key that is no string: {key!r}")
            check(key, path, depth + 1)
            check(item, f"{path}.{key}", depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            check(item, f"{path}[{index}]", depth + 1)
    else:
        raise InvalidJson(path, f"{type(value).__name__} is not a JSON type")


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
