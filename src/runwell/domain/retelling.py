"""A later attempt tells its story again; only what is new is written.

An attempt after a crash or an answer starts the agent from the top, so a deterministic agent says
again what the log already holds. `Retelling` compares: while it is the same, nothing is written, and
whoever watches sees one unbroken stream. At the first difference the log gets `output.restarted`,
what still stands is said again below it, and comparing is over.

Each step is compared by itself, because concurrent steps interleave differently each time. Text is
compared character by character: where one delta ends and the next begins is chance.
"""

from collections import deque

from msgspec.structs import replace

from runwell.domain.events import Event, OutputRestarted, ReasoningDelta, Said, TextDelta
from runwell.domain.memory import Memory


class Retelling:
    """The comparison of one attempt with the log before it. Not thread-safe; no I/O."""

    def __init__(self, memory: Memory, attempt: int) -> None:
        self._attempt = attempt
        self._expected = {step: _Lane(said) for step, said in memory.said.items() if said}
        self._standing: list[Said] = []
        self._finished = set(memory.values)
        self._text = list(memory.text)

    @property
    def comparing(self) -> bool:
        """Whether the log still holds something this attempt has not said."""
        return bool(self._expected)

    def tell(self, event: Said) -> tuple[Event, ...]:
        """What to write for `event`: nothing, the new part of it, or a restart."""
        if not self._expected:
            self._note(event)
            return (event,)
        rest = self._match(event)
        if rest is _DIFFERENT:
            return (*self._restart(), *self._new(event))
        self._standing.append(event)
        if isinstance(rest, TextDelta | ReasoningDelta) or rest is event:
            self._note(rest)
            return (rest,)
        return ()

    def finish_step(self, key: str) -> tuple[Event, ...]:
        """What to write before `step.finished`: from then on, what was said in the step stands."""
        restart = self._restart() if key in self._expected else ()
        self._finished.add(key)
        return restart

    def end(self) -> tuple[Event, ...]:
        """What to write before the run succeeds: a restart if the log holds more than was said."""
        return self._restart() if self._expected else ()

    def text(self) -> str:
        """All standing text, in order: the output of an agent that only streams."""
        return "".join(text for _, text in self._text)

    def _note(self, event: Said) -> None:
        if isinstance(event, TextDelta):
            self._text.append((event.in_step, event.text))

    def _new(self, event: Said) -> tuple[Event, ...]:
        self._note(event)
        return (event,)

    def _restart(self) -> tuple[Event, ...]:
        # What was said in a finished step is not void, so it is not said again.
        standing = [event for event in self._standing if event.in_step not in self._finished]
        self._standing = []
        self._expected.clear()
        self._text = [(step, text) for step, text in self._text if step in self._finished]
        for event in standing:
            self._note(event)
        return (OutputRestarted(attempt=self._attempt), *standing)

    def _match(self, event: Said) -> Said | object:
        """None when the log holds `event`, the new part of it, or `_DIFFERENT`."""
        lane = self._expected.get(event.in_step)
        if lane is None:
            return event
        rest = lane.take(event)
        if not lane.left:
            del self._expected[event.in_step]
            if not self._expected and rest is not _DIFFERENT:
                self._standing_done()
        return rest

    def _standing_done(self) -> None:
        """All of the log has been said again: no difference can come any more."""
        self._standing = []


_DIFFERENT = object()


class _Lane:
    """What the log holds of one step, from the first character that has not been said again.

    Positions are counted instead of cutting what is left each time: a long text told again in small
    pieces would be copied once per piece.
    """

    def __init__(self, said: list[Said]) -> None:
        self.left = deque(said)
        self._at = 0

    def take(self, event: Said) -> Said | object | None:
        """None when the log holds `event`, the new part of it, or `_DIFFERENT`."""
        if isinstance(event, TextDelta | ReasoningDelta):
            return self._take_text(event)
        if self._at or self.left[0] != event:
            return _DIFFERENT
        self.left.popleft()
        return None

    def _take_text(self, event: TextDelta | ReasoningDelta) -> Said | object | None:
        start, end = 0, len(event.text)
        while start < end and self.left:
            head = self.left[0]
            if type(head) is not type(event) or not isinstance(head, TextDelta | ReasoningDelta):
                return _DIFFERENT
            size = min(end - start, len(head.text) - self._at)
            if event.text[start : start + size] != head.text[self._at : self._at + size]:
                return _DIFFERENT
            start += size
            self._at += size
            if self._at == len(head.text):
                self.left.popleft()
                self._at = 0
        return replace(event, text=event.text[start:]) if start < end else None
