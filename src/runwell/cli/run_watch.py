"""`runwell run stream`."""

import click

from runwell.cli import following
from runwell.cli.connect import RUN_ID, with_client
from runwell.client import Client


@click.command()
@RUN_ID
@click.option(
    "--after", type=click.IntRange(min=0), default=0, metavar="SEQ", help="Begin behind this event."
)
@click.option("--json", "as_json", is_flag=True, help="Print every event as a line of JSON.")
@with_client
def stream(client: Client, run_id: str, after: int, as_json: bool) -> None:
    """Print a run's text from its start, then as it comes; progress goes to stderr.

    A run that has ended is replayed. A lost connection, or a restarted server, is come back from
    without losing or repeating a word.

    \b
      runwell run stream $id
      runwell run stream $id --json | jq .type

    Ctrl-C leaves the run to itself. Exit codes: `runwell run --help`.
    """
    following.finish(following.stream(client, run_id, after, as_json=as_json))
