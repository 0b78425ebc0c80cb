"""Messages on the wire: one shape per type, fields in the order of Letta's server."""

from collections.abc import Iterable
from typing import Any, assert_never

import msgspec

from runwell.dialects.letta import ids
from runwell.dialects.letta.parts import Kind, Part
from runwell.dialects.letta.times import whole_seconds
from runwell.domain.instant import Instant


class Message(msgspec.Struct, kw_only=True):
    """What all have in common."""

    id: str
    date: str
    name: str | None = None
    message_type: str
    otid: str | None = None
    sender_id: str | None = None
    step_id: str | None = None
    is_err: bool | None = None
    seq_id: int | None = None
    run_id: str | None = None


class Ping(Message, kw_only=True):
    """Says that the stream lives."""


class ContentMessage(Message, kw_only=True):
    """Of a user, the system or the assistant."""

    content: str | list[dict[str, Any]]


class ReasoningMessage(Message, kw_only=True):
    source: str = "reasoner_model"
    reasoning: str
    signature: str | None = None


class ToolCall(msgspec.Struct):
    name: str
    arguments: str
    tool_call_id: str


class ToolCallDelta(msgspec.Struct, omit_defaults=True):
    """A piece of a call in a token stream: only what is new."""

    name: str | None = None
    arguments: str | None = None
    tool_call_id: str | None = None


class ToolCallMessage(Message, kw_only=True):
    """Of a call that is made, or that waits for an approval."""

    tool_call: ToolCall
    tool_calls: list[ToolCall]


class ToolCallDeltaMessage(Message, kw_only=True):
    tool_call: ToolCallDelta
    tool_calls: ToolCallDelta


class ToolReturn(msgspec.Struct, kw_only=True):
    type: str = "tool"
    tool_return: str
    status: str
    tool_call_id: str
    stdout: list[str] | None = None
    stderr: list[str] | None = None


class ToolReturnMessage(Message, kw_only=True):
    tool_return: str
    status: str
    tool_call_id: str
    stdout: list[str] | None = None
    stderr: list[str] | None = None
    tool_returns: list[ToolReturn]


class StopReason(msgspec.Struct):
    message_type: str
    stop_reason: str


class UsageStatistics(msgspec.Struct, kw_only=True):
    message_type: str = "usage_statistics"
    completion_tokens: int
    prompt_tokens: int
    total_tokens: int
    step_count: int
    run_ids: list[str] | None = None
    cached_input_tokens: int | None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None
    context_tokens: int | None


class ErrorMessage(msgspec.Struct, kw_only=True):
    message_type: str = "error_message"
    run_id: str
    error_type: str
    message: str
    detail: str | None
    seq_id: int | None


class LettaResponse(msgspec.Struct, kw_only=True):
    """The answer to a send that waited for the run."""

    messages: list[Message]
    stop_reason: StopReason
    usage: UsageStatistics
    logprobs: None = None
    turns: None = None


BODIES = (
    Ping, ContentMessage, ReasoningMessage, ToolCallMessage, ToolCallDeltaMessage, ToolReturnMessage,
    StopReason, UsageStatistics, ErrorMessage, LettaResponse,
)  # fmt: skip


def message_of(run: str, part: Part) -> Message:
    """A whole message. `run` is the bare id."""
    fields = _fields(run, part, part.at)
    match part.kind:
        case Kind.USER | Kind.SYSTEM:
            return ContentMessage(**fields, content=_content(part))
        case Kind.ASSISTANT:
            return ContentMessage(**fields, content=_content(part))
        case Kind.REASONING:
            return ReasoningMessage(**fields, reasoning=part.text)
        case Kind.CALL | Kind.REQUEST:
            call = ToolCall(part.tool or "", part.arguments, part.call_id)
            return ToolCallMessage(**fields, tool_call=call, tool_calls=[call])
        case Kind.RETURN:
            return _tool_return(fields, part)
    assert_never(part.kind)


def delta_of(run: str, part: Part, delta: str, at: Instant) -> Message:
    """A bit of a text, as token streams send it."""
    fields = _fields(run, part, at)
    if part.kind is Kind.REASONING:
        return ReasoningMessage(**fields, reasoning=delta)
    return ContentMessage(**fields, content=delta)


def call_deltas_of(run: str, part: Part, at: Instant) -> Iterable[Message]:
    """A call, as token streams send it: its name, then its arguments."""
    for call in (
        ToolCallDelta(name=part.tool or "", tool_call_id=part.call_id),
        ToolCallDelta(arguments=part.arguments, tool_call_id=part.call_id),
    ):
        yield ToolCallDeltaMessage(**_fields(run, part, at), tool_call=call, tool_calls=call)


def ping_of(run: str, at: Instant, number: int = 0) -> Ping:
    return Ping(
        id=ids.ping_id(run, number), date=whole_seconds(at), message_type="ping", run_id=ids.run_id(run)
    )


def _fields(run: str, part: Part, at: Instant) -> dict[str, Any]:
    return {
        "id": ids.message_id(part.turn.id),
        "date": whole_seconds(at),
        "name": part.tool if part.kind is Kind.RETURN else part.name,
        "message_type": part.kind.value,
        "otid": part.otid or ids.otid(part.turn.id, part.index),
        "sender_id": part.sender,
        "step_id": part.step,
        "is_err": None,
        "run_id": ids.run_id(run),
    }


def _content(part: Part) -> str | list[dict[str, Any]]:
    """A system message is text in any case: clients know it in no other form."""
    if part.content is None or (part.kind is Kind.SYSTEM and not isinstance(part.content, str)):
        return part.text or "\n".join(str(each.get("text", "")) for each in part.content or ())
    content: str | list[dict[str, Any]] = part.content
    return content


def _tool_return(fields: dict[str, Any], part: Part) -> ToolReturnMessage:
    text, status = part.text, "error" if part.failed else "success"
    one = ToolReturn(tool_return=text, status=status, tool_call_id=part.call_id)
    return ToolReturnMessage(
        **fields, tool_return=text, status=status, tool_call_id=part.call_id, tool_returns=[one]
    )
