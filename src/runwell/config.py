"""Settings: read once, at the start, and handed out as plain values.

Each comes from the first of these that names it: a flag of the command line, a `RUNWELL_*`
variable, `runwell.toml`, the default. What cannot be understood is an error that says where it was
read. `docs/reference/settings.md` is rendered from the struct (`python -m runwell.config`).
"""

import difflib
import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

import msgspec
from msgspec import Meta

from runwell.domain.errors import Invalid

FILE_NAME = "runwell.toml"

MIB = 2**20
HOUR = 3600.0

Durability = Literal["full", "normal"]
LogLevel = Literal["debug", "info", "warning", "error"]

Seconds = Annotated[float, Meta(ge=0, extra={"unit": "seconds"})]
Bytes = Annotated[int, Meta(ge=1024, extra={"unit": "bytes"})]


class BadSetting(Invalid):
    """A setting that cannot be understood; the sentence says which, where it was read, and why."""

    code = "bad_setting"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set. Durations are seconds, sizes are bytes."""

    host: Annotated[
        str,
        Meta(
            description="The address to listen on. Anything but loopback needs a key: `runwell keys create`."
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535, description="The port to listen on; 0 takes a free one and logs which.")
    ] = 8005
    db: Annotated[
        str, Meta(description="The database: a path, made when it is not there, or `sqlite:///path`.")
    ] = "runwell.db"
    load: Annotated[
        tuple[str, ...],
        Meta(description="Agents in code: `module`, `module:name`, `file.py` or `file.py:name`."),
    ] = ()
    durability: Annotated[
        Durability,
        Meta(
            description="`full` syncs each commit to disk before it is acknowledged. "
            "`normal` is faster and may lose the last commits in a power cut."
        ),
    ] = "full"
    concurrency: Annotated[int, Meta(ge=1, description="How many runs are worked on at once.")] = 100
    grace: Annotated[
        Seconds,
        Meta(description="How long an agent that is cancelled, or whose server stops, has to let go."),
    ] = 5.0
    max_body: Annotated[Bytes, Meta(description="The largest request body that is accepted.")] = 8 * MIB
    max_output: Annotated[Bytes, Meta(description="The largest output a run may have; more fails it.")] = (
        16 * MIB
    )
    keep_idempotency: Annotated[
        Seconds, Meta(description="For how long an Idempotency-Key is remembered.")
    ] = 48 * HOUR
    origins: Annotated[
        tuple[str, ...],
        Meta(description="Origins besides loopback whose web pages may call the API: `https://app.example`."),
    ] = ()
    model_keys: Annotated[
        tuple[str, ...],
        Meta(description="Variables that agents made through the API may name in `api_key_env`."),
    ] = ()
    log_level: Annotated[LogLevel, Meta(description="The least important line that is logged.")] = "info"
    agents: Annotated[
        dict[str, dict[str, Any]],
        Meta(description="Agents of a model and instructions, one table each: `[agents.NAME]`."),
    ] = {}

    @property
    def path(self) -> Path:
        """The SQLite file behind `db`."""
        return Path(self.db.removeprefix("sqlite:///")).expanduser()


class Found(NamedTuple):
    """A value as it was read, and where."""

    value: Any
    where: str
    text: bool
    """It came as text, from a variable or a flag: `8005` may be a number, `a,b` a list."""


_FILE_ONLY = frozenset({"agents"})
_NOT_SETTINGS = frozenset({"RUNWELL_URL", "RUNWELL_KEY", "RUNWELL_CONFIG"})
"""Read by the client and by `read` itself."""
_KUBERNETES = re.compile(r"RUNWELL_(?:SERVICE_.*|PORT_\d+_.*)\Z")
"""What Kubernetes sets in every pod beside a service named `runwell`; also RUNWELL_PORT=tcp://…"""


def read(
    flags: Mapping[str, Any] | None = None,
    *,
    config: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings. `flags` by name, None for those not given; `config` is the file to read instead
    of `RUNWELL_CONFIG` or `runwell.toml` in the current folder, and must exist then.

    Raises `BadSetting`.
    """
    environ = os.environ if environ is None else environ
    found = _of_file(config or environ.get("RUNWELL_CONFIG"))
    found |= _of_environment(environ)
    for name, value in (flags or {}).items():
        if value is not None and value != ():
            found[name] = Found(value, f"--{name.replace('_', '-')}", text=True)
    settings = Settings(**{name: _value(name, what) for name, what in found.items()})
    _check_database(settings.db)
    return settings


def _check_database(db: str) -> None:
    scheme = re.match(r"(\w+)(?:\+\w+)?://", db)
    if scheme is None or scheme[1] == "sqlite":
        return
    which = "Postgres" if scheme[1] in ("postgres", "postgresql") else scheme[1]
    raise BadSetting(
        f"db names a {which} database, and this version serves SQLite",
        "Give the path of a file, such as --db runwell.db.",
    )


def _of_file(given: str | None) -> dict[str, Found]:
    path = Path(given or FILE_NAME)
    try:
        text = path.read_text(encoding="utf-8")
        fields = tomllib.loads(text)
    except FileNotFoundError as error:
        if given is None:
            return {}
        raise BadSetting(f"there is no file {path}", "Check --config, or RUNWELL_CONFIG.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(f"{path} is no TOML: {error}") from error
    for name in fields:
        if name not in _types():
            raise _unknown(name, _place(path, text, name), _types())
    return {name: Found(value, _place(path, text, name), text=False) for name, value in fields.items()}


def _place(path: Path, text: str, name: str) -> str:
    key = re.compile(rf"\s*(?:\[+\s*)?[\"']?{re.escape(name)}\b")
    for number, line in enumerate(text.splitlines(), start=1):
        if key.match(line):
            return f"{path}, line {number}"
    return str(path)


def _of_environment(environ: Mapping[str, str]) -> dict[str, Found]:
    found: dict[str, Found] = {}
    settable = [name for name in _types() if name not in _FILE_ONLY]
    for variable, value in environ.items():
        if not variable.startswith("RUNWELL_") or variable in _NOT_SETTINGS:
            continue
        if _KUBERNETES.match(variable) or (variable == "RUNWELL_PORT" and value.startswith("tcp://")):
            continue
        name = variable.removeprefix("RUNWELL_").lower()
        if name not in settable or variable != _variable(name):
            raise _unknown(variable, "the environment", settable, _variable)
        found[name] = Found(value, variable, text=True)
    return found


def _variable(name: str) -> str:
    return f"RUNWELL_{name.upper()}"


def _unknown(name: str, where: str, known: Iterable[str], spelt: Callable[[str], str] = str) -> BadSetting:
    """Compared without what all names have in common: that would make everything look alike."""
    close = difflib.get_close_matches(name.removeprefix("RUNWELL_").lower(), list(known), n=1)
    there_are = ", ".join(spelt(setting) for setting in known)
    hint = f"Did you mean {spelt(close[0])}?" if close else f"There are: {there_are}."
    return BadSetting(f"unknown setting {name} ({where})", hint)


def _types() -> dict[str, Any]:
    return get_type_hints(Settings, include_extras=True)


def _value(name: str, found: Found) -> Any:
    """The value in the setting's own type. Raises `BadSetting`."""
    kind = _types()[name]
    value = found.value
    try:
        if isinstance(value, str):
            value = _read_text(kind, value)
        return msgspec.convert(value, kind, strict=not found.text)
    except (ValueError, msgspec.ValidationError) as error:
        why = str(error).partition(" - at ")[0]
        raise BadSetting(f"{name}: {why} ({found.where})", _hint(name, value)) from error


def _hint(name: str, value: Any) -> str:
    if name == "agents" and isinstance(value, list):
        return 'Agents in code are named by `load = ["file.py"]`; `[agents.NAME]` is a table.'
    return f"Got {value!r}."


_UNITS: dict[str, dict[str, float]] = {
    "seconds": {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0},
    "bytes": {"": 1, "b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 10**3, "mb": 10**6, "gb": 10**9},
}
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*\Z", re.IGNORECASE)


def _read_text(kind: Any, text: str) -> Any:
    """Lists are separated by commas; quantities may have a unit: `30s`, `48h`, `16MiB`."""
    unit = _unit(kind)
    if unit is not None:
        quantity = _QUANTITY.match(text)
        factor = _UNITS[unit].get(quantity[2].lower()) if quantity else None
        if quantity is None or factor is None:
            units = ", ".join(sorted(filter(None, _UNITS[unit]), key=lambda u: _UNITS[unit][u]))
            raise ValueError(f"expected a number of {unit}, or one with a unit ({units})")
        number = float(quantity[1]) * factor
        return int(number) if unit == "bytes" else number
    if _base(kind) == tuple[str, ...]:
        return [item.strip() for item in text.split(",") if item.strip()]
    return text


def _base(kind: Any) -> Any:
    while hasattr(kind, "__metadata__"):
        kind = kind.__origin__
    return kind


def _metas(kind: Any) -> list[Meta]:
    return [meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, Meta)]


def _unit(kind: Any) -> str | None:
    for meta in _metas(kind):
        if meta.extra and "unit" in meta.extra:
            return str(meta.extra["unit"])
    return None


def reference() -> str:
    """`docs/reference/settings.md`."""
    defaults = Settings()
    rows = []
    for name, kind in _types().items():
        description = next(meta.description for meta in _metas(kind) if meta.description)
        variable = "" if name in _FILE_ONLY else f"`{_variable(name)}`"
        default = _shown(getattr(defaults, name), _unit(kind))
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
```

The client, in Python and on the command line, reads `RUNWELL_URL` (default `http://127.0.0.1:8005`) and
`RUNWELL_KEY`.

This page is rendered from `src/runwell/config.py`: `python -m runwell.config > docs/reference/settings.md`.
"""

if __name__ == "__main__":
    sys.stdout.write(reference())
