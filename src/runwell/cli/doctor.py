"""`runwell doctor`: is this machine fit for it, and is the log of every run in order?"""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from runwell import __version__
from runwell.cli import terminal
from runwell.cli.doctor_database import postgres_findings, schema_finding
from runwell.cli.local import with_settings
from runwell.config import Settings
from runwell.domain.errors import RunwellError
from runwell.engine.audit import Finding
from runwell.wiring import audit_all, damaged, operating
from runwell.wiring.orphans import queue_findings

MIB = 2**20
SCARCE, SHORT = 100 * MIB, 1024 * MIB
"""Bytes of free disk below which commits are about to fail, or may soon."""

SOUND_SQLITE = (3, 51, 3)
"""Earlier ones may corrupt a database when the write-ahead log is reset."""

NETWORK_FILES = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "fuse.sshfs"})

MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "red")}


@click.command()
@click.option("--audit", is_flag=True, help="Only hold every run's log against the run.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@with_settings
def doctor(settings: Settings, audit: bool, as_json: bool) -> None:
    """Check this machine and its database: versions, disk, clock, and every run's log.

    Of PostgreSQL: how far it is, how it is set, its connections, and who is at work. Changes nothing,
    and may run beside servers. Ends with 1 when something is wrong.

    \b
      runwell doctor
      runwell doctor --db /var/lib/runwell/runs.db --json
      runwell doctor --db postgresql://runwell@db/runwell --audit
    """
    findings = list(audit_only(settings) if audit else examine(settings))
    if as_json:
        terminal.print_json({"findings": [finding._asdict() for finding in findings]})
    else:
        for finding in findings:
            mark, colour = MARKS.get(finding.level, ("·", None))
            click.echo(f"{click.style(mark, fg=colour)} {finding.sentence}")
    click.get_current_context().exit(int(any(finding.level == "error" for finding in findings)))


def examine(settings: Settings) -> Iterator[Finding]:
    """All checks, the machine's before the database's before the logs'. Levels are ok, warning and error."""
    yield _python()
    if settings.postgres is not None:
        yield from _reached(lambda: asyncio.run(postgres_findings(settings)))
    else:
        yield _sqlite()
        yield from _place(settings.path)
        if settings.path.exists():
            yield _clock(settings.path)
    yield from audit_only(settings)


def audit_only(settings: Settings) -> Iterator[Finding]:
    """What the logs and the queue say, if the database has the schema that they are read by. It is not given
    one here."""
    if settings.postgres is None and not settings.path.exists():
        yield Finding("ok", "no_database", f"There is no database {settings.path} yet; `serve` makes it.")
        return
    schema = list(_reached(lambda: [schema_finding(settings, asyncio.run(operating.outlook(settings)))]))
    yield from schema
    if all(finding.level == "ok" for finding in schema):
        yield from _reached(lambda: asyncio.run(_logs(settings)))
        if settings.postgres is not None:
            yield from _reached(lambda: asyncio.run(queue_findings(settings)))


def _reached(look: Callable[[], list[Finding]]) -> list[Finding]:
    """What was found, or why nothing could be."""
    try:
        return look()
    except RunwellError as error:
        return [Finding("error", error.code, f"{error.message}. {error.hint}".strip())]


async def _logs(settings: Settings) -> list[Finding]:
    """What is wrong with the log of any run, or that nothing is; and what else cannot be read."""
    runs, faults = 0, list[Finding]()
    async for _, found in audit_all(settings):
        runs += 1
        faults += found
    faults = faults or [Finding("ok", "logs", f"The log of every run ({runs:,}) tells its run's story.")]
    return faults + await damaged(settings)


def _python() -> Finding:
    version = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    return Finding("ok", "python", f"Runwell {__version__} on Python {version}.")


def _sqlite() -> Finding:
    import apsw

    version = apsw.sqlite_lib_version()
    if tuple(map(int, version.split(".")[:3])) < SOUND_SQLITE:
        wanted = ".".join(map(str, SOUND_SQLITE))
        return Finding("error", "sqlite_too_old", f"SQLite {version} is older than {wanted}: upgrade apsw.")
    return Finding("ok", "sqlite", f"SQLite {version}.")


def _place(database: Path) -> Iterator[Finding]:
    """The folder of the database: there, writable, local, and not full."""
    folder = database.resolve().parent
    if not folder.is_dir():
        yield Finding("error", "no_folder", f"There is no folder {folder}: make it, or set --db.")
        return
    if not os.access(folder, os.W_OK) or (database.exists() and not os.access(database, os.W_OK)):
        yield Finding("error", "not_writable", f"{database} cannot be written by this user.")
    kind = file_system(folder, _mounts())
    if kind in NETWORK_FILES:
        yield Finding("error", "network_files", f"{folder} is on {kind}: SQLite needs a local disk.")
    free = shutil.disk_usage(folder).free
    level = "error" if free < SCARCE else "warning" if free < SHORT else "ok"
    yield Finding(level, "disk_space", f"{free / 2**30:,.1f} GiB free in {folder}.")


def _mounts() -> str:
    """The mounted file systems; empty where the system does not say."""
    try:
        return Path("/proc/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def file_system(folder: Path, mounts: str) -> str:
    """The type of the file system that `folder` is on; empty if unknown."""
    best, kind = "", ""
    for line in mounts.splitlines():
        _, point, type, *_ = [*line.split(" "), "", "", ""]
        if folder.is_relative_to(point or "?") and len(point) >= len(best):
            best, kind = point, type
    return kind


def _clock(database: Path) -> Finding:
    """Time that went back makes ages and deadlines wrong; the file remembers the latest it was."""
    files = [database, database.with_name(f"{database.name}-wal")]
    latest = max(file.stat().st_mtime for file in files if file.exists())
    ahead = latest - time.time()
    if ahead > 5:
        return Finding(
            "error", "clock_behind", f"The clock is {ahead:,.0f} s behind the database's last write: set it."
        )
    return Finding("ok", "clock", "The clock is not behind the database.")
