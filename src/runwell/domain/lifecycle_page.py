"""`docs/lifecycle.md`, rendered from the table: `python -m runwell.domain.lifecycle_page`."""

import inspect
import sys

from runwell.domain.lifecycle import CANCELLABLE, CLAIMABLE, FINAL, LIVE, TRANSITIONS
from runwell.domain.run import RunStatus


def render() -> str:
    """The page as Markdown."""
    return "\n".join([*_heading(), *_statuses(), *_diagram(), *_table(), *_rules()]) + "\n"


def _heading() -> list[str]:
    return [
        "# The life of a run",
        "",
        "Rendered from `runwell.domain.lifecycle`; a test fails when this page is stale.",
        "",
    ]


def _statuses() -> list[str]:
    lines = ["## Statuses", "", *inspect.cleandoc(RunStatus.__doc__ or "").splitlines(), ""]
    for name, statuses in (
        ("Live", LIVE),
        ("Final", FINAL),
        ("Claimable", CLAIMABLE),
        ("Cancellable", CANCELLABLE),
    ):
        words = ", ".join(f"`{status}`" for status in RunStatus if status in statuses)
        lines.append(f"- {name}: {words}")
    return [*lines, ""]


def _diagram() -> list[str]:
    lines = ["## Arrows", "", "```mermaid", "stateDiagram-v2"]
    for row in TRANSITIONS:
        for source in row.source or ("[*]",):
            lines.append(f"    {source} --> {row.target}: {row.command}")
    lines += [f"    {status} --> [*]" for status in RunStatus if status in FINAL]
    return [*lines, "```", ""]


def _table() -> list[str]:
    lines = ["| command | from | to | writes | when |", "|---|---|---|---|---|"]
    for row in TRANSITIONS:
        source = ", ".join(f"`{status}`" for status in row.source) or "–"
        writes = ", ".join(f"`{word}`" for word in row.writes.split())
        lines.append(f"| {row.command} | {source} | `{row.target}` | {writes} | {row.meaning} |")
    return [*lines, ""]


def _rules() -> list[str]:
    return [
        "## Rules that cross the arrows",
        "",
        "- Final is final: a retry is a new run (`retry_of`) that inherits finished steps and given answers.",
        "- Once a cancel request is on record, whatever ends the attempt is decided as `stop`.",
        "- `attempt` grows at every claim and is the fence: a write of an older attempt is refused.",
        "- `tries` grows with `try_again` and `lapse` only, and is what `max_attempts` limits.",
        "- `timeout` is the sum of the time spent `running`, over all attempts.",
        "- `expires_at` limits one wait: for the first start, or, from the ask itself, for an answer.",
        "- Exactly one final event ends every log.",
    ]


if __name__ == "__main__":
    sys.stdout.write(render())
