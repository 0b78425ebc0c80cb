"""What was said in a run, as Letta tells it: a pure fold over the log.

The fold tells of each change as it happens, for streams, and keeps what stands, for lists. Ids are made
of the number of the event that opens a message, so they are the same whenever they are asked for.
"""

from dataclasses import dataclass
from typing import NamedTuple, assert_never

from runwell.dialects.letta import ids
from runwell.dialects.letta.origin import Origin
from runwell.dialects.letta.parts import Kind, Lane, Part, Turn, words_of
from runwell.dialects.letta.questions import asked_of
from runwell.domain.events import (
    LoggedEvent,
    MessageAdded,
    ReasoningDelta,
    RunCreated,
    RunSucceeded,
    RunWaiting,
    StepStarted,
    TextDelta,
    ToolCalled,
    ToolReturned,
    UsageCounted,
)
from runwell.domain.instant import Instant
from runwell.domain.json_gate import decode
from runwell.domain.run import NO_USAGE, Usage
from runwell.domain.step import StepKind
from runwell.domain.thread import Role


class Change(NamedTuple):
    """`delta` was added to a part that is still open, or the part is whole now."""

    part: Part
    delta: str | None
    at: Instant


@dataclass(slots=True)
class Spent:
    """`context` is what the last model request saw and said, in tokens."""

    usage: Usage = NO_USAGE
    context: int = 0


class Transcript:
    """Give it a run's log in order, from the first line, by the methods named after the events."""

    def __init__(self, run_id: str, origin: Origin | None) -> None:
        self.parts: list[Part] = []
        """What stands, in the order in which it began."""
        self.spent = Spent()
        self.steps: set[str] = set()
        """Keys of the steps that count: those of the model and of code."""
        self._run = run_id
        self._origin = origin
        self._open: dict[Lane, Part] = {}
        self._turns: dict[Lane, Turn] = {}
        self._latest: Turn | None = None
        self._tools: set[str] = set()
        self._finished: set[str] = set()
        self._step: str | None = None
        self._calls: dict[str, Part] = {}
        self._requested: set[str] = set()
        """Calls that an approval request has shown already."""

    def created(self, line: LoggedEvent, event: RunCreated) -> list[Change]:
        self._finished.update(step.key for step in event.steps)
        self._tools.update(step.key for step in event.steps if step.kind is StepKind.TOOL)
        given = self._origin.given if self._origin is not None else ()
        if event.continues is not None and given:
            return self._answered(line)
        return self._asked(line, event)

    def _answered(self, line: LoggedEvent) -> list[Change]:
        """A run that goes on from an approval begins with what the tools brought."""
        changes = []
        given = self._origin.given if self._origin is not None else ()
        for ordinal, each in enumerate(given):
            self._requested.add(each.call_id)
            if each.text is None:
                continue
            part = Part(
                Kind.RETURN, Turn(ids.spoken_id(self._run, line.seq, ordinal)), 0, line.at, fixed=True,
                texts=[each.text], call_id=each.call_id, tool=each.tool, failed=each.failed,
                otid=each.otid,
            )  # fmt: skip
            self.parts.append(part)
            changes.append(Change(part, None, line.at))
        return changes

    def _asked(self, line: LoggedEvent, event: RunCreated) -> list[Change]:
        """The messages of the request."""
        brought = self._origin.messages if self._origin is not None else ()
        if not brought and (self._origin is None or words_of(event.input)):
            part = self._whole(line, Kind.USER, words_of(event.input), None)
            part.fixed = True
            return [Change(part, None, line.at)]
        changes = []
        for ordinal, each in enumerate(brought):
            kind = {"system": Kind.SYSTEM, "assistant": Kind.ASSISTANT}.get(each.role, Kind.USER)
            part = Part(
                kind, Turn(ids.spoken_id(self._run, line.seq, ordinal)), 0, line.at, fixed=True,
                content=each.content, otid=each.otid, name=each.name, sender=each.sender_id,
            )  # fmt: skip
            self.parts.append(part)
            changes.append(Change(part, None, line.at))
        return changes

    def step_started(self, line: LoggedEvent, event: StepStarted) -> list[Change]:
        if event.kind is StepKind.TOOL:
            self._tools.add(event.key)
        else:
            self.steps.add(event.key)
            self._step = event.key
        return []

    def step_finished(self, line: LoggedEvent, key: str) -> list[Change]:
        self._finished.add(key)
        return self._close(key, line.at)

    def said(self, line: LoggedEvent, event: TextDelta | ReasoningDelta) -> list[Change]:
        if not event.text:
            return []
        kind = Kind.ASSISTANT if isinstance(event, TextDelta) else Kind.REASONING
        lane, part, changes = event.in_step, self._open.get(event.in_step), []
        if part is None or part.kind is not kind:
            changes = self._close(lane, line.at)
            part = self._begin(kind, self._turn(lane, line.seq), line, lane)
            part.streamed = True
            self._open[lane] = part
        part.texts.append(event.text)
        return [*changes, Change(part, event.text, line.at)]

    def message(self, line: LoggedEvent, event: MessageAdded) -> list[Change]:
        changes = self._close(event.in_step, line.at)
        match event.role:
            case Role.ASSISTANT:
                kind = Kind.ASSISTANT
            case Role.USER:
                kind = Kind.USER
            case Role.SYSTEM:
                kind = Kind.SYSTEM
            case Role.TOOL:
                kind = Kind.RETURN
            case _:
                assert_never(event.role)
        part = self._whole(line, kind, words_of(event.content), event.in_step)
        part.call_id = part.turn.id if kind is Kind.RETURN else ""
        return [*changes, Change(part, None, line.at)]

    def called(self, line: LoggedEvent, event: ToolCalled) -> list[Change]:
        changes = self._close_around(event.in_step, line.at)
        turn = self._turns.get(event.in_step) or self._latest or self._turn(event.in_step, line.seq)
        part = self._begin(Kind.CALL, turn, line, event.in_step, shown=event.call_id not in self._requested)
        part.call_id, part.tool = event.call_id, event.name
        part.arguments = bytes(event.arguments).decode()
        self._calls[event.call_id] = part
        if event.call_id in self._requested:
            return changes
        return [*changes, Change(part, None, line.at)]

    def returned(self, line: LoggedEvent, event: ToolReturned) -> list[Change]:
        changes = self._close_around(event.in_step, line.at)
        call = self._calls.get(event.call_id)
        part = self._whole(line, Kind.RETURN, words_of(event.result), event.in_step)
        part.call_id, part.failed = event.call_id, event.failed
        part.tool = event.name or (call.tool if call is not None else None)
        if call is not None:
            part.step = call.step
        # What is said after a result is a message of its own.
        self._turns.clear()
        self._latest = None
        return [*changes, Change(part, None, line.at)]

    def waits(self, line: LoggedEvent, event: RunWaiting) -> list[Change]:
        changes = self._close_all(line.at)
        asked = asked_of(event.question)
        part = self._whole(line, Kind.REQUEST, "", None)
        part.fixed, part.step = True, self._step_id(self._step)
        part.call_id, part.tool, part.arguments = asked.call_id, asked.tool, asked.arguments
        self._requested.add(asked.call_id)
        self._turns.clear()
        self._latest = None
        return [*changes, Change(part, None, line.at)]

    def succeeded(self, line: LoggedEvent, event: RunSucceeded) -> list[Change]:
        """An output that was not streamed is a message too."""
        changes = self._close_all(line.at)
        if decode(event.output) is None:
            return changes
        output = words_of(event.output).strip()
        said = "".join(part.text for part in self.parts if part.kind is Kind.ASSISTANT and not part.fixed)
        said = said.strip()
        if not output or (said and (said.endswith(output) or output.endswith(said))):
            return changes
        part = self._whole(line, Kind.ASSISTANT, words_of(event.output), None)
        part.step = self._step_id(self._step)
        return [*changes, Change(part, None, line.at)]

    def ended(self, line: LoggedEvent) -> list[Change]:
        """Failed or cancelled: what was said until then stands."""
        return self._close_all(line.at)

    def counted(self, event: UsageCounted) -> list[Change]:
        self.spent.usage += event.usage
        tokens = event.usage.input_tokens + event.usage.output_tokens
        self.spent.context = tokens or self.spent.context
        return []

    def restarted(self, line: LoggedEvent) -> list[Change]:
        """All that was said outside finished steps is void; what is said again is new."""
        self.parts = [part for part in self.parts if part.fixed or part.lane in self._finished]
        standing = [part for part in self._open.values() if part.lane in self._finished]
        self._open.clear()
        self._turns.clear()
        self._latest = None
        return [Change(part, None, line.at) for part in standing]

    def _turn(self, lane: Lane, seq: int) -> Turn:
        turn = self._turns.get(lane)
        if turn is None:
            turn = Turn(ids.spoken_id(self._run, seq))
            self._turns[lane] = self._latest = turn
        return turn

    def _begin(self, kind: Kind, turn: Turn, line: LoggedEvent, lane: Lane, shown: bool = True) -> Part:
        part = Part(kind, turn, turn.pieces, line.at, self._step_of(lane), lane)
        if shown:
            turn.pieces += 1
            self.parts.append(part)
        return part

    def _whole(self, line: LoggedEvent, kind: Kind, text: str, lane: Lane) -> Part:
        """A message that comes in one piece."""
        part = self._begin(kind, Turn(ids.spoken_id(self._run, line.seq)), line, lane)
        part.texts.append(text)
        return part

    def _close(self, lane: Lane, at: Instant) -> list[Change]:
        part = self._open.pop(lane, None)
        return [Change(part, None, at)] if part is not None else []

    def _close_around(self, lane: Lane, at: Instant) -> list[Change]:
        """A tool's call or result ends what was being said beside it, outside all steps, too."""
        return [*(self._close(None, at) if lane is not None else ()), *self._close(lane, at)]

    def _close_all(self, at: Instant) -> list[Change]:
        parts = sorted(self._open.values(), key=lambda part: part.turn.id)
        self._open.clear()
        return [Change(part, None, at) for part in parts]

    def _step_of(self, lane: Lane) -> str | None:
        """A tool belongs to the step that called it."""
        return self._step_id(self._step if lane in self._tools else lane)

    def _step_id(self, key: str | None) -> str | None:
        return ids.step_id(self._run, key) if key is not None else None
