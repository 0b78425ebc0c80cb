"""`runwell agents`."""

import click

from runwell.cli import terminal
from runwell.cli.connect import AS_JSON, with_client
from runwell.client import Client


@click.group()
def agents() -> None:
    """See which agents a server has.

    \b
      runwell agents list
      runwell agents show summarize
    """


@agents.command("list")
@AS_JSON
@with_client
def list_agents(client: Client, as_json: bool) -> None:
    """List the agents; the default one takes runs that name none.

    \b
      runwell agents list --json | jq -r .agents[].name
    """
    found = client.agents.list()
    if as_json:
        terminal.print_json({"agents": found})
        return
    rows = [
        [
            agent.name,
            agent.model or agent.kind,
            "yes" if agent.default else "",
            terminal.short(agent.description.split("\n\n")[0], 70),
        ]
        for agent in found
    ]
    terminal.table(["AGENT", "KIND", "DEFAULT", "DESCRIPTION"], rows)


@agents.command()
@click.argument("name")
@AS_JSON
@with_client
def show(client: Client, name: str, as_json: bool) -> None:
    """Show one agent: what it takes, what it returns, its limits.

    \b
      runwell agents show summarize
    """
    agent = client.agents.get(name)
    if as_json:
        terminal.print_json(agent)
        return
    terminal.fields(
        [
            ("Agent", agent.name),
            ("Kind", agent.kind),
            ("Model", agent.model or ""),
            ("Default", "yes" if agent.default else ""),
            ("Description", agent.description),
            ("Retries", str(agent.retries)),
            ("Timeout", terminal.duration(agent.timeout)),
            ("At once", str(agent.concurrency) if agent.concurrency else ""),
            ("Input", terminal.document(agent.input_schema)),
            ("Output", terminal.document(agent.output_schema) if agent.output_schema else ""),
        ]
    )
