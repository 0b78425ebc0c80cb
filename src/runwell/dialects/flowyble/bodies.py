"""What the Flowyble API sends, field by field: the source of both the bytes and their documentation.

The fields stand in the order of the original's examples. Nothing is left out when it is not known yet:
it is null, 0 or empty.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Uuid = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"}, description="UTC, whole seconds")]
Status = Literal["Pending", "Running", "Completed", "Failed", "Cancelled"]
JsonText = Annotated[str, Meta(description="A JSON document as text; empty when there is none yet")]
Count = Annotated[int, Meta(ge=0)]
Milliseconds = Annotated[int, Meta(ge=0, description="Milliseconds; 0 until it has ended")]


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it was when it was started."""

    success: Literal[True] = True
    id: Uuid
    status: Status
    message: str


class AgentRun(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: Uuid
    agent_id: Uuid
    status: Status
    user_message: str
    final_output: Annotated[str, Meta(description="The agent's answer, once Completed")] | None
    error_message: str | None
    steps_executed: Annotated[int, Meta(ge=0, description="Model requests that led to tool calls")]
    tokens_used: Annotated[int, Meta(ge=0, description="Input and output tokens")]
    actions_used: Annotated[int, Meta(ge=0, description="Tool calls")]
    credits_used: Annotated[float, Meta(ge=0)]
    created_at: Time
    started_at: Time | None
    finished_at: Time | None


class TokenUsage(msgspec.Struct, frozen=True, rename="camel"):
    input_tokens: Count
    output_tokens: Count


class Step(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A tool call, or a piece of an agent's own code. `iterationNumber` is the model request that asked
    for it, from 1; 0 is none. `reasoning` and `tokenUsage` are that request's: calls that one request
    asked for share them."""

    step_number: Annotated[int, Meta(ge=1)]
    iteration_number: Count
    tool_name: str
    input_data: JsonText
    output_data: JsonText
    reasoning: str
    token_usage: TokenUsage
    duration: Milliseconds


class AgentRunDetails(AgentRun, frozen=True, kw_only=True, rename="camel"):
    steps: list[Step]


class ToolRun(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: Uuid
    tool_id: Uuid
    status: Status
    status_int: Annotated[int, Meta(ge=0, le=4)]
    error_message: str | None
    tokens_used: Count
    actions_used: Count
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    duration: Milliseconds


class ToolResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: Uuid
    tool_id: Uuid
    tool_name: str
    status: Status
    status_int: Annotated[int, Meta(ge=0, le=4)]
    input_data: JsonText
    output_data: JsonText
    output_schema: JsonText
    error_message: str | None
    tokens_used: Count
    actions_used: Count
    duration: Milliseconds


class Fired(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a webhook has started."""

    success: Literal[True] = True
    run_id: Uuid
    type: Literal["agent", "tool"]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Every error."""

    success: Literal[False] = False
    message: str


BODIES = (Started, AgentRun, AgentRunDetails, ToolRun, ToolResult, Fired, Failure)
