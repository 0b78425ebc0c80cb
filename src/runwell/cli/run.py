"""`runwell run …`: the verbs of a run."""

import click

from runwell.cli.lazy import LazyGroup, Place

HELP = """Submit runs, and watch, answer, cancel them.

\b
  runwell run submit summarize @report.txt --stream
  id=$(runwell run submit summarize @report.txt)
  runwell run status $id
  runwell run list --status waiting

Exit codes follow the run: 0 succeeded, 1 failed, 3 cancelled, 4 waiting for an answer. 2 is a
mistake in the command line, 5 a server that cannot be reached, 130 means you detached with Ctrl-C.
"""

COMMANDS = {
    "submit": Place("runwell.cli.run_submit:submit", "Start a run."),
    "status": Place("runwell.cli.run_read:status", "Show where a run is."),
    "result": Place("runwell.cli.run_read:result", "Print what a run returned."),
    "stream": Place("runwell.cli.run_watch:stream", "Print a run's text as it comes, from its start."),
    "list": Place("runwell.cli.run_read:list_runs", "List runs, newest first."),
    "steps": Place("runwell.cli.run_read:steps", "List a run's steps."),
    "cancel": Place("runwell.cli.run_act:cancel", "Ask a run to stop."),
    "retry": Place("runwell.cli.run_act:retry", "Run a final run again, as a new run."),
    "answer": Place("runwell.cli.run_act:answer", "Answer a run that waits."),
}


@click.group(cls=LazyGroup, places=COMMANDS, help=HELP)
def run() -> None:
    pass
