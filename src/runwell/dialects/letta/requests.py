"""What is sent to this API: bodies as typed values. Fields that mean nothing here are read over."""

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.json import Decoder

from runwell.dialects.letta.errors import Faulty
from runwell.dialects.letta.origin import RequestConfig
from runwell.domain import json_gate

T = TypeVar("T")

MessageType = Literal[
    "system_message", "user_message", "assistant_message", "reasoning_message",
    "hidden_reasoning_message", "tool_call_message", "tool_return_message", "approval_request_message",
    "approval_response_message", "summary_message", "event_message",
]  # fmt: skip
Parts = str | list[dict[str, Any]]
MOST_RUN_IDS = 1_000


class SendMessages(msgspec.Struct, kw_only=True):
    """A request for a run. The messages stay plain here: they are told apart in `incoming`."""

    messages: list[dict[str, Any]] | None = None
    input: Parts | None = None
    max_steps: int = 50
    use_assistant_message: bool = True
    assistant_message_tool_name: str = "send_message"
    assistant_message_tool_kwarg: str = "message"
    include_return_message_types: list[MessageType] | None = None
    streaming: bool | UnsetType = UNSET
    stream_tokens: bool | UnsetType = UNSET
    include_pings: bool | UnsetType | None = UNSET
    background: bool | UnsetType | None = UNSET

    @property
    def config(self) -> RequestConfig:
        return RequestConfig(
            self.use_assistant_message,
            self.assistant_message_tool_name,
            self.assistant_message_tool_kwarg,
            None if self.include_return_message_types is None else list(self.include_return_message_types),
        )


class SendAsync(SendMessages, kw_only=True):
    callback_url: str | None = None


class SendToConversation(SendMessages, kw_only=True):
    """`agent_id` names the agent where the path says `default`."""

    agent_id: str | None = None


class CancelRuns(msgspec.Struct, kw_only=True):
    run_ids: Annotated[list[str], Meta(max_length=MOST_RUN_IDS)] | None = None


class ResumeStream(msgspec.Struct, kw_only=True):
    """`poll_interval` and `batch_size` are how Letta's server would poll: nothing is polled here."""

    agent_id: str | None = None
    run_id: str | None = None
    otid: str | None = None
    starting_after: int = 0
    include_pings: bool | None = True
    poll_interval: float | None = None
    batch_size: int | None = None


class BlockIn(msgspec.Struct, kw_only=True):
    """A memory block: a labelled text that belongs to the agent's instructions."""

    label: str
    value: str = ""
    description: str | None = None
    limit: int | None = None
    read_only: bool | None = None
    metadata: dict[str, Any] | None = None
    tags: list[str] | None = None


class CreateAgent(msgspec.Struct, kw_only=True):
    name: str | None = None
    model: str | None = None
    llm_config: dict[str, Any] | None = None
    system: str | None = None
    memory_blocks: list[BlockIn] | None = None
    tags: list[str] | None = None
    description: str | None = None
    metadata: dict[str, Any] | None = None
    model_settings: dict[str, Any] | None = None
    context_window_limit: int | None = None
    max_tokens: int | None = None
    agent_type: str | None = None
    timezone: str | None = None
    hidden: bool | None = None


class UpdateAgent(msgspec.Struct, kw_only=True):
    """What is left out, or null, stays as it is."""

    name: str | None = None
    model: str | None = None
    llm_config: dict[str, Any] | None = None
    system: str | None = None
    tags: list[str] | None = None
    description: str | None = None
    metadata: dict[str, Any] | None = None
    model_settings: dict[str, Any] | None = None
    context_window_limit: int | None = None
    timezone: str | None = None
    hidden: bool | None = None


class CreateConversation(msgspec.Struct, kw_only=True):
    summary: str | None = None
    description: str | None = None
    model: str | None = None
    model_settings: dict[str, Any] | None = None
    context_window_limit: int | None = None
    hidden: bool | None = None


class UpdateConversation(msgspec.Struct, kw_only=True):
    summary: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    model: str | UnsetType | None = UNSET
    model_settings: dict[str, Any] | UnsetType | None = UNSET
    context_window_limit: int | UnsetType | None = UNSET
    archived: bool | UnsetType | None = UNSET
    hidden: bool | UnsetType | None = UNSET


BODIES = (
    SendMessages, SendAsync, SendToConversation, CancelRuns, ResumeStream, CreateAgent, UpdateAgent,
    CreateConversation, UpdateConversation,
)  # fmt: skip

SEND = Decoder(SendMessages)
SEND_ASYNC = Decoder(SendAsync)
SEND_TO_CONVERSATION = Decoder(SendToConversation)
CANCEL = Decoder(CancelRuns)
RESUME = Decoder(ResumeStream)
CREATE_AGENT = Decoder(CreateAgent)
UPDATE_AGENT = Decoder(UpdateAgent)
CREATE_CONVERSATION = Decoder(CreateConversation)
UPDATE_CONVERSATION = Decoder(UpdateConversation)


def parse(body: bytes, decoder: Decoder[T], *, may_be_missing: bool = False) -> T:
    """The body as what `decoder` reads. Raises `Faulty`; `InvalidJson` for what cannot be stored."""
    if may_be_missing and body.strip() in (b"", b"null"):
        body = b"{}"
    try:
        json_gate.check(msgspec.json.decode(body))
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Faulty([_fault(str(error))]) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        fault = {"type": "json_invalid", "loc": ("body", 0), "msg": "JSON decode error", "input": {}}
        raise Faulty([{**fault, "ctx": {"error": str(error)}}]) from error
    except RecursionError as error:
        fault = {"type": "json_invalid", "loc": ("body", 0), "msg": "nested too deep", "input": {}}
        raise Faulty([fault]) from error


def _fault(sentence: str) -> dict[str, Any]:
    """msgspec's sentence as one of FastAPI's faults."""
    fault, _, path = sentence.rstrip("`").partition(" - at `")
    where = path.removeprefix("$").replace("[", ".").replace("]", "").strip(".")
    loc = tuple(int(part) if part.isdigit() else part for part in where.split(".") if part)
    kind = "missing" if "missing required field" in fault else "value_error"
    return {"type": kind, "loc": ("body", *loc), "msg": fault}
