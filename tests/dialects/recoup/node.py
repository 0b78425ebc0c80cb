"""The real clients of browsers, under Node: started as processes, answering in JSON."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "node"
PATIENCE = 60.0
"""Seconds after which a client has waited for something that does not come."""


def node() -> str:
    """The program. Skips where it or the packages are missing, and fails where tests must not be skipped."""
    found = shutil.which("node")
    missing = None
    if found is None:
        missing = "node is not installed"
    elif not (FOLDER / "node_modules" / "ai").is_dir():
        missing = "the clients are not installed: run `npm ci` in tests/node"
    if missing is not None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    assert found is not None
    return found


def start(script: str, *args: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [node(), script, *args], cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def ask(script: str, *args: str, given: Any = None) -> Any:
    """What the script answers in its last line."""
    process = start(script, *args)
    out, _ = process.communicate(json.dumps(given) if given is not None else "", PATIENCE)
    assert process.returncode == 0, out
    # Not `splitlines`: what is said may have line separators of its own.
    return json.loads(out.strip("\n").split("\n")[-1])


def validated(streams: list[bytes]) -> list[Any]:
    """Each event stream as the strict client reads it: `{chunks, message, errors}`. Fails for one that it
    refuses."""
    answers = ask("validate.mjs", given=[stream.decode() for stream in streams])
    for stream, answer in zip(streams, answers, strict=True):
        assert "failed" not in answer, f"{answer['failed']}\nin {stream.decode()}"
    return list(answers)
