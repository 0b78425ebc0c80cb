"""How a run was sent: what this dialect keeps with a run of its own, to show it again."""

from typing import Any

import msgspec

from runwell.dialects.letta import ids
from runwell.domain import json_gate
from runwell.domain.json_gate import Json
from runwell.domain.run import Run

SOURCE = "letta"
BACKGROUND, FOREGROUND = "letta.background", "letta.foreground"
"""Labels of runs: lists are asked for the ones or the others."""


class RequestConfig(msgspec.Struct, frozen=True):
    """As the run shows it. The first three are deprecated by Letta and change nothing here."""

    use_assistant_message: bool = True
    assistant_message_tool_name: str = "send_message"
    assistant_message_tool_kwarg: str = "message"
    include_return_message_types: list[str] | None = None


class Brought(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message of the request, as it is shown again. `content` is a string or Letta's parts."""

    role: str
    content: Any
    otid: str | None = None
    name: str | None = None
    sender_id: str | None = None


class Given(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer to the run that this one goes on from. `text` is what the tool brought, or why it was
    not called; None when the tool is to be called by the agent."""

    call_id: str
    tool: str
    text: str | None = None
    failed: bool = False
    otid: str | None = None


class Origin(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`agent_id` is bare. `tokens` and `pings` are how its stream was asked for: they number its frames."""

    agent_id: str
    run_type: str
    background: bool = False
    conversation: bool = False
    tokens: bool = False
    pings: bool = True
    config: RequestConfig = RequestConfig()
    messages: tuple[Brought, ...] = ()
    given: tuple[Given, ...] = ()

    @property
    def shown(self) -> frozenset[str] | None:
        """The types of messages that the request wants to see; None for all."""
        types = self.config.include_return_message_types
        return frozenset(types) if types is not None else None

    @property
    def label(self) -> str:
        return BACKGROUND if self.background else FOREGROUND

    def document(self) -> Json:
        return json_gate.encode(msgspec.to_builtins(self))


_ORIGIN = msgspec.json.Decoder(Origin)


def origin_of(run: Run) -> Origin | None:
    """None for a run that was submitted through another API."""
    return _ORIGIN.decode(run.extra) if run.source == SOURCE else None


def conversation_of(run: Run, origin: Origin | None) -> str | None:
    """The spelled id of the run's conversation; None outside all conversations of this dialect."""
    if origin is None or not origin.conversation or run.thread_id is None:
        return None
    return ids.conversation_id(run.thread_id)
