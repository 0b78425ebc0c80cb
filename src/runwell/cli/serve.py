"""`runwell serve`."""

import asyncio
import gc
import logging
import sys
from collections.abc import Callable
from typing import Any

import click

from runwell import config
from runwell.cli.lazy import Failure
from runwell.cli.local import failures
from runwell.config import Settings


@click.command()
@click.argument("agents", nargs=-1, metavar="[AGENTS]...")
@click.option("--host", metavar="ADDRESS", help="The address to listen on. [127.0.0.1]")
@click.option("--port", type=int, metavar="N", help="The port; 0 takes a free one. [8005]")
@click.option("--db", metavar="PATH", help="The database; made if it is not there. [runwell.db]")
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
    from runwell import wiring

    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)-7s %(message)s", stream=sys.stderr
    )
    _collect_rarely()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(wiring.serve(settings))
    except SystemExit as error:
        # So uvicorn ends when it cannot listen; its own line says what the system said.
        raise Failure(
            f"cannot listen on {settings.host}:{settings.port}",
            "Does another program use this port? --port 0 takes a free one.",
        ) from error


def _collect_rarely() -> None:
    """What was imported stays for ever, so the garbage collector need not look at it; and values here
    are freed by reference counts, so it may come less often than for 700 new objects."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where there is one; it does not run on Windows."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _arguments(agents: tuple[str, ...], file: str | None, flags: dict[str, Any]) -> list[str]:
    """The command of the same server without `--reload`."""
    given = {**flags, "config": file}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items() if value is not None]
    return [sys.executable, "-m", "runwell", "serve", *options, *agents]
