"""The results: as a table, as a file, and as the page of the documentation."""

from pathlib import Path

import msgspec

from benchmarks.machine import Machine
from benchmarks.measurement import Figure, Goal

_HEAD = ("what", "floor", "reach", "measured", "baseline", "ratio", "verdict")


class Results(msgspec.Struct, frozen=True):
    """One run of the benchmarks. `commit` is what was measured, with a + for changes on top of it."""

    machine: Machine
    commit: str
    rounds: int
    figures: list[Figure]


def write(results: Results, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")


def read(path: Path) -> Results:
    """Raises `msgspec.ValidationError` for a file of another shape."""
    return msgspec.json.decode(path.read_bytes(), type=Results)


def table(results: Results) -> str:
    """For a terminal."""
    rows = [_HEAD, *(_cells(figure) for figure in results.figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def page(results: Results) -> str:
    """`docs/performance.md`."""
    machine = results.machine
    body = rows_of(results.figures)
    notes = [
        f"- **{figure.what}.** "
        + "; ".join(
            part for part in (f"Baseline: {figure.beside}" if figure.beside else "", figure.note) if part
        )
        + "."
        for figure in results.figures
        if figure.beside or figure.note
    ]
    return _PAGE.format(
        table="\n".join(body),
        notes="\n".join(notes),
        rounds=results.rounds,
        commit=results.commit,
        machine=machine,
        memory=machine.memory / 2**30,
        others=max(figure.others for figure in results.figures),
    )


def rows_of(figures: list[Figure]) -> list[str]:
    """The lines of a table in Markdown."""
    body = [f"| {' | '.join(_HEAD)} |", "|---|--:|--:|--:|--:|--:|---|"]
    for figure in figures:
        cells = list(_cells(figure))
        if figure.verdict == "not met":
            cells[-1] = "**not met**"
        body.append(f"| {' | '.join(cells)} |")
    return body


def _cells(figure: Figure) -> tuple[str, ...]:
    unit, base, ratio = figure.unit, figure.base, figure.ratio
    return (
        figure.what,
        _goal(figure.floor, unit),
        _goal(figure.reach, unit),
        _number(figure.value, unit),
        _number(base, unit) if base is not None else "",
        f"{ratio:.2f}" if ratio is not None else "",
        figure.verdict,
    )


def _goal(goal: Goal | None, unit: str) -> str:
    if goal is None:
        return ""
    said = []
    if goal.at_least is not None:
        said.append(f"≥ {_number(goal.at_least, unit)}")
    if goal.at_most is not None:
        said.append(f"≤ {_number(goal.at_most, unit)}")
    if goal.ratio is not None:
        said.append(f"≥ {goal.ratio:g} × baseline")
    return " or ".join(said)


def _number(value: float, unit: str) -> str:
    figures = f"{value:,.0f}" if value >= 100 else f"{value:,.3g}"
    return f"{figures}{unit}" if unit.startswith("/") else f"{figures} {unit}"


_PAGE = """\
# Performance

Measured with `make bench` on {machine.date} at commit {commit}, on one machine that ran the server, the
baseline and the load generator:

- {machine.processor}, {machine.cores} cores, {memory:.0f} GiB, {machine.kernel}
- {machine.filesystem}, on which a synced write of 4 KiB takes {machine.sync:.0f} µs
- Python {machine.python}, SQLite {machine.sqlite}, uvicorn {machine.uvicorn}, uvloop {machine.uvloop}

Every figure is the median of {rounds} rounds, except those about memory per stream (2 rounds) and the
log (1); a ratio is the median of the rounds' own. Rounds of ours and of the baseline alternate. The
baseline is uvicorn with the same settings and a raw ASGI app that answers as many bytes and does
nothing else: what this web server can do at most, here. Read the ratios; absolute figures belong to
the machine. *Floor* is what a release must keep, *reach* is what we aim at. Other programs used at most
{others:.0%} of the machine during a benchmark.

{table}

Nothing is switched off for this: every request carries an API key that is checked, and every commit is
on disk (SQLite, WAL, `synchronous=FULL`) before it is acknowledged.

## What stands behind each line

{notes}

## Do it again

```
make bench                            # all of it, a few minutes
make bench ARGS="--only reads submits"
make bench ARGS="--full"              # also with a million runs stored
make bench ARGS="--json mine.json"
make bench ARGS=--help
```

Close what else is running: load generator and server want a core each. Databases are made in the
system's temporary folder, or in `--folder`; on a RAM disk, syncing costs nothing and the figures lie.
This page is rendered from the last full run in `benchmarks/results/`.
"""
