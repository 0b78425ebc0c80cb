"""Frame writers: every event is spoken or silent, and the class says which."""

import pytest

from runwell.domain.events import EVENT_TYPES, LoggedEvent, RunSucceeded, TextDelta, encode_event
from runwell.domain.json_gate import NULL
from runwell.stream.frames import FrameWriter

OTHERS = frozenset(EVENT_TYPES) - {TextDelta, RunSucceeded}


class Words(FrameWriter):
    SILENT = OTHERS

    def output_text_delta(self, line: LoggedEvent, event: TextDelta) -> list[bytes]:
        return [event.text.encode(), b"|"]

    def run_succeeded(self, line: LoggedEvent, event: RunSucceeded) -> list[bytes]:
        return [b"end %d" % line.seq]


def line(seq: int, event: TextDelta | RunSucceeded) -> LoggedEvent:
    return LoggedEvent(seq, 0, event.type, encode_event(event))


def test_a_page_is_the_frames_of_its_lines() -> None:
    lines = [line(1, TextDelta(text="a")), line(2, TextDelta(text="b")), line(3, RunSucceeded(output=NULL))]
    assert Words().write_page(lines) == b"a|b|end 3"


def test_a_writer_that_forgets_an_event_cannot_be_defined() -> None:
    with pytest.raises(TypeError, match=r"run\.succeeded is neither"):
        type("Forgets", (FrameWriter,), {"SILENT": OTHERS | {TextDelta}})


def test_a_writer_that_names_an_event_twice_cannot_be_defined() -> None:
    with pytest.raises(TypeError, match=r"output\.text_delta is silent and"):
        type("Twice", (Words,), {"SILENT": OTHERS | {TextDelta}})
