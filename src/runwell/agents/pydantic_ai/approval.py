"""Tool calls that wait for a person: each is a question of the run."""

from typing import Any

from pydantic_ai.messages import ToolCallPart
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults, ToolApproved, ToolDenied

from runwell.agents.pydantic_ai.outcome import plain
from runwell.ports.agent import Context

APPROVAL_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "boolean"},
        {
            "type": "object",
            "required": ["approved"],
            "properties": {
                "approved": {"type": "boolean"},
                "message": {"type": "string", "description": "told to the model when denied"},
                "arguments": {"type": "object", "description": "to be used instead"},
            },
        },
    ]
}

_YES = frozenset({"yes", "y", "ok", "okay", "approve", "approved", "true", "allow"})


async def ask_for(context: Context, requests: DeferredToolRequests, response: str) -> DeferredToolResults:
    """Ask for each call, one at a time: a run waits for one answer, then comes here again.

    `response` tells this model response from all others of the run, as ids of calls may repeat.
    """
    results = DeferredToolResults()
    for call in requests.approvals:
        question = _question(call, "approval", requests)
        answer = await context.ask(
            question, schema=APPROVAL_SCHEMA, key=f"approve:{call.tool_call_id}:{response}"
        )
        results.approvals[call.tool_call_id] = _decision(answer)
    for call in requests.calls:
        question = _question(call, requests.kind(call.tool_call_id), requests)
        results.calls[call.tool_call_id] = await context.ask(
            question, key=f"result:{call.tool_call_id}:{response}"
        )
    return results


def _question(call: ToolCallPart, kind: str, requests: DeferredToolRequests) -> dict[str, Any]:
    question: dict[str, Any] = {
        "kind": kind,
        "tool": call.tool_name,
        "arguments": plain(call.args_as_dict()),
        "call_id": call.tool_call_id,
    }
    if metadata := requests.metadata.get(call.tool_call_id):
        question["metadata"] = plain(metadata)
    return question


def _decision(answer: Any) -> ToolApproved | ToolDenied:
    """A boolean, the object of the schema, or a person's word; any other word denies and is the reason."""
    match answer:
        case True | {"approved": True}:
            arguments = answer.get("arguments") if isinstance(answer, dict) else None
            return ToolApproved(override_args=arguments)
        case str() if answer.strip().lower().rstrip(".!") in _YES:
            return ToolApproved()
        case str() if answer.strip():
            return ToolDenied(f"The tool call was denied: {answer}")
        case {"message": str(message)} if message:
            return ToolDenied(f"The tool call was denied: {message}")
        case _:
            return ToolDenied()
