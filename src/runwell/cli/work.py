"""`runwell work`."""

from typing import Any

import click

from runwell import config
from runwell.cli.local import failures
from runwell.cli.process import run_until_stopped


@click.command()
@click.argument("agents", nargs=-1, metavar="[AGENTS]...")
@click.option("--db", metavar="URL", help="The database: postgresql://user@host/name. [env: RUNWELL_DB]")
@click.option("--concurrency", type=int, metavar="N", help="How many runs are worked on at once. [100]")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error. [info]")
@click.option(
    "--config", "file", metavar="FILE", help="The settings file. [env: RUNWELL_CONFIG; runwell.toml]"
)
def work(agents: tuple[str, ...], file: str | None, **flags: Any) -> None:
    """Work on runs that servers on the same PostgreSQL database are given.

    AGENTS are files or modules, as for `runwell serve`. Start as many of these, on as many machines, as
    there is work for; each may serve other agents.

    \b
      runwell serve --no-worker --db postgresql://runwell@db/runwell
      runwell work my_agents.py --db postgresql://runwell@db/runwell

    SIGTERM stops it: what is running is handed back, and goes on elsewhere. What a worker that vanishes
    was doing goes on elsewhere too, after RUNWELL_LAPSE seconds.
    """
    with failures():
        settings = config.read({**flags, "load": agents}, config=file)
        run_until_stopped(settings, "work")
