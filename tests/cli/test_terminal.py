"""How things look."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta

import pytest

from runwell.cli import terminal
from runwell.cli.terminal import Live
from runwell.client import Run, RunStatus
from runwell.domain.run import Progress, Usage


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""), (0, "0 s"), (0.0001, "<1 ms"), (0.0841, "84 ms"), (0.9999, "1.0 s"), (59.94, "59.9 s"),
        (59.99, "1 min"), (185, "3 min 5 s"), (3600, "1 h"), (7620, "2 h 7 min"), (273_600, "3 d 4 h"),
    ],
)  # fmt: skip
def test_durations(seconds: float | None, words: str) -> None:
    assert terminal.duration(seconds) == words


def test_instants_say_how_far() -> None:
    now = datetime(2026, 11, 22, 22, 28, tzinfo=UTC)
    assert terminal.instant(now - timedelta(seconds=185), now) == "2026-11-22 22:24:55 UTC (3 min 5 s ago)"
    assert terminal.instant(now + timedelta(hours=1), now) == "2026-11-22 23:28:00 UTC (in 1 h)"
    assert terminal.instant(None, now) == ""


def test_usage_and_progress() -> None:
    spent = Usage(input_tokens=1204, output_tokens=311, model_calls=2, tool_calls=1, cost=0.00214)
    assert terminal.usage(spent) == "1,204 tokens in, 311 out, 2 model calls, 1 tool call, $0.0021"
    assert terminal.usage(Usage()) == ""
    run = Run(id="r", status=RunStatus.RUNNING, agent="a", created_at=datetime.now(UTC))
    assert terminal.progress(run) == ""
    half = Run(
        id="r", status=RunStatus.RUNNING, agent="a", created_at=run.created_at, progress=Progress(50, "at it")
    )
    assert terminal.progress(half) == "██████████░░░░░░░░░░ 50 %  at it"


def test_what_is_cut_is_cut_at_a_word() -> None:
    assert terminal.short("one\n two  three", 13) == "one two three"
    assert terminal.short("one two three", 12) == "one two…"
    assert terminal.short("x" * 20, 5) == "xxxx…"


def test_a_table_is_as_wide_as_it_must_be(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(["A", "BB"], [["long cell", terminal.status("failed")], ["x", ""]])
    assert capsys.readouterr().out == "A          BB\nlong cell  failed\nx\n"


class Terminal(io.StringIO):
    """What stdout and stderr both write to, as on a screen."""

    def isatty(self) -> bool:
        return True


@contextmanager
def a_screen() -> Iterator[Terminal]:
    screen = Terminal()
    with redirect_stdout(screen), redirect_stderr(screen):
        yield screen


def test_the_live_line_gives_way_to_text() -> None:
    with a_screen() as screen:
        live = Live()
        live.show("10 %")
        live.show("10 %")
        live.text("some ")
        live.show("20 %")  # would stand in the middle of the text
        live.text("words\n")
        live.show("30 %")
        live.say("a line that stays")
        live.text("last")
        live.end_text()
        live.clear()
    clear = terminal.CLEAR_LINE
    assert screen.getvalue() == (f"{clear}10 %{clear}some words\n{clear}30 %{clear}a line that stays\nlast\n")


def test_what_stays_begins_on_a_line_of_its_own() -> None:
    with a_screen() as screen:
        live = Live()
        live.text("half a line")
        live.say("note")
    assert screen.getvalue() == "half a line\nnote\n"


def test_without_a_terminal_there_are_only_lines(capsys: pytest.CaptureFixture[str]) -> None:
    live = Live()
    live.show("10 %")
    live.show("10 %")
    live.text("text")
    live.show("20 %")
    live.end_text()
    captured = capsys.readouterr()
    assert captured.err == "10 %\n20 %\n"
    assert captured.out == "text\n"
