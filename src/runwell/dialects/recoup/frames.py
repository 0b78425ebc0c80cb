"""A run as the AI SDK's UI message stream, version 1: one assistant message, frame by frame.

The client's schema is strict: a key too many, or a part that is not opened and closed in turn, fails
the whole message. So everything that can be open is kept here, and every way out closes it:

    start                               once, with the id of the message
      start-step                        for each request to a model; one for an agent that makes none
        text-… reasoning-…              a part for each stretch of one kind in one step of the run
        tool-input-available tool-output-…
      finish-step, message-metadata     when the next one begins, or the turn ends
    error                               when the run failed
    finish                              once, bare

A frame's number is its place in this list; that is the cursor `startIndex` of this API.
"""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from runwell.dialects.recoup.spent import Spent
from runwell.dialects.recoup.spoken import Spoken
from runwell.dialects.recoup.tools import Tools
from runwell.domain.events import (
    AttemptFailed,
    AttemptHandedBack,
    AttemptLost,
    AttemptStarted,
    LoggedEvent,
    MessageAdded,
    OutputRestarted,
    ProgressNoted,
    ReasoningDelta,
    RunCancelled,
    RunCancelRequested,
    RunCreated,
    RunFailed,
    RunResumed,
    RunSucceeded,
    RunWaiting,
    StepFailed,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCalled,
    ToolReturned,
    UsageCounted,
)
from runwell.domain.ids import derived_id, spell_uuid
from runwell.domain.json_gate import EMPTY, Json, decode
from runwell.domain.prompt import text_of
from runwell.domain.step import StepKind
from runwell.domain.thread import Role
from runwell.stream.frames import FrameWriter

DONE = b"data: [DONE]\n\n"
"""Ends the stream; no frame, and not counted."""
FINISH = b'data: {"type":"finish"}\n\n'
CANCELLED = "Cancelled"
STARTED_AGAIN = "Started again"
UNKNOWN_ERROR = "An error occurred."

Kind = Literal["text", "reasoning"]
_ENCODE = msgspec.json.Encoder().encode


def frame(type: str, **fields: Any) -> bytes:
    body = _ENCODE({"type": type, **fields})
    if b"\n" in body or b"\r" in body:
        # Documents are spliced as they were kept, and between their tokens there may be new lines.
        body = _ENCODE(msgspec.json.decode(body))
    return b"data: %b\n\n" % body


def message_id(run_id: str) -> str:
    """The id of the assistant message that is the run's answer."""
    return spell_uuid(derived_id(run_id, "message"))


class TurnFrames(FrameWriter):
    """What a failed or repeated attempt does is silent: an agent that says the same again is one
    unbroken message."""

    SILENT = frozenset(
        {
            AttemptStarted, AttemptFailed, AttemptLost, AttemptHandedBack,
            RunWaiting, RunResumed, RunCancelRequested, StepFailed, ProgressNoted,
        }
    )  # fmt: skip

    def __init__(self, run_id: str) -> None:
        self.ended = False
        self._run_id = run_id
        self._seq = 0
        self._nth = 0
        self._in_step = False
        self._asked: set[str] = set()
        """Requests to a model that began and have not finished, by the key of their step."""
        self._finished: set[str] = set()
        self._parts: dict[str | None, tuple[Kind, str]] = {}
        """The open part of each step of the run, and of what is said outside of steps (None)."""
        self._tools = Tools()
        self._spoken = Spoken()
        self._spent = Spent()

    def write(self, line: LoggedEvent) -> Iterable[bytes]:
        self._seq, self._nth = line.seq, 0
        return super().write(line)

    def give_up(self) -> list[bytes]:
        """The way out when the log is gone in the middle: the run was deleted while it was watched."""
        return self._end()

    def run_created(self, line: LoggedEvent, event: RunCreated) -> list[bytes]:
        told = [frame("start", messageId=message_id(self._run_id))]
        for step in event.steps:
            # What an earlier run said in steps that this one need not repeat is a part of its answer.
            self._finished.add(step.key)
            if step.kind is StepKind.MODEL:
                told += self._next_step()
            if step.text:
                told += [*self._say("text", step.key, step.text), *self._close(step.key)]
        return told

    def step_started(self, line: LoggedEvent, event: StepStarted) -> list[bytes]:
        # A later attempt begins it again, and goes on in the middle of what was said.
        if event.kind is not StepKind.MODEL or event.key in self._asked:
            return []
        self._asked.add(event.key)
        return self._next_step()

    def step_finished(self, line: LoggedEvent, event: StepFinished) -> list[bytes]:
        self._asked.discard(event.key)
        self._finished.add(event.key)
        return self._close(event.key)

    def output_text_delta(self, line: LoggedEvent, event: TextDelta) -> list[bytes]:
        return self._say("text", event.in_step, event.text)

    def output_reasoning_delta(self, line: LoggedEvent, event: ReasoningDelta) -> list[bytes]:
        return self._say("reasoning", event.in_step, event.text)

    def output_message_added(self, line: LoggedEvent, event: MessageAdded) -> list[bytes]:
        """A message of the assistant is a part of its own; others are not the assistant's to say."""
        if event.role is not Role.ASSISTANT:
            return []
        text = text_of(decode(event.content))
        return self._whole(event.in_step, bytes(event.content).decode() if text is None else text)

    def output_tool_called(self, line: LoggedEvent, event: ToolCalled) -> list[bytes]:
        return self._call(event.in_step, event.call_id, event.name, event.arguments)[1]

    def output_tool_returned(self, line: LoggedEvent, event: ToolReturned) -> list[bytes]:
        told: list[bytes] = []
        wire_id = self._tools.answer(event.in_step, event.call_id)
        if wire_id is None:
            # The client takes no output of a call that it has not seen.
            wire_id, told = self._call(event.in_step, event.call_id, event.name, EMPTY)
            self._tools.answer(event.in_step, event.call_id)
        if event.failed:
            value = decode(event.result)
            text = value if isinstance(value, str) else bytes(event.result).decode()
            return [*told, frame("tool-output-error", toolCallId=wire_id, errorText=text)]
        return [*told, frame("tool-output-available", toolCallId=wire_id, output=event.result)]

    def output_usage_counted(self, line: LoggedEvent, event: UsageCounted) -> list[bytes]:
        self._spent.add(event.usage, event.model)
        return []

    def output_restarted(self, line: LoggedEvent, event: OutputRestarted) -> list[bytes]:
        """What was said cannot be unsaid here; it is ended, and what comes now is in parts of its own."""
        self._spoken.void(self._finished)
        told = self._close_all()
        return told + self._give_up_tools(self._tools.take_open(self._finished), STARTED_AGAIN)

    def run_succeeded(self, line: LoggedEvent, event: RunSucceeded) -> list[bytes]:
        unsaid = self._spoken.unsaid(event.output)
        told = self._whole(None, unsaid) if unsaid is not None else []
        return told + self._end()

    def run_failed(self, line: LoggedEvent, event: RunFailed) -> list[bytes]:
        return self._end(frame("error", errorText=event.error.message or UNKNOWN_ERROR))

    def run_cancelled(self, line: LoggedEvent, event: RunCancelled) -> list[bytes]:
        return self._end()

    def _say(self, kind: Kind, step: str | None, text: str) -> list[bytes]:
        if not text:
            return []
        if kind == "text":
            self._spoken.say(step, text)
        told = self._open_step()
        part = self._parts.get(step)
        if part is None or part[0] != kind:
            told += self._close(step)
            if step is not None:
                # The agent itself paused to do this step; what it says after it comes after it.
                told += self._close(None)
            part = self._parts[step] = kind, self._part_id()
            told.append(frame(f"{kind}-start", id=part[1]))
        told.append(frame(f"{kind}-delta", id=part[1], delta=text))
        return told

    def _whole(self, step: str | None, text: str) -> list[bytes]:
        """A part that is all there at once."""
        return [*self._close(step), *self._say("text", step, text), *self._close(step)]

    def _call(self, step: str | None, call_id: str, name: str, arguments: Json) -> tuple[str, list[bytes]]:
        wire_id = self._tools.call(step, call_id)
        told = [*self._open_step(), *self._close(step), *self._close(None)]
        told.append(
            frame("tool-input-available", toolCallId=wire_id, toolName=name or "tool", input=arguments)
        )
        return wire_id, told

    def _part_id(self) -> str:
        self._nth += 1
        return derived_id(self._run_id, self._seq, self._nth)

    def _close(self, step: str | None) -> list[bytes]:
        part = self._parts.pop(step, None)
        return [] if part is None else [frame(f"{part[0]}-end", id=part[1])]

    def _close_all(self) -> list[bytes]:
        return [told for step in list(self._parts) for told in self._close(step)]

    def _open_step(self) -> list[bytes]:
        """Everything is said inside a step, also by agents that ask no model."""
        return [] if self._in_step else self._next_step()

    def _next_step(self) -> list[bytes]:
        # What was used before the first step is told at the end of it.
        told = self._finish_step() if self._in_step else []
        self._in_step = True
        return [*told, frame("start-step")]

    def _finish_step(self) -> list[bytes]:
        told = self._close_all()
        if self._in_step:
            self._in_step = False
            told.append(frame("finish-step"))
        metadata = self._spent.of_step()
        if metadata is not None:
            told.append(frame("message-metadata", messageMetadata=metadata))
        return told

    def _give_up_tools(self, wire_ids: list[str], why: str) -> list[bytes]:
        return [frame("tool-output-error", toolCallId=wire_id, errorText=why) for wire_id in wire_ids]

    def _end(self, *last: bytes) -> list[bytes]:
        self.ended = True
        told = [*self._close_all(), *self._give_up_tools(self._tools.take_open(), CANCELLED)]
        return [*told, *self._finish_step(), *last, FINISH]
