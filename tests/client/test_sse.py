"""The parser against the rules of the standard, whole and in pieces."""

import random

import pytest

from runwell.client.sse import Parser, ServerSentEvent


def parse(*chunks: bytes) -> list[ServerSentEvent]:
    parser = Parser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


def event(data: str, event: str = "message", id: str = "") -> ServerSentEvent:
    return ServerSentEvent(event, data, id)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        pytest.param(b"data: a\n\n", [event("a")], id="LF"),
        pytest.param(b"data: a\r\n\r\n", [event("a")], id="CR LF"),
        pytest.param(b"data: a\r\r", [event("a")], id="CR"),
        pytest.param(b"data: a\rdata: b\r\ndata: c\n\n", [event("a\nb\nc")], id="mixed line ends"),
        pytest.param(b"data:a\n\ndata:  b\n\n", [event("a"), event(" b")], id="one space is dropped"),
        pytest.param(b"data\n\n", [event("")], id="a field without a colon is empty"),
        pytest.param(b"data: a\ndata\ndata: b\n\n", [event("a\n\nb")], id="an empty line of data"),
        pytest.param(b": ping\n\n:\n\ndata: a\n\n", [event("a")], id="comments"),
        pytest.param(b"event: x\n\ndata: a\n\n", [event("a")], id="an event without data is none"),
        pytest.param(b"event: x\ndata: a\n\ndata:\n\n", [event("a", "x"), event("")], id="type is per event"),
        pytest.param(b"id: 7\ndata: a\n\ndata\n\n", [event("a", id="7"), event("", id="7")], id="id stays"),
        pytest.param(b"id: 7\n\nid\ndata: a\n\n", [event("a")], id="an empty id resets it"),
        pytest.param(b"id: 7\nid: 8\x00\ndata: a\n\n", [event("a", id="7")], id="no NUL in an id"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [event("a")], id="BOM"),
        pytest.param(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", [], id="only one BOM"),
        pytest.param(b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [event("a")], id="BOM only at the start"),
        pytest.param(b"data: a\n", [], id="an unfinished event is dropped"),
        pytest.param(b"data: a:b: c\n\n", [event("a:b: c")], id="colons in a value"),
        pytest.param(b"other: x\nDATA: y\n data: z\ndata: a\n\n", [event("a")], id="unknown fields"),
        pytest.param(b"data: \xff\n\n", [event("\ufffd")], id="bytes that are no UTF-8"),
        pytest.param("data: a\u2028b\x85\x0b\n\n".encode(), [event("a\u2028b\x85\x0b")], id="not lines"),
    ],
)  # fmt: skip
def test_reads_as_the_standard_says(stream: bytes, events: list[ServerSentEvent]) -> None:
    assert parse(stream) == events
    assert parse(*(stream[i : i + 1] for i in range(len(stream)))) == events


def test_retry_is_kept_when_it_is_a_number() -> None:
    parser = Parser()
    assert parser.retry is None
    assert list(parser.feed(b"retry: 1500\nretry: x\nretry: -1\nretry: 1.5\nretry\n\n")) == []
    assert parser.retry == 1500


def test_any_cutting_gives_the_same_events() -> None:
    text = "🚀 ü\r\ndata: second\rid: 9\nevent: t\n\n: c\r\n\r\nretry: 5\rdata: \r\r\ndata: last\n\n"
    stream = ("\ufeffdata: " + text).encode()
    whole = parse(stream)
    assert [e.data for e in whole] == ["🚀 ü\nsecond", "", "last"]
    chance = random.Random(1)
    for _ in range(300):
        cuts = sorted(chance.sample(range(1, len(stream)), chance.randint(1, 12)))
        pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        assert parse(*pieces) == whole, pieces
