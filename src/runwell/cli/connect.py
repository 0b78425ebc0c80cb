"""What the commands that talk to a server have in common: `--url`, `--key`, errors, detaching."""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from click.core import ParameterSource

from runwell.cli.lazy import INTERRUPTED, Failure
from runwell.cli.terminal import CLEAR_LINE
from runwell.client import ApiError, Client, ConnectionFailed, Patience, ServerUnavailable
from runwell.domain.errors import InvalidId
from runwell.domain.ids import parse_id, spell

USAGE, UNREACHABLE = 2, 5

FIRST_CONTACT = 2.0
"""Seconds to wait for a server that is just starting. Later, a lost one is waited for a minute."""


class RunId(click.ParamType[str]):
    """An id in any spelling; given on in the native one."""

    name = "run_id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return spell("run", parse_id(str(value)))
        except InvalidId as error:
            self.fail(f"{error.message}. {error.hint}", param, ctx)


RUN_ID = click.argument("run_id", metavar="ID", type=RunId())
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def with_client(command: Callable[..., None]) -> Callable[..., None]:
    """Adds `--url` and `--key`, and hands the command a client; its errors become exit codes."""

    @click.option("--url", metavar="URL", help="The server. [env: RUNWELL_URL; http://127.0.0.1:8005]")
    @click.option("--key", metavar="KEY", help="An API key. [env: RUNWELL_KEY]")
    @functools.wraps(command)
    def wrapped(*, url: str | None, key: str | None, **values: Any) -> None:
        with failures(), _client(url, key) as client:
            command(client, **values)

    return wrapped


def _client(url: str | None, key: str | None) -> Client:
    teller = _Teller()
    try:
        teller.client = Client(url, key, patience=Patience(first=FIRST_CONTACT), notice=teller)
        return teller.client
    except ValueError as error:
        raise Failure(str(error), "Check --url, or RUNWELL_URL.", USAGE) from error


class _Teller:
    """A connection that is lost is worth a line when somebody has to wait for it; once. One that
    never was is an error soon."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self._said = ""

    def __call__(self, error: ApiError, wait: float) -> None:
        lost = self.client is not None and self.client.reached
        if lost and wait >= 0.5 and error.message != self._said:
            self._said = error.message
            lead = CLEAR_LINE if sys.stderr.isatty() else ""
            click.echo(f"{lead}{error.message}; trying again", err=True)


@contextmanager
def failures() -> Iterator[None]:
    """Turns what the client raises into what the command line says."""
    try:
        yield
    except (ConnectionFailed, ServerUnavailable) as error:
        raise Failure(error.message, error.hint, UNREACHABLE) from error
    except ApiError as error:
        raise Failure(error.message, error.hint, USAGE if error.status in (400, 422) else 1) from error


def command_for(verb: str, run_id: str) -> str:
    """The command that goes on with this run, on this server."""
    ctx = click.get_current_context()
    url = ""
    if ctx.get_parameter_source("url") is ParameterSource.COMMANDLINE:
        url = f" --url {ctx.params['url']}"
    return f"runwell run {verb} {run_id}{url}"


@contextmanager
def detachable(run_id: str) -> Iterator[None]:
    """Ctrl-C inside leaves the run alone, and says how to come back to it."""
    try:
        yield
    except KeyboardInterrupt:
        sys.stdout.flush()
        click.echo(f"\ndetached; {run_id} goes on. Come back with:", err=True)
        click.echo(f"  {command_for('stream', run_id)}", err=True)
        click.get_current_context().exit(INTERRUPTED)
