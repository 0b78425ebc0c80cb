"""What an earlier attempt leaves to the next one, folded from the log."""

from collections.abc import Iterable

import msgspec

from runwell.domain.events import (
    LoggedEvent,
    OutputRestarted,
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


def remember(log: Iterable[LoggedEvent]) -> Memory:
    """Fold a run's log, from its beginning, into what the next attempt must know."""
    memory = Memory()
    for line in log:
        event = line.event
        if isinstance(event, RunCreated):
            memory.values.update({step.key: step.output for step in event.steps})
            memory.answers.update(event.answers)
        elif isinstance(event, RunResumed):
            memory.answers[event.key] = event.answer
        elif isinstance(event, StepFinished):
            memory.values[event.key] = event.output
            memory.said.pop(event.key, None)
        elif isinstance(event, OutputRestarted):
            memory.said.clear()
            memory.text = [(step, text) for step, text in memory.text if step in memory.values]
        elif isinstance(event, Said):
            memory.said.setdefault(event.in_step, []).append(event)
            if isinstance(event, TextDelta):
                memory.text.append((event.in_step, event.text))
    return memory
