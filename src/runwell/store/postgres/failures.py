"""What PostgreSQL and the way to it say went wrong, in words for whoever runs the server."""

import asyncpg

from runwell.domain.errors import StoreUnavailable

LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InternalClientError,
    OSError,
)
"""The connection is of no use any more. `TimeoutError` is an `OSError`."""

COLLIDED = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
"""Nobody's fault: undone by the database, and worth another try at once."""

_HINTS: tuple[tuple[type[Exception], str, str], ...] = (
    (asyncpg.DiskFullError, "its disk is full", "Free space on its volume; the server goes on by itself."),
    (
        asyncpg.TooManyConnectionsError,
        "it has no connection left",
        "Raise max_connections, or give Runwell's processes smaller pools.",
    ),
    (asyncpg.InsufficientResourcesError, "it lacks resources", "See the log of PostgreSQL."),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        "the sign-in was refused",
        "Check user and password in RUNWELL_DB, and pg_hba.conf.",
    ),
    (
        asyncpg.InvalidCatalogNameError,
        "the database does not exist",
        "Create it, or check the name in RUNWELL_DB.",
    ),
    (
        asyncpg.ReadOnlySQLTransactionError,
        "it can only be read",
        "This is a standby: RUNWELL_DB must lead to the primary.",
    ),
    (
        asyncpg.LockNotAvailableError,
        "a row was locked for too long",
        "Look for a long transaction in pg_stat_activity.",
    ),
    (asyncpg.QueryCanceledError, "a statement was cancelled", "See the log of PostgreSQL."),
    (asyncpg.CannotConnectNowError, "it is starting or stopping", "The server goes on by itself."),
    (asyncpg.OperatorInterventionError, "it was told to stop", "The server goes on by itself."),
    (
        asyncpg.IdleInTransactionSessionTimeoutError,
        "this process stood still in the middle of a transaction",
        "Look for what blocks its event loop.",
    ),
    (asyncpg.PostgresSystemError, "its system failed it", "See the log of PostgreSQL."),
    (asyncpg.InternalServerError, "it has an internal fault", "See the log of PostgreSQL."),
    (asyncpg.DeadlockDetectedError, "transactions kept colliding", "Try again."),
    (asyncpg.SerializationError, "transactions kept colliding", "Try again."),
    (TimeoutError, "it did not answer in time", "Check its load, and the network between."),
    (
        asyncpg.PostgresConnectionError,
        "the connection was lost",
        "Check that PostgreSQL runs; the server goes on by itself.",
    ),
    (asyncpg.InternalClientError, "the connection was lost", "The server goes on by itself."),
    (OSError, "it cannot be reached", "Check RUNWELL_DB, and that PostgreSQL runs there."),
)


def is_failure(error: BaseException) -> bool:
    """Whether the database could not do it, whatever was asked. Anything else is the fault of one
    statement, or of its values."""
    if isinstance(error, asyncpg.InterfaceError):
        # Also raised for values that do not fit, which is no fault of the connection.
        return not isinstance(error, asyncpg.DataError) and is_lost(error)
    return isinstance(error, tuple(kind for kind, _, _ in _HINTS))


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone with it. What it was doing may have happened or not."""
    if isinstance(error, asyncpg.InterfaceError):
        return "clos" in str(error) or "released" in str(error)
    return isinstance(error, LOST)


def unavailable(error: BaseException) -> StoreUnavailable:
    """The fact for the caller: nothing of the call has happened."""
    for kind, cause, hint in _HINTS:
        if isinstance(error, kind):
            return StoreUnavailable(f"The database failed: {cause} ({_said(error)})", hint)
    if isinstance(error, ValueError):
        # Of the address. Plain ones quote what may be a part of the password.
        said = f": {error}" if isinstance(error, asyncpg.ClientConfigurationError) else ""
        return StoreUnavailable(
            f"The address of the database, or the port in it, cannot be understood{said}",
            "RUNWELL_DB must be postgresql://user:password@host:port/name.",
        )
    if isinstance(error, asyncpg.InterfaceError):
        return StoreUnavailable("The database failed: the connection was closed", "Ask again.")
    return StoreUnavailable(f"The database failed: {_said(error)}", "See the server's log.")


def in_doubt(error: BaseException) -> StoreUnavailable:
    """The one case in which it may have happened: the server is gone with the answer."""
    return StoreUnavailable(
        f"The database was lost in the middle of a commit ({_said(error)}); it may have been written",
        "Look before you repeat it, or repeat it with the same idempotency key.",
        retry_after=5.0,
    )


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
