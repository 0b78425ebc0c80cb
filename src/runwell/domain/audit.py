"""Does a log tell a possible story, and is it the story that its run's row and its deliveries tell?

The judge of kill tests and of `runwell doctor`: it knows nothing but the table of arrows.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from runwell.domain.callback import TELLABLE, Delivery
from runwell.domain.events import (
    FINAL_TYPES,
    AttemptStarted,
    LoggedEvent,
    StepFinished,
    UsageCounted,
)
from runwell.domain.instant import Instant
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
        self._tellable: dict[int, LoggedEvent] = {}

    def see(self, line: LoggedEvent) -> None:
        if line.seq != self._seq + 1:
            self.faults.append(f"seq {line.seq} follows {self._seq}")
        self._seq = line.seq
        if line.type in TELLABLE:
            self._tellable[line.seq] = line
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

    def untold(self, run: Run, outbox: Sequence[Delivery], since: Instant = 0) -> list[str]:
        """Compare with the run's deliveries, all there are; what is wrong with those.

        Deliveries of events before `since` may have been forgotten. Whether a standing callback was told
        is not looked at: it may have been made, changed or paused at any time.
        """
        seen = [each for each in outbox if each.seq <= run.last_seq]
        own = Counter((each.seq, each.url, each.format) for each in seen if each.callback_id is None)
        due, wanted = Counter(self._wanted(run, since)), Counter(self._wanted(run, 0))
        return [
            *(
                f"delivery {each.id} tells {each.event} (seq {each.seq}), which the log does not"
                for each in seen
                if each.seq not in self._tellable or self._tellable[each.seq].type != each.event
            ),
            *(f"seq {seq} is not told to a callback of the run" for seq, _, _ in due - own),
            *(f"seq {seq} is told to a callback that did not ask for it" for seq, _, _ in own - wanted),
        ]

    def _wanted(self, run: Run, since: Instant) -> Iterator[tuple[int, str, str]]:
        """Sequence number, address and format of each delivery that the run's own callbacks lead to."""
        for seq, line in self._tellable.items():
            for callback in run.callbacks:
                if line.at >= since and line.type in callback.events:
                    yield seq, callback.url, callback.format


def _whole(usage: Usage) -> tuple[int, ...]:
    """The counts; sums of floats depend on their order."""
    return (usage.input_tokens, usage.output_tokens, usage.model_calls, usage.tool_calls)
