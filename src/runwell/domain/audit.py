"""Does a log tell a possible story, and is it the story its run's row tells?

The judge of kill tests and of `runwell doctor`: it knows nothing but the table of arrows.
"""

from fnmatch import fnmatchcase

from runwell.domain.events import (
    FINAL_TYPES,
    AttemptStarted,
    LoggedEvent,
    StepFinished,
    UsageCounted,
)
from runwell.domain.lifecycle import TRANSITIONS
from runwell.domain.run import NO_USAGE, Run, RunStatus, Usage


class Audit:
    """Fed one log, line by line, from its beginning; `faults` are sentences, empty when all is well."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._seq = 0
        self._status: RunStatus | None = None
        self._finals = 0
        self._attempt = 0
        self._finished: set[str] = set()
        self._usage: Usage = NO_USAGE

    def see(self, line: LoggedEvent) -> None:
        if line.seq != self._seq + 1:
            self.faults.append(f"seq {line.seq} follows {self._seq}")
        self._seq = line.seq
        if self._finals:
            self.faults.append(f"{line.type} (seq {line.seq}) comes after the final event")
        self._finals += line.type in FINAL_TYPES
        self._step_along(line)
        event = line.event
        if isinstance(event, AttemptStarted):
            if event.attempt != self._attempt + 1:
                self.faults.append(f"attempt {event.attempt} follows attempt {self._attempt}")
            self._attempt = event.attempt
        elif isinstance(event, StepFinished):
            if event.key in self._finished:
                self.faults.append(f"step {event.key!r} finished twice (seq {line.seq})")
            self._finished.add(event.key)
        elif isinstance(event, UsageCounted):
            self._usage = self._usage + event.usage

    def _step_along(self, line: LoggedEvent) -> None:
        """Follow an arrow that writes this event and leaves from where we are."""
        for row in TRANSITIONS:
            from_here = self._status in row.source if self._status is not None else not row.source
            if from_here and any(fnmatchcase(line.type, pattern) for pattern in row.writes.split()):
                self._status = row.target
                return
        self.faults.append(f"{line.type} (seq {line.seq}) cannot happen to a run that is {self._status}")

    def close(self, run: Run) -> list[str]:
        """Compare with the row; all faults."""
        for name, told, kept in (
            ("last_seq", self._seq, run.last_seq),
            ("status", self._status, run.status),
            ("attempt", self._attempt, run.attempt),
            ("final events", self._finals, int(run.final)),
            ("usage", _whole(self._usage), _whole(run.usage)),
        ):
            if told != kept:
                self.faults.append(f"{name}: the log says {told}, the row {kept}")
        return self.faults


def _whole(usage: Usage) -> tuple[int, ...]:
    """The counts; sums of floats depend on their order."""
    return (usage.input_tokens, usage.output_tokens, usage.model_calls, usage.tool_calls)
