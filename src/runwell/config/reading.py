"""Reading settings: flags, variables, the file. What cannot be understood says where it was read."""

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from runwell.config.settings import (
    FILE_ONLY,
    BadSetting,
    Settings,
    base_of,
    kinds,
    unit_of,
    variable_of,
)
from runwell.domain.prices import Price, read_price

FILE_NAME = "runwell.toml"


class Found(NamedTuple):
    """A value as it was read, and where."""

    value: Any
    where: str
    text: bool
    """It came as text, from a variable or a flag: `8005` may be a number, `a,b` a list."""


_NOT_SETTINGS = frozenset({"RUNWELL_URL", "RUNWELL_KEY", "RUNWELL_CONFIG"})
"""Read by the client and by `read` itself."""
_FOREIGN = {"PRAISONAI_JOBS_AGENT_ROOT": "praisonai_agent_root"}
"""Variables of servers that this one stands in for, with the settings they mean. Ours win."""
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
    _check_database(settings)
    _check_retention(settings)
    return settings


def _check_retention(settings: Settings) -> None:
    if 0 < settings.keep_runs < settings.keep_events:
        raise BadSetting(
            f"keep_events ({settings.keep_events:g} s) is longer than keep_runs "
            f"({settings.keep_runs:g} s), and no log is kept longer than its run",
            "Make keep_runs longer, or leave keep_events at 0: logs then go with their runs.",
        )


def _check_database(settings: Settings) -> None:
    scheme = re.match(r"(\w+(?:\+\w+)?)://", settings.db)
    if scheme is None or scheme[1] == "sqlite":
        if not settings.worker:
            raise BadSetting(
                "worker is off, and the database is a SQLite file, on which nobody else can work",
                "Leave --no-worker out, or give a postgresql:// database.",
            )
        return
    if settings.postgres is None:
        raise BadSetting(
            f"db names a database of the kind {scheme[1]}, which Runwell does not speak",
            "Give the path of a SQLite file, or postgresql://user@host/name.",
        )
    try:
        urlsplit(settings.db).port  # noqa: B018 - reading it is the check
    except ValueError:
        # Its words, and the cause of this error, would quote what may be a part of the password.
        raise BadSetting(
            "db is no address of a database, or its port is no number",
            "Give postgresql://user:password@host:port/name; in a password write %2F for /, %23 for #, "
            "%3F for ?, %40 for @ and %25 for %.",
        ) from None


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
        if name not in kinds():
            raise _unknown(name, _place(path, text, name), kinds())
    _check_prices(fields.get("prices"), path, text)
    return {name: Found(value, _place(path, text, name), text=False) for name, value in fields.items()}


def _check_prices(tables: object, path: Path, text: str) -> None:
    """Each by itself, so that the error names the model and its line."""
    if not isinstance(tables, dict):
        return  # left out, or refused with all other values that have the wrong type
    for model, table in tables.items():
        try:
            read_price(model, table)
        except ValueError as error:
            where = _place(path, text, "prices", model)
            known = ", ".join(Price.__struct_fields__)
            hint = f'Write [prices."MODEL"] with input and output; it takes: {known}.'
            raise BadSetting(f"prices.{model}: {error} ({where})", hint) from error


def _place(path: Path, text: str, *name: str) -> str:
    """Of the first line that begins with the name, or else with the table it is in, or else the file."""
    if not name:
        return str(path)
    dotted = r"\s*\.\s*".join(rf"[\"']?{re.escape(part)}[\"']?" for part in name)
    key = re.compile(rf"\s*(?:\[+\s*)?{dotted}(?=[\s.=\]])")
    for number, line in enumerate(text.splitlines(), start=1):
        if key.match(line):
            return f"{path}, line {number}"
    return _place(path, text, *name[:-1])


def _of_environment(environ: Mapping[str, str]) -> dict[str, Found]:
    found = {name: Found(environ[it], it, text=True) for it, name in _FOREIGN.items() if it in environ}
    settable = [name for name in kinds() if name not in FILE_ONLY]
    for variable, value in environ.items():
        if not variable.startswith("RUNWELL_") or variable in _NOT_SETTINGS:
            continue
        if _KUBERNETES.match(variable) or (variable == "RUNWELL_PORT" and value.startswith("tcp://")):
            continue
        name = variable.removeprefix("RUNWELL_").lower()
        if name not in settable or variable != variable_of(name):
            raise _unknown(variable, "the environment", settable, variable_of)
        found[name] = Found(value, variable, text=True)
    return found


def _unknown(name: str, where: str, known: Iterable[str], spelt: Callable[[str], str] = str) -> BadSetting:
    """Compared without what all names have in common: that would make everything look alike."""
    close = difflib.get_close_matches(name.removeprefix("RUNWELL_").lower(), list(known), n=1)
    there_are = ", ".join(spelt(setting) for setting in known)
    hint = f"Did you mean {spelt(close[0])}?" if close else f"There are: {there_are}."
    return BadSetting(f"unknown setting {name} ({where})", hint)


def _value(name: str, found: Found) -> Any:
    """The value in the setting's own type. Raises `BadSetting`."""
    kind = kinds()[name]
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
    unit = unit_of(kind)
    if unit is not None:
        quantity = _QUANTITY.match(text)
        factor = _UNITS[unit].get(quantity[2].lower()) if quantity else None
        if quantity is None or factor is None:
            units = ", ".join(sorted(filter(None, _UNITS[unit]), key=lambda u: _UNITS[unit][u]))
            raise ValueError(f"expected a number of {unit}, or one with a unit ({units})")
        number = float(quantity[1]) * factor
        return int(number) if unit == "bytes" else number
    if base_of(kind) == tuple[str, ...]:
        return [item.strip() for item in text.split(",") if item.strip()]
    return text
