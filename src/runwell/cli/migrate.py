"""`runwell migrate`: bring a database up to date, or see what that would do."""

import asyncio
from typing import Any

import click

from runwell.cli import terminal
from runwell.cli.local import with_settings
from runwell.config import Settings
from runwell.wiring import operating

MISSING, NEWER = 1, 3
"""How `--check` ends when something is missing, and when only a newer program may use the database."""


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; end with 1 if something is missing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@with_settings
def migrate(settings: Settings, check: bool, as_json: bool) -> None:
    """Bring the database up to date with this version.

    A SQLite file must not be served meanwhile; its server does this by itself when it starts. On
    PostgreSQL it may be done beside running servers, older ones too: see what --check says.

    \b
      runwell migrate --db postgresql://runwell@db/runwell --check
      runwell migrate --db postgresql://runwell@db/runwell

    --check ends with 0 when nothing is missing, 1 when something is, 3 when the database needs a
    newer version than this one.
    """
    if not check:
        done = asyncio.run(operating.upgrade(settings))
        found = asyncio.run(operating.outlook(settings))
        if as_json:
            terminal.print_json({**_shown(settings, found), "done": [step._asdict() for step in done]})
            return
        for step in done:
            click.echo(f"done: {step.name}")
        click.echo(f"{settings.database} is up to date (schema {found.schema.number}).")
        return
    found = asyncio.run(operating.outlook(settings))
    if as_json:
        terminal.print_json(_shown(settings, found))
    else:
        _tell(settings, found)
    click.get_current_context().exit(NEWER if not found.usable else MISSING if found.steps else 0)


def _shown(settings: Settings, found: operating.Outlook) -> dict[str, Any]:
    return {
        "database": settings.database,
        "schema": found.schema.number,
        "needs": found.schema.needs,
        "known": found.known,
        "usable": found.usable,
        "missing": [step._asdict() for step in found.steps],
    }


def _tell(settings: Settings, found: operating.Outlook) -> None:
    have, known = found.schema.number, found.known
    if not found.usable:
        click.echo(
            f"{settings.database} was written by a newer version: it needs one that knows schema "
            f"{found.schema.needs}, and this one knows {known}."
        )
    elif found.steps:
        click.echo(f"{settings.database} has schema {have}; this version has {known}. Missing:")
        for step in found.steps:
            click.echo(f"  {step.name}: {_safety(step)}")
    elif have > known:
        click.echo(
            f"{settings.database} has schema {have}, newer than this version's {known}, which may use it."
        )
    else:
        click.echo(f"{settings.database} is up to date (schema {have}).")


def _safety(step: operating.Step) -> str:
    if step.safe:
        return "only adds; older servers may go on beside it"
    return "older servers must be stopped before it"
