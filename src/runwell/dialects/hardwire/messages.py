"""What was said in a chat: the messages of its thread, and how those runs ended that left none there."""

from collections.abc import Iterable
from typing import NamedTuple, assert_never

from runwell.dialects.hardwire.words import (
    CANCELLED,
    WORKFLOW_FAILED,
    Role,
    answer_id,
    placed_id,
    question_id,
    text_of_output,
)
from runwell.domain.instant import Instant
from runwell.domain.json_gate import Json, decode
from runwell.domain.prompt import text_of
from runwell.domain.run import Reason, Run, RunStatus
from runwell.domain.thread import Message
from runwell.domain.thread import Role as Kept


class MessageView(NamedTuple):
    """A message. `role` is user, assistant or system; `chat` is an id as kept."""

    id: str
    chat: str
    role: Role
    content: str
    at: Instant


def history(
    chat: str, messages: Iterable[Message], runs: Iterable[Run], workflows: frozenset[str]
) -> list[MessageView]:
    """Oldest first. `workflows` are the ids of those runs that are a workflow's.

    A run that failed or was cancelled is told by a message of the system, when it ended.
    """
    told: list[tuple[Instant, int, MessageView]] = []
    answered: set[str | None] = set()
    latest = 0
    for message in messages:
        if message.role is Kept.TOOL:
            continue
        if message.role is Kept.ASSISTANT:
            answered.add(message.run_id)
        # Positions are the order, also when the clock was set back.
        latest = max(latest, message.at)
        told.append((latest, message.position, _of_thread(chat, message)))
    for run in runs:
        if run.id not in answered and (ending := ending_of(run, chat, run.id in workflows)) is not None:
            told.append((ending.at, _AFTER, ending))
    return [view for _, _, view in sorted(told, key=lambda each: each[:2])]


_AFTER = 2**62
"""Behind every position."""


def ending_of(run: Run, chat: str, workflow: bool) -> MessageView | None:
    """The message that a run ends with; None while it has not, and for one that another goes on from."""
    if run.finished_at is None or run.reason == Reason.CONTINUED:
        return None
    error = run.error.message if run.error is not None else None
    return ending(run.id, chat, run.status, run.output, error, run.finished_at, workflow=workflow)


def ending(
    run_id: str,
    chat: str,
    status: RunStatus,
    output: Json | None,
    error: str | None,
    at: Instant,
    *,
    workflow: bool,
) -> MessageView:
    """The same from single facts, for a fold."""
    role: Role = "system"
    content = CANCELLED
    if status is RunStatus.SUCCEEDED:
        role, content = "assistant", text_of_output(output)
    elif status is RunStatus.FAILED:
        content = WORKFLOW_FAILED if workflow else f"The run failed: {error}"
    return MessageView(answer_id(run_id), chat, role, content, at)


def asked(run_id: str, chat: str, content: Json, at: Instant) -> MessageView:
    """The user's message behind a run."""
    return MessageView(question_id(run_id), chat, "user", _text(content), at)


def _of_thread(chat: str, message: Message) -> MessageView:
    id, role = placed_id(chat, message.position), _role(message.role)
    if message.run_id is not None and role != "system":
        id = question_id(message.run_id) if role == "user" else answer_id(message.run_id)
    return MessageView(id, chat, role, _text(message.content), message.at)


def _role(role: Kept) -> Role:
    match role:
        case Kept.USER:
            return "user"
        case Kept.ASSISTANT:
            return "assistant"
        case Kept.SYSTEM | Kept.TOOL:
            return "system"
    assert_never(role)


def _text(content: Json) -> str:
    text = text_of(decode(content))
    return bytes(content).decode() if text is None else text
