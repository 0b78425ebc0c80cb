"""How connections are opened: every setting with its reason."""

from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

CONNECT_TIMEOUT = 5.0
COMMAND_TIMEOUT = 30.0
"""Seconds until a statement without an answer counts as a lost connection."""
IDLE_LIFETIME = 300.0

BORN = "SELECT stats_reset FROM pg_stat_bgwriter"
"""When the server lost its memory last: in its latest crash, and not when it is restarted in peace. A standby
that takes over has lost its own at another time."""


class Location(NamedTuple):
    """Where the database is. `url` is a `postgresql://` address, which may hold a password: it is in no
    message and no log. `idle_limit` is in seconds, see `settings`."""

    url: str
    connections: int
    idle_limit: float

    @property
    def settings(self) -> dict[str, str]:
        return {
            "application_name": "runwell",
            # A process that is stopped, or cut off, in the middle of a transaction must not keep others
            # from the run it had locked: they are there to take it over.
            "idle_in_transaction_session_timeout": f"{round(self.idle_limit * 1000)}",
            # Below the timeout of commands, so that the reason is told.
            "lock_timeout": "10000",
            "default_transaction_isolation": "read committed",
            # What is asked for is in memory. Else the planner would rather read the whole of a small table
            # than go by its index for a few dozen rows, and that grows with the table.
            "random_page_cost": "1.1",
            # A plan is kept by its connection, and one that was made while a table was small would read all
            # of it when it has grown. Whatever is asked has its index.
            "enable_seqscan": "off",
            # All statements are short; compiling them takes longer than running them.
            "jit": "off",
        }


class Connection(asyncpg.Connection):  # type: ignore[misc]
    """One that is given back as it is: nothing sets session state, so nothing is to be reset, and a round
    trip per use is saved. A transaction that is still open is rolled back all the same."""

    born: datetime | None = None
    """The answer to `BORN` when it was opened."""

    def get_reset_query(self) -> str:
        return ""


async def connect(location: Location, name: str = "") -> Any:
    """A connection of its own, which the database lists under `name`. Raises what asyncpg raises."""
    settings = location.settings | ({"application_name": name} if name else {})
    return await asyncpg.connect(
        location.url,
        timeout=CONNECT_TIMEOUT,
        command_timeout=COMMAND_TIMEOUT,
        server_settings=settings,
    )


async def _ask_when_born(connection: Connection) -> None:
    connection.born = await connection.fetchval(BORN)


def make_pool(location: Location) -> Any:
    """A pool that opens connections when they are needed. To be awaited once."""
    return asyncpg.create_pool(
        location.url,
        min_size=0,
        max_size=location.connections,
        timeout=CONNECT_TIMEOUT,
        command_timeout=COMMAND_TIMEOUT,
        max_inactive_connection_lifetime=IDLE_LIFETIME,
        connection_class=Connection,
        init=_ask_when_born,
        server_settings=location.settings,
    )
