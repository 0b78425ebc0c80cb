"""The messages of a chat as the AI SDK's clients keep them.

An answer is told from its run's log by the frames that were streamed, put together as the client does
it: who reloads the page sees what was there before. Only what is void is left out here, which a stream
cannot take back.
"""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from runwell.dialects.recoup.bodies import UiMessage
from runwell.dialects.recoup.frames import TurnFrames, message_id
from runwell.domain.events import LoggedEvent, OutputRestarted, Said, StepFinished
from runwell.domain.ids import derived_id, spell_uuid
from runwell.domain.json_gate import Json, decode
from runwell.domain.prompt import text_of
from runwell.domain.thread import Message, Role

Part = dict[str, Any]
_ROLES: dict[Role, Literal["user", "assistant", "system"]] = {
    Role.USER: "user",
    Role.ASSISTANT: "assistant",
    Role.SYSTEM: "system",
}
"""Tools have no messages here: their results are parts of the assistant's."""


class Assembled:
    """A message, put together frame by frame."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.metadata: dict[str, Any] = {}
        self._texts: dict[str, tuple[Part, list[str]]] = {}
        self._calls: dict[str, Part] = {}

    def add(self, chunk: dict[str, Any]) -> None:
        match chunk["type"]:
            case "start-step":
                self.parts.append({"type": "step-start"})
            case "text-start" | "reasoning-start":
                part = {"type": chunk["type"].removesuffix("-start"), "text": "", "state": "streaming"}
                self._texts[chunk["id"]] = part, []
                self.parts.append(part)
            case "text-delta" | "reasoning-delta":
                self._texts[chunk["id"]][1].append(chunk["delta"])
            case "text-end" | "reasoning-end":
                part, deltas = self._texts.pop(chunk["id"])
                part |= {"text": "".join(deltas), "state": "done"}
            case "tool-input-available":
                part = {"type": f"tool-{chunk['toolName']}", "toolCallId": chunk["toolCallId"]}
                part |= {"state": "input-available", "input": chunk["input"]}
                self._calls[chunk["toolCallId"]] = part
                self.parts.append(part)
            case "tool-output-available":
                self._calls[chunk["toolCallId"]] |= {"state": "output-available", "output": chunk["output"]}
            case "tool-output-error":
                self._calls[chunk["toolCallId"]] |= {
                    "state": "output-error", "errorText": chunk["errorText"],
                }  # fmt: skip
            case "message-metadata":
                _merge(self.metadata, chunk["messageMetadata"])
            case _:
                return  # where it begins and ends is nothing that a message keeps


def _merge(into: dict[str, Any], new: dict[str, Any]) -> None:
    """As the client does it: objects inside objects too."""
    for name, value in new.items():
        known = into.get(name)
        if isinstance(known, dict) and isinstance(value, dict):
            _merge(known, value)
        else:
            into[name] = value


def answer_of(run_id: str, log: list[LoggedEvent]) -> UiMessage | None:
    """The assistant's message of an ended run; None when it said nothing."""
    writer, assembled = TurnFrames(run_id), Assembled()
    for line in standing(log):
        for frame in writer.write(line):
            assembled.add(msgspec.json.decode(frame.removeprefix(b"data: ")))
    if all(part["type"] == "step-start" for part in assembled.parts):
        return None
    return UiMessage(
        id=message_id(run_id),
        role="assistant",
        parts=assembled.parts,
        metadata=assembled.metadata or UNSET,
    )


def standing(log: list[LoggedEvent]) -> Iterable[LoggedEvent]:
    """The log as if nothing void had ever been said."""
    if not any(line.type == OutputRestarted.type for line in log):
        return log
    finished: set[str] = set()
    kept: list[tuple[LoggedEvent, str | None, bool]] = []
    for line in log:
        event = line.event
        if isinstance(event, OutputRestarted):
            kept = [each for each in kept if not each[2] or each[1] in finished]
            continue
        if isinstance(event, StepFinished):
            finished.add(event.key)
        said = isinstance(event, Said)
        kept.append((line, event.in_step if isinstance(event, Said) else None, said))
    return [line for line, _, _ in kept]


def message_of(thread_id: str, message: Message, id: str | None = None) -> UiMessage | None:
    """A message of the thread itself. `id` is the client's; else it is the one that came with it, or made
    from its place. None for what is no message to this API."""
    role = _ROLES.get(message.role)
    if role is None:
        return None
    content = decode(message.content)
    if id is None and isinstance(content, dict) and isinstance(content.get("id"), str):
        id = content["id"]
    return UiMessage(
        id=id or spell_uuid(derived_id(thread_id, "message", message.position)),
        role=role,
        parts=[{"type": "text", "text": _text(content, message.content)}],
    )


def _text(content: Any, document: Json) -> str:
    text = text_of(content)
    return bytes(document).decode() if text is None else text
