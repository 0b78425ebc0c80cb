"""`runwell triggers`."""

import click

from runwell.cli import terminal
from runwell.cli.connect import AS_JSON, with_client
from runwell.cli.values import read_value
from runwell.client import Client, Trigger
from runwell.domain.errors import InvalidId
from runwell.domain.ids import parse_id, spell


class TriggerId(click.ParamType[str]):
    """An id in any spelling; given on in the native one."""

    name = "trigger_id"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return spell("trigger", parse_id(str(value)))
        except InvalidId as error:
            self.fail(f"{error.message}. `runwell triggers list` shows them.", param, ctx)


TRIGGER_ID = click.argument("trigger_id", metavar="ID", type=TriggerId())


@click.group()
def triggers() -> None:
    """Make addresses that start a run when somebody posts to them.

    \b
      runwell triggers create summarize --name news
      runwell triggers list
      runwell triggers pause trigger_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
    """


@triggers.command()
@click.argument("agent")
@click.option("--name", default="", help="What to call it, for yourself.")
@click.option(
    "--secret",
    metavar="SECRET",
    help="Senders must sign their bodies with it. @FILE and - read it, so that no shell remembers it.",
)
@AS_JSON
@with_client
def create(client: Client, agent: str, name: str, secret: str | None, as_json: bool) -> None:
    """Make an address that starts runs of AGENT. It is printed once, here, and not kept.

    \b
      url=$(runwell triggers create summarize)
      curl -d '"A long text."' "$url"
      runwell triggers create summarize --secret @secret.txt
    """
    value = read_value(secret, as_json=False)
    trigger = client.triggers.create(agent, name=name, secret=_line(value))
    if as_json:
        terminal.print_json(trigger)
        return
    click.echo(trigger.url)
    click.echo(f"{trigger.id}: {_what(trigger)}", err=True)
    click.echo("hint: copy it now, it is not shown again. Whoever knows it may post.", err=True)


@triggers.command("list")
@AS_JSON
@with_client
def list_triggers(client: Client, as_json: bool) -> None:
    """List your triggers, newest first, without their addresses.

    \b
      runwell triggers list --json | jq -r .triggers[].id
    """
    found = client.triggers.list()
    if as_json:
        terminal.print_json({"triggers": found})
    elif not found:
        click.echo("no triggers", err=True)
    else:
        rows = [
            [
                trigger.id,
                trigger.name,
                trigger.agent,
                f"{trigger.prefix}…",
                "yes" if trigger.signed else "",
                "paused" if trigger.paused else "",
            ]
            for trigger in found
        ]
        terminal.table(["TRIGGER", "NAME", "AGENT", "BEGINS", "SIGNED", ""], rows)


@triggers.command()
@TRIGGER_ID
@AS_JSON
@with_client
def pause(client: Client, trigger_id: str, as_json: bool) -> None:
    """Let a trigger start nothing until it is resumed. Its address stays.

    \b
      runwell triggers pause trigger_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
    """
    _say(client.triggers.pause(trigger_id), as_json, "is paused")


@triggers.command()
@TRIGGER_ID
@AS_JSON
@with_client
def resume(client: Client, trigger_id: str, as_json: bool) -> None:
    """Let a paused trigger start runs again.

    \b
      runwell triggers resume trigger_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
    """
    _say(client.triggers.resume(trigger_id), as_json, "starts runs again")


@triggers.command()
@TRIGGER_ID
@with_client
def delete(client: Client, trigger_id: str) -> None:
    """End a trigger's address for good. The runs it started stay.

    \b
      runwell triggers delete trigger_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
    """
    client.triggers.delete(trigger_id)
    click.echo(f"{trigger_id} is deleted")


def _say(trigger: Trigger, as_json: bool, what: str) -> None:
    if as_json:
        terminal.print_json(trigger)
    else:
        click.echo(f"{trigger.id} {what}")


def _what(trigger: Trigger) -> str:
    signed = ", signed bodies only" if trigger.signed else ""
    return f"starts {trigger.agent}{signed}"


def _line(secret: str | None) -> str | None:
    """Without the line's end that editors and `echo` put behind it."""
    return None if secret is None else secret.rstrip("\r\n")
