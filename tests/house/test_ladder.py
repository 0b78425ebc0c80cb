"""The import contracts of pyproject.toml hold, and each of them would notice being broken."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT

LINT_IMPORTS = "import importlinter.cli as c, sys; sys.exit(c.lint_imports(no_cache=True, no_logo=True))"

PACKAGES = ["domain", "ports", "store", "dispatch", "agents", "engine", "stream", "auth", "dialects"]
PACKAGES += ["worker", "callbacks", "server", "config", "wiring", "client", "cli"]
PACKAGES += ["dialects/native", "dialects/letta", "dialects/catalogue"]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the package that lies in `folder`: the working directory comes first on the import path."""
    wide = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    command = [sys.executable, "-c", LINT_IMPORTS]
    return subprocess.run(command, cwd=folder, env=wide, capture_output=True, text=True, check=False)


def broken(checked: subprocess.CompletedProcess[str]) -> list[str]:
    return re.findall(r"^(.*) BROKEN\s*$", checked.stdout, re.MULTILINE)


@pytest.fixture
def model_house(tmp_path: Path) -> Path:
    """An empty room for every rung, under the contracts of the real one."""
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (tmp_path / "runwell").mkdir()
    (tmp_path / "runwell" / "__init__.py").touch()
    for package in PACKAGES:
        room = tmp_path / "runwell" / package
        room.mkdir()
        (room / "__init__.py").touch()
        (room / "inner.py").touch()
    return tmp_path


def test_the_ladder_holds() -> None:
    checked = lint(ROOT)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_an_empty_house_holds(model_house: Path) -> None:
    checked = lint(model_house)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("room", "imported", "contract"),
    [
        ("domain", "runwell.server.inner", "Imports go down the ladder"),
        ("store", "runwell.dispatch.inner", "Imports go down the ladder"),
        ("worker", "runwell.callbacks.inner", "Imports go down the ladder"),
        ("server", "runwell.client.inner", "Imports go down the ladder"),
        ("wiring", "runwell.client.inner", "Imports go down the ladder"),
        ("client", "runwell.ports.inner", "client knows the domain"),
        ("engine", "runwell.store.inner", "Only wiring names"),
        ("server", "runwell.agents.inner", "Only wiring names"),
        ("cli", "runwell.store.inner", "cli reaches stores"),
        ("dialects/native", "runwell.dialects.letta.inner", "Dialects do not know each other"),
        ("dialects/letta", "runwell.dialects.catalogue.inner", "Dialects do not know each other"),
        ("domain", "asyncio", "The domain is pure"),
        ("engine", "fastapi", "The core knows no web framework"),
    ],
)
def test_a_wrong_import_is_noticed(model_house: Path, room: str, imported: str, contract: str) -> None:
    (model_house / "runwell" / room / "inner.py").write_text(f"import {imported}\n")
    checked = lint(model_house)
    assert [name for name in broken(checked) if contract in name], checked.stdout + checked.stderr


def test_a_room_off_the_ladder_is_noticed(model_house: Path) -> None:
    (model_house / "runwell" / "attic").mkdir()
    (model_house / "runwell" / "attic" / "__init__.py").touch()
    checked = lint(model_house)
    assert checked.returncode != 0
    assert "attic" in checked.stdout
