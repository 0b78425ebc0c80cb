"""What `runwell doctor` has to say of a schema, and of a PostgreSQL database."""

from collections.abc import Iterator

from runwell.config import Settings
from runwell.engine.audit import Finding
from runwell.wiring import operating

OLDEST = 130_000
"""PostgreSQL 13: earlier ones cannot tell what became of a transaction."""
SLOW = 0.010
"""Seconds of a round trip beyond which runs are worked on noticeably slower: a commit takes a few."""
APART = 2.0
"""Seconds between the clocks of this machine and the database."""
FULL = 0.8
"""Of all connections, how many may be in use."""

RISKS = {
    "fsync": "after a crash of its machine the database may be lost",
    "full_page_writes": "after a crash of its machine pages of the database may be torn",
    "synchronous_commit": "in a crash the last commits are lost that servers have already told of",
}
"""What it means when one of these is off."""


def schema_finding(settings: Settings, found: operating.Outlook) -> Finding:
    """Anything but `ok` means that the logs cannot be read by this version now."""
    have, known = found.schema.number, found.known
    if not found.usable:
        sentence = (
            f"The database needs a version that knows schema {found.schema.needs}; this one knows {known}."
        )
        return Finding("error", "schema_newer", sentence)
    if found.steps:
        names = ", ".join(step.name for step in found.steps)
        sentence = f"The database lacks {names}: `runwell migrate` adds it. Its logs were not read."
        return Finding("warning", "schema_behind", sentence)
    newer = f", newer than this version's {known}, which may use it" if have > known else ""
    return Finding("ok", "schema", f"The schema of {settings.database} is up to date ({have}{newer}).")


async def postgres_findings(settings: Settings) -> list[Finding]:
    """All checks but those of the schema and the logs. Raises `StoreUnavailable`."""
    found = await operating.condition(settings.postgres or "")
    return list(findings_of(found, settings.database))


def findings_of(found: "operating.Condition", database: str) -> Iterator[Finding]:
    if found.number < OLDEST:
        yield Finding(
            "error", "postgres_too_old", f"PostgreSQL {found.version} is older than 13: upgrade it."
        )
    else:
        yield Finding("ok", "postgres", f"PostgreSQL {found.version} answers at {database}.")
    slow = found.round_trip > SLOW
    advice = ": move the servers nearer to it" if slow else ""
    sentence = f"A round trip to it takes {found.round_trip * 1000:.1f} ms{advice}."
    yield Finding("warning" if slow else "ok", "round_trip", sentence)
    for name, risk in RISKS.items():
        if found.settings[name] == "off":
            yield Finding("warning", name, f"{name} is off: {risk}.")
    yield _clock(found)
    yield _connections(found)
    yield _workers(found)


def _clock(found: "operating.Condition") -> Finding:
    if abs(found.ahead) > APART:
        where = "ahead of" if found.ahead > 0 else "behind"
        sentence = (
            f"This machine's clock is {abs(found.ahead):,.1f} s {where} the database's. Runs go by the "
            "database's, log lines of this machine do not: set it."
        )
        return Finding("warning", "clock_apart", sentence)
    return Finding("ok", "clock", f"The clocks differ by {abs(found.ahead) * 1000:,.0f} ms.")


def _connections(found: "operating.Condition") -> Finding:
    used, most = found.connections, found.most_connections
    if used > FULL * most:
        advice = "raise max_connections, or set db_connections lower"
        return Finding("warning", "connections", f"{used} of {most} connections are in use: {advice}.")
    return Finding("ok", "connections", f"{used} of {most} connections are in use.")


def _workers(found: "operating.Condition") -> Finding:
    if not found.workers:
        return Finding("ok", "workers", "Nobody is at work on it now.")
    names = ", ".join(f"{worker.name} ({worker.running}/{worker.places})" for worker in found.workers)
    return Finding("ok", "workers", f"At work on it, with runs and places for them: {names}.")
