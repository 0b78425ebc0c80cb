"""Frames: what a dialect's streams say, as a pure fold over the log.

A writer has no clock and no store. It is given the lines of a log in order and returns frames; the
frames of the first k events are the beginning of the frames of all, so a replay says the same again.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from runwell.domain.events import EVENT_TYPES, Event, LoggedEvent


class FrameWriter:
    """One method per event type, named after it: `run_created`, `output_text_delta` …

    Each takes the line and its decoded event, and returns frames: ready bytes. What a dialect has no
    word for stands in `SILENT`. A subclass that forgets an event, or names one twice, is refused when
    it is defined.
    """

    SILENT: ClassVar[frozenset[type[Event]]] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for event in EVENT_TYPES:
            speaks = hasattr(cls, _method(event))
            if speaks == (event in cls.SILENT):
                fault = "is silent and has a method" if speaks else "is neither silent nor has a method"
                raise TypeError(f"{cls.__name__}: {event.type} {fault}")

    def write(self, line: LoggedEvent) -> Iterable[bytes]:
        """The frames of the next line of the log."""
        event = line.event
        if type(event) in self.SILENT:
            return ()
        frames: Iterable[bytes] = getattr(self, _method(type(event)))(line, event)
        return frames

    def write_page(self, lines: Iterable[LoggedEvent]) -> bytes:
        """The frames of a page, in one piece: what `stream.sse.rendered` takes."""
        return b"".join(frame for line in lines for frame in self.write(line))


def _method(event: type[Event]) -> str:
    return event.type.replace(".", "_")
