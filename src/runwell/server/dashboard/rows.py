"""The first rows of the run list as HTML, so that they are there before any script. `runs.js` draws the
same rows; what it finds here it replaces."""

import json
from html import escape
from typing import Any

from runwell.domain.instant import Instant, from_iso, seconds_between

LONGEST = 200
"""Characters of what is said of a run."""


def table(page: dict[str, Any], now: Instant, reader: str) -> str:
    """The rows of a `RunPage` body. A run of another owner than `reader` can be listed, not opened."""
    rows = "".join(_row(run, now, reader) for run in page["runs"])
    return (
        '<div class="view runs"><h1>Runs</h1>'
        '<table class="rows"><caption class="unseen">Runs, newest first</caption><thead><tr>'
        '<th scope="col">Status</th><th scope="col">Agent</th><th scope="col">What</th>'
        '<th scope="col" class="number">Took</th><th scope="col" class="number">Created</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(run: dict[str, Any], now: Instant, reader: str) -> str:
    status, id = run["status"], run["id"]
    owner = run.get("owner", reader)
    whose = "" if owner == reader else f" of {owner}"
    name = f'{escape(run["agent"])} <span class="id">{escape(id[-8:] + whose)}</span>'
    if owner == reader:
        name = f'<a href="/ui/runs/{escape(id)}">{name}</a>'
    age = seconds_between(from_iso(run["created_at"]), now)
    took = "" if run["duration"] is None else duration(run["duration"])
    return (
        f'<tr data-id="{escape(id)}"><td>{_status(status)}</td>'
        f'<td class="agent">{name}</td>'
        f'<td class="what">{escape(what(run))}</td><td class="number">{took}</td>'
        f'<td class="number"><time datetime="{escape(run["created_at"])}">{duration(age)} ago</time></td>'
        "</tr>"
    )


def _status(status: str) -> str:
    word = escape(status)
    return (
        f'<span class="status {word}"><svg aria-hidden="true"><use href="#i-{word}"></use></svg>{word}</span>'
    )


def what(run: dict[str, Any]) -> str:
    """The most telling sentence of a run, cut: as `what` in words.js, but for times of day, which are the
    reader's to tell."""
    if run["error"] is not None:
        return _line(run["error"]["message"])
    if run["question"] is not None:
        return _line(f"asks: {_line(run['question']['question'])}")
    if run["status"] == "queued":
        return "" if run["not_before"] is not None else _place(run["queue_position"])
    if run["status"] == "running" and run["cancel_requested_at"] is not None:
        return "is being cancelled"
    if run["status"] == "succeeded":
        return _line(run["preview"] or "")
    progress = run["progress"] or {}
    return _line(progress.get("step") or run["steps"]["current"] or "")


def _line(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return " ".join(text[:LONGEST].split())


def _place(position: int | None) -> str:
    if not position:
        return "" if position is None else "next in line"
    return f"{position:,} run{'' if position == 1 else 's'} before it"


def duration(seconds: float) -> str:
    """As `words.js` writes it: 0.42 s, 12 s, 3 min, 5 h, 2 d."""
    if seconds < 10:
        return f"{max(seconds, 0):.2f} s"
    for size, limit, unit in ((1, 120, "s"), (60, 120, "min"), (3_600, 48, "h")):
        if seconds < size * limit:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds // 86_400)} d"
