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
