"""Parameters that several endpoints share."""

from typing import Annotated, Literal

from fastapi import Path, Query

from runwell.dialects.letta import ids
from runwell.dialects.letta.errors import EXAMPLES, not_found
from runwell.dialects.letta.ids import StepNotFound
from runwell.dialects.letta.paging import Page, page_of
from runwell.dialects.letta.requests import MessageType

RunId = Annotated[str, Path(examples=["run-123e4567-e89b-42d3-8456-426614174000"])]
AgentId = Annotated[str, Path(examples=[EXAMPLES["agent_id"]])]
StepId = Annotated[str, Path(examples=[EXAMPLES["step_id"]])]
ConversationId = Annotated[str, Path(description="`conv-…`, `default`, or an agent's id")]
Limit = Annotated[int | None, Query(ge=1, description="Pages are cut at 1000")]
Order = Literal["asc", "desc"]
OrderBy = Literal["created_at"]
Cursor = Annotated[str | None, Query(description="An id; relative to the order asked for, exclusive")]
Types = Annotated[list[MessageType] | None, Query(description="Types of messages to show")]


def message_page(order: str, limit: int | None, before: str | None, after: str | None) -> Page:
    """Raises a refusal (404) for a cursor that is no message's id."""
    return page_of(order, limit, _message(before), _message(after))


def step_page(order: str, limit: int | None, before: str | None, after: str | None) -> Page:
    """Raises `StepNotFound` for a cursor that is no step's id."""
    return page_of(order, limit, _step(before), _step(after))


def _message(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    id = ids.read(cursor)
    if id is None:
        raise not_found(f"No message found with id '{cursor[:80]}' for agent 'None'.")
    return id


def _step(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    id = ids.read(cursor)
    if id is None:
        raise StepNotFound(cursor)
    return id
