"""What the commands that work on this machine have in common: settings, and errors of the domain."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from runwell import config
from runwell.cli.lazy import Failure
from runwell.config import BadSetting, Settings
from runwell.domain.errors import ErrorKind, RunwellError

USAGE = 2


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Adds `--db` and `--config`, and hands the command the settings."""

    @click.option(
        "--db",
        metavar="DATABASE",
        help="The database: a file, or a postgresql:// URL. [env: RUNWELL_DB; runwell.db]",
    )
    @click.option(
        "--config", "file", metavar="FILE", help="The settings file. [env: RUNWELL_CONFIG; runwell.toml]"
    )
    @functools.wraps(command)
    def wrapped(*, db: str | None, file: str | None, **values: Any) -> None:
        with failures():
            command(config.read({"db": db}, config=file), **values)

    return wrapped


def existing(settings: Settings) -> Settings:
    """The settings, if their database is there: looking must not make one."""
    if settings.postgres is None and not settings.path.exists():
        raise Failure(
            f"there is no database {settings.path}",
            "`runwell serve` makes it; --db, RUNWELL_DB or runwell.toml name another.",
        )
    return settings


@contextmanager
def failures() -> Iterator[None]:
    """Turns errors of the domain into what the command line says."""
    try:
        yield
    except RunwellError as error:
        mistaken = isinstance(error, BadSetting) or error.kind is ErrorKind.INVALID
        raise Failure(error.message, error.hint, USAGE if mistaken else 1) from error
