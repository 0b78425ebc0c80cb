"""The answer to a message as server-sent events: a pure fold over the log of its run.

    docs   start, content … tool_call tool_result …, end or error
    app    user_message, token …, complete or error

What was said cannot be unsaid. In the documented form a `start` with the same id begins the message
anew, and what still stands is said again; in the other, `complete` holds all of it.
"""

from abc import ABC, abstractmethod
from typing import Any

from runwell.dialects.hardwire.messages import MessageView, asked, ending
from runwell.dialects.hardwire.run_frames import frame
from runwell.dialects.hardwire.words import CANCELLED, DELETED, answer_id, text_of_output, time_word
from runwell.domain.events import (
    AttemptFailed,
    AttemptHandedBack,
    AttemptLost,
    AttemptStarted,
    Event,
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
from runwell.domain.ids import spell_uuid
from runwell.domain.run import RunStatus
from runwell.stream.frames import FrameWriter

_SILENT: frozenset[type[Event]] = frozenset(
    {
        AttemptStarted, AttemptFailed, AttemptLost, AttemptHandedBack, RunWaiting, RunResumed,
        RunCancelRequested, StepStarted, StepFailed, ReasoningDelta, MessageAdded, ProgressNoted,
        UsageCounted,
    }
)  # fmt: skip


class Spoken:
    """The text that stands, piece by piece, each with the step it was said in."""

    def __init__(self) -> None:
        self._pieces: list[tuple[str | None, str]] = []
        self._finished: set[str] = set()

    @property
    def text(self) -> str:
        return "".join(text for _, text in self._pieces)

    def say(self, step: str | None, text: str) -> None:
        self._pieces.append((step, text))

    def finish(self, step: str) -> None:
        self._finished.add(step)

    def restart(self) -> None:
        """Forget what was said outside finished steps."""
        self._pieces = [piece for piece in self._pieces if piece[0] in self._finished]

    def unsaid(self, output: str) -> str:
        """The output, unless it was said; agents may stream, return, or both."""
        wanted = output.strip()
        return "" if not wanted or self.text.rstrip().endswith(wanted) else output


class _MessageFrames(FrameWriter, ABC):
    """What both forms share. `workflow`: what is said within its steps is not the answer."""

    SILENT = _SILENT

    def __init__(self, run_id: str, chat: str, *, workflow: bool) -> None:
        self.ended = False
        self._run = run_id
        self._chat = chat
        self._workflow = workflow
        self._spoken = Spoken()

    def give_up(self) -> list[bytes]:
        """The way out when the log is gone in the middle: the run was deleted while it was watched."""
        self.ended = True
        return [self._error(DELETED)]

    def run_created(self, line: LoggedEvent, event: RunCreated) -> list[bytes]:
        told = self._start(asked(self._run, self._chat, event.input, line.at))
        for step in event.steps:
            self._spoken.finish(step.key)
            told += self._say(step.key, step.text)
        return told

    def step_finished(self, line: LoggedEvent, event: StepFinished) -> list[bytes]:
        self._spoken.finish(event.key)
        return []

    def output_text_delta(self, line: LoggedEvent, event: TextDelta) -> list[bytes]:
        return self._say(event.in_step, event.text)

    def output_tool_called(self, line: LoggedEvent, event: ToolCalled) -> list[bytes]:
        return []

    def output_tool_returned(self, line: LoggedEvent, event: ToolReturned) -> list[bytes]:
        return []

    def output_restarted(self, line: LoggedEvent, event: OutputRestarted) -> list[bytes]:
        self._spoken.restart()
        return self._again()

    def run_succeeded(self, line: LoggedEvent, event: RunSucceeded) -> list[bytes]:
        self.ended = True
        unsaid = self._spoken.unsaid(text_of_output(event.output))
        told = [self._delta(unsaid)] if unsaid else []
        answer = ending(
            self._run, self._chat, RunStatus.SUCCEEDED, event.output, None, line.at, workflow=self._workflow
        )
        return [*told, self._end(answer)]

    def run_failed(self, line: LoggedEvent, event: RunFailed) -> list[bytes]:
        self.ended = True
        return [self._error(event.error.message)]

    def run_cancelled(self, line: LoggedEvent, event: RunCancelled) -> list[bytes]:
        self.ended = True
        return [self._error(CANCELLED)]

    def _say(self, step: str | None, text: str) -> list[bytes]:
        if not text or self._workflow:
            return []
        self._spoken.say(step, text)
        return [self._delta(text)]

    @abstractmethod
    def _start(self, question: MessageView) -> list[bytes]: ...

    @abstractmethod
    def _again(self) -> list[bytes]: ...

    @abstractmethod
    def _delta(self, text: str) -> bytes: ...

    @abstractmethod
    def _end(self, answer: MessageView) -> bytes: ...

    @abstractmethod
    def _error(self, text: str) -> bytes: ...


class DocsMessageFrames(_MessageFrames):
    def __init__(self, run_id: str, chat: str, *, workflow: bool) -> None:
        super().__init__(run_id, chat, workflow=workflow)
        self._id = answer_id(run_id)
        self._tools: dict[str, str] = {}
        """Names of tools by their calls."""

    def output_tool_called(self, line: LoggedEvent, event: ToolCalled) -> list[bytes]:
        self._tools[event.call_id] = event.name
        return [frame("tool_call", toolName=event.name, toolArgs=event.arguments)]

    def output_tool_returned(self, line: LoggedEvent, event: ToolReturned) -> list[bytes]:
        name = event.name or self._tools.get(event.call_id, "")
        return [frame("tool_result", toolName=name, result=event.result)]

    def _start(self, question: MessageView) -> list[bytes]:
        return [frame("start", messageId=self._id)]

    def _again(self) -> list[bytes]:
        stands = self._spoken.text
        return [frame("start", messageId=self._id), *([self._delta(stands)] if stands else [])]

    def _delta(self, text: str) -> bytes:
        return frame("content", delta=text)

    def _end(self, answer: MessageView) -> bytes:
        return frame("end", messageId=self._id)

    def _error(self, text: str) -> bytes:
        return frame("error", error="Internal Server Error", message=text)


class AppMessageFrames(_MessageFrames):
    def _start(self, question: MessageView) -> list[bytes]:
        return [frame("user_message", message=app_message(question))]

    def _again(self) -> list[bytes]:
        return []

    def _delta(self, text: str) -> bytes:
        return frame("token", token=text)

    def _end(self, answer: MessageView) -> bytes:
        message = {**app_message(answer), "sources": []}
        return frame("complete", message=message, chatId=spell_uuid(self._chat))

    def _error(self, text: str) -> bytes:
        error = {"message": "Streaming failed", "code": "STREAMING_ERROR"}
        return frame("error", error=error, chatId=spell_uuid(self._chat))


def app_message(message: MessageView) -> dict[str, Any]:
    return {
        "id": message.id,
        "role": message.role,
        "content": message.content,
        "createdAt": time_word(message.at),
    }
