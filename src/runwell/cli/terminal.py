"""How things look on a terminal: words, colours, tables, the line that shows progress."""

import json
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from runwell.client import Run
from runwell.domain.run import Usage

COLOURS = {
    "queued": "cyan",
    "running": "blue",
    "waiting": "magenta",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
}
BAR = 20
CLEAR_LINE = "\r\x1b[2K"


def status(word: str, width: int = 0) -> str:
    return click.style(word.ljust(width), fg=COLOURS.get(word))


def dim(text: str) -> str:
    return click.style(text, dim=True)


def duration(seconds: float | None) -> str:
    """`<1 ms`, `84 ms`, `1.2 s`, `3 min 5 s`, `2 h 7 min`, `3 d 4 h`."""
    if seconds is None:
        return ""
    if seconds < 0.0005:
        return "0 s" if seconds == 0 else "<1 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, big, small_size, small in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // small_size
            return f"{whole // size} {big} {rest} {small}" if rest else f"{whole // size} {big}"
    return f"{whole} s"


def instant(moment: datetime | None, now: datetime | None = None) -> str:
    """`2026-11-22 22:28:00 UTC (3 min 5 s ago)`."""
    if moment is None:
        return ""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    distance = f"{duration(seconds)} ago" if seconds >= 0 else f"in {duration(-seconds)}"
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC ({distance})"


def usage(spent: Usage) -> str:
    """`1,204 + 311 tokens, 2 model calls, $0.0021`; empty when nothing was spent."""
    parts = []
    if spent.input_tokens or spent.output_tokens:
        parts.append(f"{spent.input_tokens:,} tokens in, {spent.output_tokens:,} out")
    for count, word in ((spent.model_calls, "model call"), (spent.tool_calls, "tool call")):
        if count:
            parts.append(f"{count:,} {word}{'s' if count > 1 else ''}")
    if spent.cost:
        parts.append(f"${spent.cost:.4f}")
    if spent.credits:
        parts.append(f"{spent.credits:g} credits")
    return ", ".join(parts)


def progress(run: Run) -> str:
    """`████████░░░░░░░░░░░░ 40 %  Comparing sentences`."""
    if run.progress is None:
        return ""
    percent, step = run.progress.percent, run.progress.step or ""
    if percent is None:
        return step
    full = round(BAR * max(0.0, min(percent, 100.0)) / 100)
    return f"{'█' * full}{'░' * (BAR - full)} {percent:.0f} %  {step}".rstrip()


def document(value: Any) -> str:
    """JSON for people; text as it is."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2)


def print_json(value: Any) -> None:
    """One JSON document for machines, indented."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def short(text: str, most: int) -> str:
    """The text on one line, cut at a word if it is longer than `most` characters."""
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    return f"{line[: most - 1].rsplit(' ', 1)[0]}…"


def fields(pairs: Sequence[tuple[str, str]]) -> None:
    """Name and value in two columns; what is empty is left out, lines after the first are indented."""
    shown = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in shown), default=0) + 2
    for name, value in shown:
        first, *rest = value.split("\n")
        click.echo(f"{dim(name.ljust(width))}{first}")
        for line in rest:
            click.echo(f"{' ' * width}{line}")


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell; the last one is not padded."""
    plain = [[click.unstyle(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *plain, strict=True)]
    click.echo(dim("  ".join(h.ljust(w) for h, w in zip(headers, widths, strict=True)).rstrip()))
    for row, bare in zip(rows, plain, strict=True):
        cells = [
            cell + " " * (width - len(text)) for cell, text, width in zip(row, bare, widths, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


class Live:
    """What is going on, on stderr: one line that changes on a terminal, a line per change elsewhere.

    It gets out of the way of text on stdout, which on a terminal shares the screen with it.
    """

    def __init__(self) -> None:
        self._tty = sys.stderr.isatty()
        self._shared = self._tty and sys.stdout.isatty()
        self._shown = False
        self._said = ""
        self._at_line_start = True

    def show(self, text: str) -> None:
        """Say what is going on now; the same again is not said twice."""
        if text == self._said:
            return
        self._said = text
        if not self._tty:
            click.echo(text, err=True)
        elif self._at_line_start or not self._shared:
            width = shutil.get_terminal_size().columns
            sys.stderr.write(f"{CLEAR_LINE}{text[: width - 1]}")
            sys.stderr.flush()
            self._shown = True

    def say(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        if self._shared and not self._at_line_start:
            click.echo("", err=True)
            self._at_line_start = True
        click.echo(text, err=True)

    def text(self, piece: str) -> None:
        """A piece of the run's text, on stdout."""
        if piece:
            self.clear()
            click.echo(piece, nl=False)
            sys.stdout.flush()
            self._at_line_start = piece.endswith("\n")

    def end_text(self) -> None:
        """The text is over: end its last line."""
        if not self._at_line_start:
            click.echo()
            self._at_line_start = True

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write(CLEAR_LINE)
            sys.stderr.flush()
            self._shown = False
