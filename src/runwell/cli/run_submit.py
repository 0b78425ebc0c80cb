"""`runwell run submit`."""

from datetime import datetime
from typing import Any

import click

from runwell.cli import following, terminal
from runwell.cli.connect import command_for, with_client
from runwell.cli.values import read_pairs, read_value
from runwell.client import Client, Run


class Moment(click.ParamType[datetime]):
    """An instant with its offset, RFC 3339."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time such as 2026-11-22T22:30:00Z", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value!r} names no time zone: add Z or an offset such as +02:00", param, ctx)
        return moment


@click.command()
@click.argument("agent")
@click.argument("value", metavar="[INPUT]", required=False)
@click.option("-J", "--json-input", is_flag=True, help="INPUT is JSON, not text.")
@click.option("--wait", "mode", flag_value="wait", help="Wait for the end, print the result.")
@click.option("--stream", "mode", flag_value="stream", help="Print the text as it comes.")
@click.option("--detach", "mode", flag_value="detach", default=True, help="Print the run's id. The default.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the run as JSON; with --stream, its events, one a line."
)
@click.option("--thread", "thread_id", metavar="ID", help="The thread it belongs to; made if it is new.")
@click.option(
    "--if-busy",
    type=click.Choice(["refuse", "queue", "together"]),
    help="When a run of the thread is under way. [queue]",
)
@click.option("--concurrency-key", metavar="KEY", help="One run with this key works at a time.")
@click.option("--metadata", metavar="K=V", multiple=True, help="A note on the run; may be repeated.")
@click.option("--priority", type=click.IntRange(-100, 100), help="Higher starts sooner. [0]")
@click.option("--not-before", type=Moment(), help="Start it then at the earliest, 2026-11-22T22:30:00Z.")
@click.option("--timeout", type=float, metavar="SECONDS", help="How long it may work.")
@click.option("--expires-in", type=float, metavar="SECONDS", help="How long it may wait for its first start.")
@click.option(
    "--max-attempts",
    type=click.IntRange(1, 100),
    help="Tries, lost workers included. [3, or the agent's retries + 1]",
)
@click.option(
    "--callback", "callbacks", metavar="URL", multiple=True, help="Post its end there; may be repeated."
)
@click.option("--idempotency-key", metavar="KEY", help="Submitting again with this key is the same run.")
@with_client
def submit(
    client: Client,
    agent: str,
    value: str | None,
    json_input: bool,
    mode: str,
    as_json: bool,
    metadata: tuple[str, ...],
    **options: Any,
) -> None:
    """Start a run of AGENT.

    INPUT is text, @FILE for what is in a file, or - for what comes on standard input.

    \b
      runwell run submit summarize @report.txt --stream
      runwell run submit researcher "What is new in Rust?" --wait
      echo '{"depth": 2}' | runwell run submit crawler - -J
      id=$(runwell run submit nightly --priority -10 --metadata team=ops)

    Ctrl-C leaves the run to itself. Exit codes: `runwell run --help`.
    """
    content = read_value(value, as_json=json_input)
    run = client.runs.create(agent, content, metadata=read_pairs(metadata), **options)
    if mode == "detach":
        _detach(run, as_json)
        return
    click.echo(run.id, err=True)
    if mode == "stream":
        following.finish(following.stream(client, run.id, 0, as_json=as_json))
        return
    ended = following.wait(client, run.id)
    if as_json:
        terminal.print_json(ended)
    else:
        following.print_output(ended)
    following.finish(ended)


def _detach(run: Run, as_json: bool) -> None:
    if as_json:
        terminal.print_json(run)
        return
    click.echo(run.id)
    click.echo(f"hint: {command_for('stream', run.id)}", err=True)
