"""What an agent returned or raised, as the words of a command."""

import traceback

import msgspec

from runwell.domain import json_gate
from runwell.domain.commands import Fail
from runwell.domain.errors import InvalidJson
from runwell.domain.json_gate import Json, clean_text
from runwell.domain.run import Reason, RunError
from runwell.ports.agent import AgentFailed
from runwell.worker.session import readable, words_of


def written(value: object, limit: int) -> Json | Fail | None:
    """An agent's value as its output of at most `limit` bytes; None stays None.

    Called on the agent's own thread: a large value must not hold up the worker's loop.
    """
    if value is None:
        return None
    try:
        output = json_gate.encode_any(value)
    except InvalidJson as error:
        return Fail(
            reason=Reason.ERROR,
            error=RunError(error.code, clean_text(f"the agent's output: {error.message}")),
        )
    return _limited(output, limit)


def written_text(text: str, limit: int) -> Json | Fail:
    """The output of an agent that only streamed. Its text was cleaned when it was said."""
    return _limited(Json(msgspec.json.encode(text or None)), limit)


def _limited(output: Json, limit: int) -> Json | Fail:
    size = memoryview(output).nbytes
    if size <= limit:
        return output
    message = f"the output has {size} bytes; the limit is {limit}"
    return Fail(reason=Reason.OUTPUT_TOO_LARGE, error=RunError(Reason.OUTPUT_TOO_LARGE, message))


def failure(error: BaseException) -> Fail:
    """Whatever `error` is, and however broken: it never raises."""
    if isinstance(error, AgentFailed):
        reason = readable(error.reason, Reason.ERROR)
        return Fail(reason=reason, error=RunError(reason, readable(error.message, reason)))
    return Fail(
        reason=Reason.ERROR,
        error=RunError(clean_text(type(error).__name__), words_of(error)[:4_000], _trace(error)),
    )


def _trace(error: BaseException) -> str | None:
    try:
        return clean_text("".join(traceback.format_exception(error))[-8_000:])
    except Exception:  # noqa: BLE001 - a broken exception must not cost the run its end
        return None
