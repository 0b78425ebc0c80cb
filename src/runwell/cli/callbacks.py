"""`runwell callbacks`."""

import click

from runwell.cli import terminal
from runwell.cli.connect import AS_JSON, with_client
from runwell.cli.values import read_value
from runwell.client import Callback, Client, SigningSecret
from runwell.domain.callback import TELLABLE
from runwell.domain.errors import InvalidId
from runwell.domain.ids import parse_id, spell


class CallbackId(click.ParamType[str]):
    """An id in any spelling; given on in the native one."""

    name = "callback_id"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return spell("cb", parse_id(str(value)))
        except InvalidId as error:
            self.fail(f"{error.message}. `runwell callbacks list` shows them.", param, ctx)


CALLBACK_ID = click.argument("callback_id", metavar="ID", type=CallbackId())
SECRET = click.option(
    "--secret",
    metavar="SECRET",
    help="One of your own: whsec_ and base64. @FILE and - read it, so that no shell remembers it.",
)


@click.group()
def callbacks() -> None:
    """Have the ends of runs posted to an address, signed.

    \b
      runwell callbacks create https://app.example.com/hooks
      runwell callbacks list
      runwell callbacks rotate cb_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
      runwell callbacks secret

    What was posted, and what came of it: `runwell deliveries --help`.
    """


@callbacks.command()
@click.argument("address", metavar="URL")
@click.option(
    "--event",
    "events",
    multiple=True,
    metavar="EVENT",
    type=click.Choice(sorted(TELLABLE)),
    help="Such as run.waiting; may be repeated. [the ways a run can end]",
)
@click.option("--agent", "agents", multiple=True, metavar="NAME", help="Only its runs; may be repeated.")
@click.option("--description", help="What it is for, for yourself.")
@SECRET
@AS_JSON
@with_client
def create(
    client: Client,
    address: str,
    events: tuple[str, ...],
    agents: tuple[str, ...],
    description: str | None,
    secret: str | None,
    as_json: bool,
) -> None:
    """Post to URL what becomes of your runs. Prints the secret that posts are signed with, once.

    \b
      export HOOK_SECRET=$(runwell callbacks create https://app.example.com/hooks)
      runwell callbacks create https://app.example.com/hooks \\
          --event run.failed --event run.waiting --agent researcher
    """
    made = client.callbacks.create(
        address,
        events=events or None,
        agents=agents or None,
        description=description,
        secret=_line(read_value(secret, as_json=False)),
    )
    if as_json:
        terminal.print_json(made)
        return
    click.echo(made.secret)
    click.echo(f"{made.id}: {', '.join(made.events)} of {', '.join(made.agents) or 'all agents'}", err=True)
    click.echo("hint: copy the secret now, it is not shown again. Receivers verify with it.", err=True)


@callbacks.command("list")
@AS_JSON
@with_client
def list_callbacks(client: Client, as_json: bool) -> None:
    """List your callbacks, newest first, without their secrets.

    \b
      runwell callbacks list --json | jq -r .callbacks[].id
    """
    found = client.callbacks.list()
    if as_json:
        terminal.print_json({"callbacks": found})
    elif not found:
        click.echo("no callbacks", err=True)
    else:
        terminal.table(["CALLBACK", "URL", "EVENTS", "AGENTS", ""], list(map(_row, found)))


def _row(callback: Callback) -> list[str]:
    return [
        callback.id,
        terminal.short(callback.url, 60),
        ",".join(callback.events),
        ",".join(callback.agents) or "all",
        "paused" if callback.paused else callback.description,
    ]


@callbacks.command()
@CALLBACK_ID
@AS_JSON
@with_client
def pause(client: Client, callback_id: str, as_json: bool) -> None:
    """Tell nothing until it is resumed. What happens meanwhile is not told later.

    \b
      runwell callbacks pause cb_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
    """
    _say(client.callbacks.update(callback_id, paused=True), as_json, "is paused")


@callbacks.command()
@CALLBACK_ID
@AS_JSON
@with_client
def resume(client: Client, callback_id: str, as_json: bool) -> None:
    """Let a paused callback tell again.

    \b
      runwell callbacks resume cb_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
    """
    _say(client.callbacks.update(callback_id, paused=False), as_json, "tells again")


@callbacks.command()
@CALLBACK_ID
@with_client
def delete(client: Client, callback_id: str) -> None:
    """Remove a callback and its secret. What was still to be posted for it is given up.

    \b
      runwell callbacks delete cb_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
    """
    client.callbacks.delete(callback_id)
    click.echo(f"{callback_id} is deleted")


@callbacks.command()
@click.argument("callback_id", metavar="[ID]", type=CallbackId(), required=False)
@click.option("--overlap", type=float, metavar="SECONDS", help="How long the old one is good too. [86400]")
@SECRET
@AS_JSON
@with_client
def rotate(
    client: Client, callback_id: str | None, overlap: float | None, secret: str | None, as_json: bool
) -> None:
    """Replace a callback's secret and print the new one; without an ID, your own.

    Until the overlap ends posts carry a signature by each, so receivers can change over in between.

    \b
      runwell callbacks rotate cb_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
      runwell callbacks rotate --overlap 3600
    """
    brought = _line(read_value(secret, as_json=False))
    _print_secret(client.callbacks.rotate(callback_id, overlap=overlap, secret=brought), as_json)


@callbacks.command()
@AS_JSON
@with_client
def secret(client: Client, as_json: bool) -> None:
    """Print your own secret, which callbacks of single runs are signed with.

    \b
      export HOOK_SECRET=$(runwell callbacks secret)
      runwell run submit summarize @report.txt \\
          --callback https://app.example.com/hooks
    """
    _print_secret(client.callbacks.secret(), as_json)


def _print_secret(found: SigningSecret, as_json: bool) -> None:
    if as_json:
        terminal.print_json(found)
        return
    click.echo(found.secret)
    if found.old_valid_until is not None:
        click.echo(f"the old one is good until {terminal.instant(found.old_valid_until)}", err=True)


def _say(callback: Callback, as_json: bool, what: str) -> None:
    if as_json:
        terminal.print_json(callback)
    else:
        click.echo(f"{callback.id} {what}")


def _line(text: str | None) -> str | None:
    """Without the line's end that editors and `echo` put behind it."""
    return None if text is None else text.rstrip("\r\n")
