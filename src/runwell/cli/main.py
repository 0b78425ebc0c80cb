"""The commands there are. Nothing heavy is imported here: the help should be there at once."""

import click

from runwell import __version__
from runwell.cli.lazy import LazyGroup, Place

HELP = """Run AI agents as durable background runs.

\b
Start a server, submit a run, watch it:
  runwell serve my_agents.py
  runwell run submit researcher "What is new?" --stream
  runwell run list --status running

`serve`, `work`, `keys`, `users`, `migrate`, `copy` and `doctor` work on the database itself; the others talk
to a server over HTTP: RUNWELL_URL (http://127.0.0.1:8005) with RUNWELL_KEY.
"""

COMMANDS = {
    "serve": Place("runwell.cli.serve:serve", "Start the server."),
    "work": Place("runwell.cli.work:work", "Work on the runs of other servers' database."),
    "run": Place("runwell.cli.run:run", "Submit runs, and watch, answer, cancel them."),
    "agents": Place("runwell.cli.agents:agents", "See which agents a server has."),
    "keys": Place("runwell.cli.keys:keys", "Make and revoke API keys."),
    "users": Place("runwell.cli.users:users", "Make and disable accounts of people."),
    "triggers": Place("runwell.cli.triggers:triggers", "Make addresses that start runs."),
    "schedules": Place("runwell.cli.schedules:schedules", "Start runs at the times of a cron expression."),
    "callbacks": Place("runwell.cli.callbacks:callbacks", "Have the ends of runs posted somewhere."),
    "deliveries": Place("runwell.cli.deliveries:deliveries", "See what was posted, and post it again."),
    "migrate": Place("runwell.cli.migrate:migrate", "Bring a database up to date."),
    "copy": Place("runwell.cli.copy:copy", "Move a database into PostgreSQL."),
    "doctor": Place("runwell.cli.doctor:doctor", "Check this machine and its database."),
}


@click.group(
    cls=LazyGroup,
    places=COMMANDS,
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="runwell %(version)s")
def cli() -> None:
    pass


def main() -> None:
    """The entry point `runwell`."""
    cli(prog_name="runwell")
