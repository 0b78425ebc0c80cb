"""The first rows of the run list as HTML, so that they are there before any script. `runs.js` draws the
same rows; what it finds here it replaces."""

from html import escape
from typing import Any

from runwell.domain.instant import Instant, from_iso, seconds_between


def table(page: dict[str, Any], now: Instant) -> str:
    """The rows of a `RunPage` body."""
    rows = "".join(_row(run, now) for run in page["runs"])
    return (
        '<div class="view runs"><h1>Runs</h1>'
        '<table class="rows"><caption class="unseen">Runs, newest first</caption><thead><tr>'
        '<th scope="col">Status</th><th scope="col">Agent</th><th scope="col">What</th>'
        '<th scope="col" class="number">Took</th><th scope="col" class="number">Created</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(run: dict[str, Any], now: Instant) -> str:
    status, id = run["status"], run["id"]
    age = seconds_between(from_iso(run["created_at"]), now)
    took = "" if run["duration"] is None else duration(run["duration"])
    return (
        f'<tr data-id="{escape(id)}"><td>{_status(status)}</td>'
        f'<td class="agent"><a href="/ui/runs/{escape(id)}">{escape(run["agent"])}</a></td>'
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
    """The most telling sentence of a run, cut."""
    if run["error"] is not None:
        return str(run["error"]["message"])[:200]
    if run["question"] is not None:
        return f"asks: {run['question']['question']}"[:200]
    if run["status"] == "succeeded":
        return " ".join((run.get("preview") or "").split())
    progress = run["progress"] or {}
    return str(progress.get("step") or run["steps"]["current"] or "")[:200]


def duration(seconds: float) -> str:
    """As `words.js` writes it: 0.42 s, 12 s, 3 min, 5 h, 2 d."""
    if seconds < 10:
        return f"{max(seconds, 0):.2f} s"
    for size, limit, unit in ((1, 120, "s"), (60, 120, "min"), (3_600, 48, "h")):
        if seconds < size * limit:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds // 86_400)} d"
