"""compose.yaml says what the program understands. Containers are not started here."""

import shlex
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from runwell import config
from runwell.cli.main import cli
from tests.house.source import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
OURS = {name: each for name, each in COMPOSE["services"].items() if each["image"] == "runwell"}


def test_there_are_two_servers_three_workers_a_database_and_one_address() -> None:
    assert sum("serve" in each["command"] for each in OURS.values()) == 2
    assert sum("runwell work" in " ".join(each["command"]) for each in OURS.values()) == 3
    assert [name for name, each in COMPOSE["services"].items() if "ports" in each] == ["front"]
    front = COMPOSE["configs"]["front"]["content"]
    assert all(f"{name}:8005" in front for name, each in OURS.items() if "serve" in each["command"])


@pytest.mark.parametrize("name", sorted(OURS))
def test_its_settings_and_commands_are_known(name: str) -> None:
    given = {key: value.replace("${POSTGRES_PASSWORD:-runwell}", "x") for key, value in
             OURS[name]["environment"].items()}  # fmt: skip
    assert config.read(environ=given).postgres
    command = OURS[name]["command"]
    words = shlex.split(command[-1].partition("$$")[0])[1:] if command[0] == "sh" else command
    program, sub, *rest = words
    found = cli.get_command(cli.make_context("runwell", [sub]), sub)
    assert program == "runwell"
    assert found is not None
    found.make_context(sub, rest)


def test_the_image_is_built_from_files_that_are_there() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
    assert copied
    assert all((ROOT / path).exists() for path in copied)
    locked = (ROOT / "requirements" / "fleet.lock").read_text()
    wanted = ("asyncpg", "pgqueuer", "fastapi", "pydantic-ai-slim")
    assert all(f"\n{package}==" in locked for package in wanted)
