"""`runwell users`: on the database itself, also beside a running server."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from runwell.auth.sessions import Accounts
from runwell.cli import terminal
from runwell.cli.lazy import Failure
from runwell.cli.local import USAGE, existing, with_settings
from runwell.config import Settings
from runwell.domain.errors import UserNotFound
from runwell.domain.ids import parse_id, spell
from runwell.domain.instant import to_iso
from runwell.domain.user import User
from runwell.wiring import SystemClock, open_store

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
WHO = click.argument("who", metavar="USER")

T = TypeVar("T")


@click.group()
def users() -> None:
    """Make and disable the accounts of people who sign in, in the database of this machine.

    USER is an e-mail address or an id, as `users list` shows them.

    \b
      runwell users create ada@example.com --name "Ada Lovelace"
      runwell users password ada@example.com
      runwell users disable ada@example.com
    """


@users.command()
@click.argument("email")
@click.option("--name", help="What to call this person. [what stands before the @]")
@click.option("--admin", is_flag=True, help="May do everything, keys too; other people's runs stay theirs.")
@AS_JSON
@with_settings
def create(settings: Settings, email: str, name: str | None, admin: bool, as_json: bool) -> None:
    """Make an account. The password is asked for, or read from standard input.

    \b
      runwell users create ada@example.com --name "Ada Lovelace"
      runwell users create ops@example.com --admin < password.txt
    """
    password = _password()
    called = name or email.strip().partition("@")[0]
    user = _do(settings, lambda accounts: accounts.create(email, called, password, admin=admin))
    if as_json:
        terminal.print_json(_shown(user))
    else:
        click.echo(f"{spell('user', user.id)} ({user.email}) can sign in")


@users.command("list")
@AS_JSON
@with_settings
def list_users(settings: Settings, as_json: bool) -> None:
    """List the accounts, newest first.

    \b
      runwell users list
    """
    found = _do(existing(settings), lambda accounts: accounts.all())
    if as_json:
        terminal.print_json({"users": [_shown(user) for user in found]})
    elif not found:
        click.echo("no users", err=True)
    else:
        rows = [
            [
                spell("user", user.id),
                user.email,
                user.name,
                "admin" if user.admin else "",
                to_iso(user.created_at)[:10],
                f"disabled {to_iso(user.disabled_at)[:10]}" if user.disabled_at is not None else "",
            ]
            for user in found
        ]
        terminal.table(["USER", "E-MAIL", "NAME", "", "MADE", ""], rows)


@users.command()
@WHO
@with_settings
def password(settings: Settings, who: str) -> None:
    """Set a new password; whoever is signed in with the old one is signed out.

    It is asked for, or read from standard input.

    \b
      runwell users password ada@example.com
      runwell users password ada@example.com < password.txt
    """
    given = _password()

    async def work(accounts: Accounts) -> User:
        return await accounts.set_password((await _find(accounts, who)).id, given)

    user = _do(existing(settings), work)
    click.echo(f"{spell('user', user.id)} ({user.email}) has a new password")


@users.command()
@WHO
@with_settings
def disable(settings: Settings, who: str) -> None:
    """Let somebody sign in no more. A running server ends all sessions within a second.

    Runs go on, and keys made for this owner work until they are revoked.

    \b
      runwell users disable ada@example.com
    """

    async def work(accounts: Accounts) -> User:
        return await accounts.disable((await _find(accounts, who)).id)

    user = _do(existing(settings), work)
    click.echo(f"{spell('user', user.id)} ({user.email}) is disabled")


@users.command()
@WHO
@with_settings
def enable(settings: Settings, who: str) -> None:
    """Let somebody who was disabled sign in again.

    \b
      runwell users enable ada@example.com
    """

    async def work(accounts: Accounts) -> User:
        return await accounts.enable((await _find(accounts, who)).id)

    user = _do(existing(settings), work)
    click.echo(f"{spell('user', user.id)} ({user.email}) can sign in")


@users.command("sign-out")
@WHO
@with_settings
def sign_out(settings: Settings, who: str) -> None:
    """End all sessions of somebody, who can sign in again.

    \b
      runwell users sign-out ada@example.com
    """

    async def work(accounts: Accounts) -> int:
        return await accounts.sign_out_everywhere((await _find(accounts, who)).id)

    count = _do(existing(settings), work)
    click.echo(f"{count} session{'' if count == 1 else 's'} ended")


def _do(settings: Settings, work: Callable[[Accounts], Awaitable[T]]) -> T:
    async def opened() -> T:
        async with open_store(settings) as store:
            accounts = Accounts(store, SystemClock(), signup_open=False)
            try:
                return await work(accounts)
            finally:
                accounts.close()

    return asyncio.run(opened())


async def _find(accounts: Accounts, who: str) -> User:
    """By e-mail address or id. Raises `InvalidId`, `UserNotFound`."""
    if "@" not in who:
        return await accounts.get(parse_id(who))
    user = await accounts.by_email(who)
    if user is None:
        raise UserNotFound(who)
    return user


def _password() -> str:
    """Asked for twice on a terminal; else the first line of standard input. Never an argument: those
    are seen by everybody on the machine and kept by the shell."""
    if sys.stdin.isatty():
        asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return asked
    try:
        line = sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        # `from None`: the error of the codec holds what was read.
        raise Failure("the password on standard input is not UTF-8 text", exit_code=USAGE) from None
    if not line:
        raise Failure(
            "no password came on standard input", "Write it there on one line: `… < password.txt`.", USAGE
        )
    return line


def _shown(user: User) -> dict[str, object]:
    """A user as programs read it."""
    return {
        "id": spell("user", user.id),
        "email": user.email,
        "name": user.name,
        "owner": user.owner,
        "admin": user.admin,
        "created_at": to_iso(user.created_at),
        "disabled_at": None if user.disabled_at is None else to_iso(user.disabled_at),
    }
