"""What PgQueuer's tables and our entrypoints are called."""

import functools

from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel

PREFIX = "runwell_"
TABLE = f"{PREFIX}pgqueuer"
LOG_TABLE = f"{PREFIX}pgqueuer_log"
CHANNEL = Channel(f"{PREFIX}ch_pgqueuer")

DEFINED = "defined"
"""The entrypoint of all runs that carry their own definition: any worker may try them."""


def entrypoint_of(agent: str) -> str:
    """The entrypoint of an agent in code."""
    return f"agent:{agent}"


def entrypoint_by(agent: str) -> str:
    """The entrypoint of runs under other names that the agent in code of this name does: not counted in its
    limit, which is for runs of its own name."""
    return f"by:{agent}"


@functools.cache
def settings() -> DBSettings:
    """All names are given, so that variables meant for another PgQueuer change nothing here.

    Its log and its statistics are a record for operators that is pruned soon, so they need not survive a
    crash of the database; the jobs do.
    """
    return DBSettings(
        prefix=PREFIX,
        db_schema=None,
        channel=CHANNEL,
        function=f"{PREFIX}fn_pgqueuer_changed",
        statistics_table=f"{PREFIX}pgqueuer_statistics",
        queue_status_type=f"{PREFIX}pgqueuer_status",
        queue_table=TABLE,
        queue_table_log=LOG_TABLE,
        trigger=f"{PREFIX}tg_pgqueuer_changed",
        schedules_table=f"{PREFIX}pgqueuer_schedules",
        durability=Durability.balanced,
    )
