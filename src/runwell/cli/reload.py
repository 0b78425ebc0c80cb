"""`runwell serve --reload`: the server in a child process, started anew when a file changes.

The parent imports nothing of the agents, so a mistake in them ends the child and not the watch. What
runs when a file changes is handed back and goes on in the next child, as at any other restart.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType

import click

EVERY = 0.5
"""Seconds between two looks at the files."""

SKIPPED = frozenset({"__pycache__", "node_modules"})

Times = dict[str, int]


class _Stop(Exception):
    """The parent was told to stop."""


def serve_again(references: tuple[str, ...], command: list[str]) -> int:
    """Serve until SIGTERM or Ctrl-C; the exit code of the last child."""
    folders = watched_folders(references)
    click.echo(f"watching {', '.join(map(str, folders))}", err=True)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    child = subprocess.Popen(command)
    seen = times_of(folders)
    try:
        while True:
            time.sleep(EVERY)
            now = times_of(folders)
            if now != seen:
                click.echo(f"{_changed(seen, now)} changed, starting anew", err=True)
                seen = now
                _end(child)
                child = subprocess.Popen(command)
    except _Stop:
        return _end(child)


def _stop(signum: int, frame: FrameType | None) -> None:
    raise _Stop


def _end(child: subprocess.Popen[bytes]) -> int:
    """Let the child hand back its runs; it keeps its own grace, so there is nothing to kill."""
    if child.poll() is None:
        child.terminate()
    return child.wait()


def watched_folders(references: Iterable[str]) -> list[Path]:
    """The folders of the referenced files; the current one for modules, and when there are none."""
    files = [Path(name) for name in (ref.partition(":")[0] for ref in references) if name.endswith(".py")]
    folders = {file.resolve().parent for file in files} or {Path.cwd()}
    if len(files) < len(list(references)):
        folders.add(Path.cwd())
    return sorted(folders)


def times_of(folders: Iterable[Path]) -> Times:
    """When each Python file and settings file in the folders was last written, in ns."""
    return {
        entry.path: entry.stat().st_mtime_ns
        for folder in folders
        for entry in _files(folder)
        if _exists(entry)
    }


def _files(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        inside = list(entries)
    if any(entry.name == "pyvenv.cfg" for entry in inside):
        return  # an environment, not somebody's code
    for entry in inside:
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith(".") and entry.name not in SKIPPED:
                yield from _files(entry.path)
        elif entry.name.endswith((".py", ".toml")):
            yield entry


def _exists(entry: os.DirEntry[str]) -> bool:
    """An editor may have taken it away since the folder was read."""
    return os.path.exists(entry.path)


def _changed(before: Times, after: Times) -> str:
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{os.path.relpath(names[0])}{more}"
