"""`runwell serve`."""

import sys
from typing import Any

import click

from runwell import config
from runwell.cli.lazy import Failure
from runwell.cli.local import failures
from runwell.cli.process import run_until_stopped
from runwell.config import Settings


@click.command()
@click.argument("agents", nargs=-1, metavar="[AGENTS]...")
@click.option("--host", metavar="ADDRESS", help="The address to listen on. [127.0.0.1]")
@click.option("--port", type=int, metavar="N", help="The port; 0 takes a free one. [8005]")
@click.option(
    "--db",
    metavar="PATH",
    help="The database: a file, made if it is not there, or a postgresql:// URL. [runwell.db]",
)
@click.option(
    "--worker/--no-worker", default=None, help="Work on runs too, or leave that to `runwell work`. [--worker]"
)
@click.option("--concurrency", type=int, metavar="N", help="How many runs are worked on at once. [100]")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error. [info]")
@click.option(
    "--config", "file", metavar="FILE", help="The settings file. [env: RUNWELL_CONFIG; runwell.toml]"
)
@click.option("--reload", is_flag=True, help="Start anew when a Python file beside the agents changes.")
@click.pass_context
def serve(
    ctx: click.Context, /, agents: tuple[str, ...], file: str | None, reload: bool, **flags: Any
) -> None:
    """Start the server, with the agents that AGENTS name and those that come with Runwell.

    AGENTS are files or modules, with or without a name in them: my_agents.py,
    my_agents.py:researcher, my_package.agents, my_package.agents:researcher.

    \b
      runwell serve
      runwell serve my_agents.py --reload
      runwell serve my_package.agents --port 9000 --db /var/lib/runwell/runs.db
      runwell serve --no-worker --db postgresql://runwell@db/runwell

    Every flag is also a variable, RUNWELL_PORT, and a key of runwell.toml. On loopback, and as long
    as there is no key, requests need none. SIGTERM stops it; unfinished runs go on at the next start.
    """
    with failures():
        settings = config.read({**flags, "load": agents}, config=file)
        if reload:
            from runwell.cli.reload import serve_again

            ctx.exit(serve_again(settings.load, _arguments(agents, file, flags)))
        _serve(settings)


def _serve(settings: Settings) -> None:
    try:
        run_until_stopped(settings, "serve")
    except SystemExit as error:
        # So uvicorn ends when it cannot listen; its own line says what the system said.
        raise Failure(
            f"cannot listen on {settings.host}:{settings.port}",
            "Does another program use this port? --port 0 takes a free one.",
        ) from error


def _arguments(agents: tuple[str, ...], file: str | None, flags: dict[str, Any]) -> list[str]:
    """The command of the same server without `--reload`."""
    given = {**flags, "config": file}
    worker = given.pop("worker")
    options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items() if value is not None]
    if worker is not None:
        options.append("--worker" if worker else "--no-worker")
    return [sys.executable, "-m", "runwell", "serve", *options, *agents]
