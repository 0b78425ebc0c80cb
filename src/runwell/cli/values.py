"""Values on the command line: text as it is, `@file`, `-` for standard input, JSON when asked for."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from runwell.cli.lazy import Failure

USAGE = 2


def read_value(given: str | None, *, as_json: bool) -> Any:
    """The value that `given` stands for; None for None."""
    if given is None:
        return None
    text = _text(given)
    if not as_json:
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise Failure(f"this is no JSON: {error}", "Without -J it is sent as text.", USAGE) from error


def _text(given: str) -> str:
    try:
        if given == "-":
            return sys.stdin.buffer.read().decode()
        if given.startswith("@@"):
            return given[1:]
        if given.startswith("@"):
            return Path(given[1:]).read_text(encoding="utf-8")
    except OSError as error:
        raise Failure(
            f"{given[1:]} cannot be read: {error.strerror}",
            "Text that begins with an @ is written with two: @@name.",
            USAGE,
        ) from error
    except UnicodeDecodeError as error:
        raise Failure(f"{given} is not UTF-8 text: {error}", exit_code=USAGE) from error
    return given


def read_pairs(pairs: tuple[str, ...]) -> dict[str, str] | None:
    """`k=v` given several times; None when not at all."""
    for pair in pairs:
        if "=" not in pair:
            raise click.BadParameter(f"{pair!r} is not of the form KEY=VALUE")
    return dict(pair.split("=", 1) for pair in pairs) or None
