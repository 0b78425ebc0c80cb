"""`runwell run cancel`, `retry` and `answer`."""

import click

from runwell.cli import following, terminal
from runwell.cli.connect import AS_JSON, RUN_ID, command_for, with_client
from runwell.cli.values import read_value
from runwell.client import Client, Run


@click.command()
@RUN_ID
@click.option("--wait", is_flag=True, help="Wait until it has stopped.")
@AS_JSON
@with_client
def cancel(client: Client, run_id: str, wait: bool, as_json: bool) -> None:
    """Ask a run to stop. What nobody works on is cancelled at once; an agent at work is interrupted.

    \b
      runwell run cancel $id --wait
    """
    run = client.runs.cancel(run_id)
    if wait and not run.final:
        run = following.wait(client, run_id)
    _say(run, as_json, f"{run.id} is {run.status}" + ("" if run.final else ", asked to stop"))


@click.command()
@RUN_ID
@AS_JSON
@with_client
def retry(client: Client, run_id: str, as_json: bool) -> None:
    """Run a final run again, as a new run that keeps the finished steps. Prints the new id.

    \b
      runwell run stream $(runwell run retry $id)
    """
    run = client.runs.retry(run_id)
    _say(run, as_json, run.id)
    if not as_json:
        click.echo(f"hint: {command_for('stream', run.id)}", err=True)


@click.command()
@RUN_ID
@click.argument("value", metavar="VALUE")
@click.option("-J", "--json-input", is_flag=True, help="VALUE is JSON, not text.")
@click.option("--question", metavar="KEY", help="The question's key. [of the one it asks now]")
@AS_JSON
@with_client
def answer(
    client: Client, run_id: str, value: str, json_input: bool, question: str | None, as_json: bool
) -> None:
    """Answer the question of a run that waits. VALUE is text, @FILE or -.

    \b
      runwell run answer $id "yes, go on"
      runwell run answer $id true -J
    """
    content = read_value(value, as_json=json_input)
    if question is None:
        asked = client.runs.get(run_id).question
        question = asked.key if asked is not None else None
    run = client.runs.answer(run_id, content, key=question)
    _say(run, as_json, f"{run.id} is {run.status} again")
    if not as_json:
        click.echo(f"hint: {command_for('stream', run.id)}", err=True)


def _say(run: Run, as_json: bool, sentence: str) -> None:
    if as_json:
        terminal.print_json(run)
    else:
        click.echo(sentence)
