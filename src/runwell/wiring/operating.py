"""Looking after a database, without a store on it: `runwell migrate`, `runwell copy`, `runwell doctor`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runwell.config import BadSetting, Settings
from runwell.store.scripts import Step
from runwell.store.upgrading import Extra, Outlook, Place
from runwell.store.upgrading import outlook as look
from runwell.store.upgrading import upgrade as bring_up_to_date

if TYPE_CHECKING:
    from runwell.store.copying import Copied, Told
    from runwell.store.postgres.condition import Condition

__all__ = ["Condition", "Copied", "Outlook", "Step", "condition", "copy", "outlook", "upgrade"]


async def outlook(settings: Settings) -> Outlook:
    """What the database lacks. Raises `StoreUnavailable`, and `BadSetting` without the extra."""
    with needing_the_extra():
        place = _place_of(settings)
        return await look(place, _extras(place))


async def upgrade(settings: Settings) -> list[Step]:
    """What was done. Raises `StoreUnavailable`, and `BadSetting` without the extra."""
    with needing_the_extra():
        place = _place_of(settings)
        return await bring_up_to_date(place, _extras(place))


async def copy(source: Settings, target: Settings, told: "Told") -> "list[Copied]":
    """Move the source's database into the target's, which is on PostgreSQL and empty. `told` is called with
    a table, how many of its rows are there, and how many there are to be.

    Raises `StoreUnavailable`, after which nothing has been copied, and `BadSetting`.
    """
    if target.postgres is None:
        raise BadSetting(
            f"{target.database} is not on PostgreSQL, and copies can only be made into that",
            "A SQLite file is moved as a file, while no server is at work on it.",
        )
    with needing_the_extra():
        from runwell.store.copying import copy as move

        return await move(_place_of(source), target.postgres, told, _extras(target.postgres))


async def condition(url: str) -> "Condition":
    """Of the PostgreSQL database. Raises `StoreUnavailable`, and `BadSetting` without the extra."""
    with needing_the_extra():
        from runwell.store.postgres.condition import condition as examine

        return await examine(url)


def _place_of(settings: Settings) -> Place:
    return settings.postgres or settings.path


def _extras(place: Place) -> Sequence[Extra]:
    if isinstance(place, Path):
        return ()
    from runwell.dispatch.pgqueuer.schema import pending, prepare

    return (Extra("the queue's tables", pending, prepare),)


@contextmanager
def needing_the_extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("asyncpg", "pgqueuer"):
            raise
        raise BadSetting(
            f"PostgreSQL needs packages that are not installed ({error.name})",
            "Install them: pip install 'runwell[postgres]'.",
        ) from error
