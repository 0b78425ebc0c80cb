"""`runwell copy`: move all that is in one database into another."""

import asyncio

import click
import msgspec

from runwell import config
from runwell.cli import terminal
from runwell.cli.local import failures
from runwell.wiring import operating


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option(
    "--config", "file", metavar="FILE", help="The settings file. [env: RUNWELL_CONFIG; runwell.toml]"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def copy(source: str, target: str, file: str | None, as_json: bool) -> None:
    """Move the database FROM into the empty PostgreSQL database TO.

    FROM is a SQLite file or a PostgreSQL database; no server may be at work on it, and nothing in it
    is changed. All is copied in one transaction and read back before that is committed: either TO
    has everything at the end, or nothing.

    \b
      runwell copy runwell.db postgresql://runwell@db/runwell
      runwell copy postgresql://old/runwell postgresql://new/runwell

    Then start servers with TO, and none with FROM: what is queued goes on there, what was running
    is tried again.
    """
    with failures():
        settings = config.read({"db": source}, config=file)
        into = msgspec.structs.replace(settings, db=target)
        live = terminal.Live()
        copied = asyncio.run(operating.copy(settings, into, lambda *at: live.show(_progress(*at))))
        live.clear()
    if as_json:
        shown = {"from": settings.database, "to": into.database}
        terminal.print_json({**shown, "tables": [table._asdict() for table in copied]})
        return
    terminal.table(
        ["TABLE", "ROWS", "CHECKSUM"],
        [[each.table, f"{each.rows:,}", each.checksum] for each in copied],
    )
    click.echo(f"{into.database} now has all that is in {settings.database}.")


def _progress(table: str, done: int, total: int) -> str:
    return f"{table}: {done:,} of {total:,} rows"
