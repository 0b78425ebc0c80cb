"""The pieces that a run's messages are made of."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from runwell.domain.instant import Instant
from runwell.domain.json_gate import Json, decode
from runwell.domain.prompt import text_of

Lane = str | None
"""Where something is said: a step's key, or None outside all steps."""


class Kind(StrEnum):
    """The value is Letta's `message_type`."""

    USER = "user_message"
    SYSTEM = "system_message"
    ASSISTANT = "assistant_message"
    REASONING = "reasoning_message"
    CALL = "tool_call_message"
    RETURN = "tool_return_message"
    REQUEST = "approval_request_message"


TEXTS: Final = frozenset({Kind.ASSISTANT, Kind.REASONING})
"""Kinds that are said bit by bit."""


@dataclass(slots=True)
class Turn:
    """One message of Letta's store: what the agent said in one go, in one piece or several.

    `id` is bare. `pieces` counts them, for their otids.
    """

    id: str
    pieces: int = 0


@dataclass(slots=True)
class Part:
    """One piece. `step` is a spelled step id; `fixed`: no restart of the run's output makes it void."""

    kind: Kind
    turn: Turn
    index: int
    at: Instant
    step: str | None = None
    lane: Lane = None
    fixed: bool = False
    streamed: bool = False
    """Its text came bit by bit."""
    texts: list[str] = field(default_factory=list)
    content: Any = None
    """Of a user's message: its parts, where it is more than text."""
    call_id: str = ""
    tool: str | None = None
    arguments: str = ""
    failed: bool = False
    otid: str | None = None
    """The client's own."""
    name: str | None = None
    sender: str | None = None

    @property
    def text(self) -> str:
        return "".join(self.texts)


def words_of(document: Json) -> str:
    """A JSON value as the text of a message: the text in it, else the JSON itself."""
    value = decode(document)
    if value is None:
        return ""
    text = text_of(value)
    return text if text is not None else bytes(document).decode()
