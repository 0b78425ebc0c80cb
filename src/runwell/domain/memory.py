"""What an earlier attempt leaves to the next one, folded from the log."""

from collections.abc import Iterable

import msgspec

from runwell.domain.events import (
    LoggedEvent,
    OutputRestarted,
    ReasoningDelta,
    RunCreated,
    RunResumed,
    Said,
    StepFinished,
    TextDelta,
)
from runwell.domain.json_gate import Json


class Memory(msgspec.Struct):
    """Finished steps and given answers by key, and what has been said so far.

    `said` holds, by the step it was said in (None: outside), what a later attempt is compared with:
    everything outside finished steps that was not voided by a restart. `text` is all standing text
    in order, each piece with its step.
    """

    values: dict[str, Json] = msgspec.field(default_factory=dict)
    answers: dict[str, Json] = msgspec.field(default_factory=dict)
    said: dict[str | None, list[Said]] = msgspec.field(default_factory=dict)
    text: list[tuple[str | None, str]] = msgspec.field(default_factory=list)

    def add(self, log: Iterable[LoggedEvent]) -> None:
        """Fold in the next lines of the log."""
        for line in log:
            event = line.event
            if isinstance(event, RunCreated):
                self.values.update({step.key: step.output for step in event.steps})
                self.text.extend((step.key, step.text) for step in event.steps if step.text)
                self.answers.update(event.answers)
            elif isinstance(event, RunResumed):
                self.answers[event.key] = event.answer
            elif isinstance(event, StepFinished):
                self.values[event.key] = event.output
                self.said.pop(event.key, None)
            elif isinstance(event, OutputRestarted):
                self.said.clear()
                self.text = [(step, text) for step, text in self.text if step in self.values]
            elif isinstance(event, TextDelta | ReasoningDelta) and not event.text:
                continue  # logs of older versions have some; nobody says them again
            elif isinstance(event, Said):
                self.said.setdefault(event.in_step, []).append(event)
                if isinstance(event, TextDelta):
                    self.text.append((event.in_step, event.text))


def remember(log: Iterable[LoggedEvent]) -> Memory:
    """Fold a run's log, from its beginning, into what the next attempt must know."""
    memory = Memory()
    memory.add(log)
    return memory
