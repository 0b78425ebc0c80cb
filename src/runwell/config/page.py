"""`docs/reference/settings.md`, rendered from the settings."""

from typing import Any

from runwell.config.settings import FILE_ONLY, HOUR, MIB, Settings, kinds, metas_of, unit_of, variable_of


def reference() -> str:
    """`docs/reference/settings.md`."""
    defaults = Settings()
    rows = []
    for name, kind in kinds().items():
        description = next(meta.description for meta in metas_of(kind) if meta.description)
        variable = "" if name in FILE_ONLY else f"`{variable_of(name)}`"
        default = _shown(getattr(defaults, name), unit_of(kind))
        rows.append(f"| `{name}` | {variable} | {default} | {description} |")
    return _PAGE.format(rows="\n".join(rows))


def _shown(value: Any, unit: str | None) -> str:
    if value in ((), {}):
        return ""
    if unit == "bytes":
        return f"{value // MIB}MiB"
    if unit == "seconds":
        return f"{value / HOUR:g}h" if value >= HOUR else f"{value:g}s"
    return f"`{value}`"


_PAGE = """\
# Settings

A setting comes from the first of these that names it: a flag of `runwell serve`, a variable, the file
`runwell.toml` in the current folder (or the one that `--config` or `RUNWELL_CONFIG` names), the default.
A key that does not exist and a value that cannot be read stop the start, with the place they were read at.

Durations are seconds or carry a unit (`500ms`, `30s`, `5m`, `48h`, `7d`), sizes are bytes or carry one
(`64KiB`, `16MiB`, `1GiB`). In a variable, the items of a list are separated by commas.

| key | variable | default | |
|---|---|---|---|
{rows}

```toml
port = 8005
load = ["my_agents.py"]
keep_idempotency = "7d"

[agents.helper]
model = "openai:gpt-5"
instructions = "You help."

[prices."gpt-5*"]
input = 1.25
output = 10.0
```

The client, in Python and on the command line, reads `RUNWELL_URL` (default `http://127.0.0.1:8005`) and
`RUNWELL_KEY`.

This page is rendered from `src/runwell/config/`: `python -m runwell.config > docs/reference/settings.md`.
"""
