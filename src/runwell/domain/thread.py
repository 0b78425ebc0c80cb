"""A thread: the messages that several runs share, in order."""

from enum import StrEnum

import msgspec

from runwell.domain.instant import Instant
from runwell.domain.json_gate import EMPTY, Json


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    TOOL = "tool"


class IfBusy(StrEnum):
    """What a submit into a thread does when a live run (queued, running, waiting) is there."""

    REFUSE = "refuse"
    """`ThreadBusy`; nothing is written."""
    QUEUE = "queue"
    """Starts when every earlier run of the thread is final."""
    TOGETHER = "together"
    """Starts at once."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `position` counts from 1 in its thread; `run_id` is the run that brought it."""

    position: int
    role: Role
    content: Json
    at: Instant
    run_id: str | None = None


class Thread(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    owner: str
    created_at: Instant
    updated_at: Instant
    title: str | None = None
    metadata: Json = EMPTY
    messages: int = 0


def seen_by(
    messages: list[Message], own: Message, *, in_order: bool, started_at: Instant | None
) -> list[Message]:
    """What a run's agent sees of its thread: what came before `own`, its input, which is last.

    A run that waited its turn also sees the answers that earlier runs gave after its input came,
    but not the inputs of those that wait behind it. A retry sees what the original saw: `own` is the
    original's input, and what came after `started_at`, the original's first start, is left out.
    """
    before = [m for m in messages if m.position < own.position]
    if not in_order:
        return [*before, own]
    answers = [
        m for m in messages
        if m.position > own.position and m.role is not Role.USER
        and m.run_id != own.run_id and (started_at is None or m.at <= started_at)
    ]  # fmt: skip
    return [*before, *answers, own]
