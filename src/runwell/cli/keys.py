"""`runwell keys`: on the database itself, also beside a running server."""

import asyncio
import sys

import click

from runwell.auth.keys import PREFIX, Minted, issue
from runwell.cli import terminal
from runwell.cli.lazy import Failure
from runwell.cli.local import existing, with_settings
from runwell.config import Settings
from runwell.domain.ids import parse_id, spell
from runwell.domain.instant import to_iso
from runwell.domain.principal import LOCAL_OWNER, Key, Scope
from runwell.wiring import SystemClock, open_store

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.group()
def keys() -> None:
    """Make and revoke API keys, in the database of this machine.

    With a key in it, a server can be opened to others, and refuses who has none from its next start.

    \b
      runwell keys create laptop
      runwell keys create dashboard --scope runs:read
      runwell keys revoke key_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
    """


@keys.command()
@click.argument("name")
@click.option("--owner", default=LOCAL_OWNER, show_default=True, help="Whose runs it sees and makes.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="May be repeated. [all of them]",
)
@AS_JSON
@with_settings
def create(settings: Settings, name: str, owner: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Make a key called NAME. The secret is printed once, here, and not kept.

    \b
      export RUNWELL_KEY=$(runwell keys create laptop)
    """

    async def work() -> Minted:
        async with open_store(settings) as store:
            wanted = frozenset(map(Scope, scopes or Scope))
            return await issue(store, SystemClock(), owner=owner, name=name, scopes=wanted)

    minted = asyncio.run(work())
    if as_json:
        terminal.print_json({**_shown(minted.key), "secret": minted.secret})
        return
    click.echo(minted.secret)
    key = spell("key", minted.key.id)
    click.echo(f"{key} for {owner}: {', '.join(sorted(minted.key.scopes))}", err=True)
    if sys.stdout.isatty():
        click.echo("hint: copy it now, it is not shown again. Clients read RUNWELL_KEY.", err=True)


@keys.command("list")
@click.option("--owner", help="Only this owner's.")
@AS_JSON
@with_settings
def list_keys(settings: Settings, owner: str | None, as_json: bool) -> None:
    """List the keys, newest first, without their secrets.

    \b
      runwell keys list --owner local
    """

    async def work() -> list[Key]:
        async with open_store(existing(settings)) as store:
            return await store.keys.all(owner)

    found = asyncio.run(work())
    if as_json:
        terminal.print_json({"keys": [_shown(key) for key in found]})
    elif not found:
        click.echo("no keys", err=True)
    else:
        rows = [
            [
                spell("key", key.id),
                key.name,
                key.owner,
                f"{key.prefix}…",
                "all" if set(key.scopes) >= set(Scope) else ",".join(sorted(key.scopes)),
                to_iso(key.created_at)[:10],
                f"revoked {to_iso(key.revoked_at)[:10]}" if key.revoked_at is not None else "",
            ]
            for key in found
        ]
        terminal.table(["KEY", "NAME", "OWNER", "BEGINS", "SCOPES", "MADE", ""], rows)


@keys.command()
@click.argument("key_id", metavar="ID")
@AS_JSON
@with_settings
def revoke(settings: Settings, key_id: str, as_json: bool) -> None:
    """End a key. A running server refuses it from the next second on.

    ID is the key's, or the beginning of its secret as `keys list` shows it.

    \b
      runwell keys revoke key_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
      runwell keys revoke rw_Xk3f9Qa
    """

    async def work() -> Key:
        async with open_store(existing(settings)) as store:
            if key_id.startswith(PREFIX):
                id = _by_prefix(await store.keys.all(None), key_id)
            else:
                id = parse_id(key_id)
            return await store.keys.revoke(id, None, SystemClock().now())

    key = asyncio.run(work())
    if as_json:
        terminal.print_json(_shown(key))
    else:
        click.echo(f"{spell('key', key.id)} ({key.name}) is revoked")


def _by_prefix(found: list[Key], begins: str) -> str:
    fitting = [key for key in found if begins.startswith(key.prefix) or key.prefix.startswith(begins)]
    if len(fitting) != 1:
        raise Failure(f"{len(fitting)} keys begin like that", "`runwell keys list` shows them.")
    return fitting[0].id


def _shown(key: Key) -> dict[str, object]:
    """A key as the API shows it."""
    return {
        "id": spell("key", key.id),
        "name": key.name,
        "owner": key.owner,
        "prefix": key.prefix,
        "scopes": sorted(key.scopes),
        "created_at": to_iso(key.created_at),
        "revoked_at": None if key.revoked_at is None else to_iso(key.revoked_at),
    }
