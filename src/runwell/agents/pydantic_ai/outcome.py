"""What a tool call came to, as JSON: a value, or one of the signals by which tools steer the model.

A signal is part of the conversation, so it is remembered like a value. A real exception is not: the
step fails, and a later attempt calls the tool again.
"""

import math
from collections.abc import Awaitable
from typing import Any, NamedTuple

from pydantic import TypeAdapter
from pydantic_ai.exceptions import ApprovalRequired, CallDeferred, ModelRetry, ToolFailed
from pydantic_ai.messages import ToolReturn, ToolReturnContent
from pydantic_core import PydanticSerializationError, to_jsonable_python

from runwell.domain.json_gate import clean_text

_CONTENT: TypeAdapter[Any] = TypeAdapter(ToolReturnContent)
_RETURN: TypeAdapter[ToolReturn[Any]] = TypeAdapter(ToolReturn)


class Outcome(NamedTuple):
    """`stored` is the step's value, `shown` what watchers see of it."""

    stored: dict[str, Any]
    shown: Any
    failed: bool = False


async def recorded(tool: str, call: Awaitable[Any]) -> Outcome:
    """Await the call. Raises `TypeError` for a value without a JSON form."""
    try:
        value = await call
    except ModelRetry as retry:
        return _failed("retry", retry.message)
    except ToolFailed as failed:
        return _failed("failed", failed.message)
    except ApprovalRequired as signal:
        return Outcome({"approval": plain(signal.metadata)}, "waits for approval")
    except CallDeferred as signal:
        return Outcome({"deferred": plain(signal.metadata), "kind": signal.kind}, "waits for its result")
    try:
        if isinstance(value, ToolReturn):
            document = storable(_RETURN.dump_python(value, mode="json"))
            return Outcome({"return": document}, document["return_value"])
        shown = storable(_CONTENT.dump_python(value, mode="json"))
    except PydanticSerializationError as error:
        raise TypeError(f"tool {tool!r} returned what has no JSON form: {error}") from error
    return Outcome({"value": shown}, shown)


def _failed(signal: str, message: str) -> Outcome:
    message = clean_text(message)
    return Outcome({signal: message}, message, failed=True)


def raised_again(stored: dict[str, Any]) -> Any:
    """The value behind a step's value; raises the signal if it was one."""
    match stored:
        case {"value": value}:
            return _CONTENT.validate_python(value)
        case {"return": document}:
            return _RETURN.validate_python(document)
        case {"retry": message}:
            raise ModelRetry(message)
        case {"failed": message}:
            raise ToolFailed(message)
        case {"approval": metadata}:
            raise ApprovalRequired(metadata)
        case {"deferred": metadata, "kind": kind}:
            raise CallDeferred(metadata, kind=kind)
        case _:
            raise ValueError(f"not the value of a tool's step: {stored!r}")


def plain(value: Any) -> Any:
    """`value` as JSON for watchers; what has no JSON form is described."""
    return storable(to_jsonable_python(value, fallback=repr))


def storable(value: Any) -> Any:
    """Plain JSON as every backend can keep it: one bad byte of a model or a web page loses no run.

    NUL and lone surrogates become U+FFFD, integers beyond 64 bits floats, NaN and infinities null.
    """
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(str(key)): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        value = float(value) if value.bit_length() < 1024 else None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
