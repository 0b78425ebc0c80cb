"""The help: quick, complete, and full of examples."""

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from runwell.cli.lazy import LazyGroup
from runwell.cli.main import cli
from tests.cli.running import runwell

HEAVY = ("httpx", "msgspec", "uvicorn", "fastapi", "asyncio", "apsw")


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["run", "--help"], ["nonsense"]])
def test_the_help_imports_nothing_heavy(args: list[str]) -> None:
    code = (
        "import sys\nfrom runwell.cli.main import cli\n"
        "try:\n    cli(sys.argv[1:], prog_name='runwell')\n"
        f"finally:\n    print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules],\n"
        "    [name for name in sys.modules if name.startswith('runwell.') and '.cli' not in name])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True)
    assert "HEAVY [] []" in ran.stdout, ran.stdout + ran.stderr


def commands(
    group: click.Group = cli, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, group
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = [path for path, _ in commands()]


def test_all_the_verbs_are_there() -> None:
    verbs = ("submit", "status", "result", "stream", "list", "steps", "cancel", "retry", "answer")
    assert {("run", verb) for verb in verbs} <= set(ALL)
    assert {("serve",), ("doctor",), ("keys", "create"), ("keys", "list"), ("keys", "revoke")} <= set(ALL)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_help_teaches_by_example(path: tuple[str, ...]) -> None:
    shown = runwell(*path, "--help")
    assert shown.code == 0
    examples = [line for line in shown.out.splitlines() if " ".join(["runwell", *path[:1]]) in line]
    assert len(examples) > 1, "the usage line alone"
    assert all(len(line) <= 80 for line in shown.out.splitlines())


def test_a_group_names_its_commands_as_they_name_themselves() -> None:
    for _, group in commands():
        if isinstance(group, LazyGroup):
            ctx = click.Context(group)
            for name in group.list_commands(ctx):
                command = group.get_command(ctx, name)
                assert command is not None
                assert command.name == name


def test_options_that_take_a_word_say_which() -> None:
    assert "[queued|running|waiting|succeeded|failed|cancelled]" in runwell("run", "list", "--help").out
    assert "runs:read" in runwell("keys", "create", "--help").out


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["run", "submit"], "Missing argument 'AGENT'"),
        (["run", "status", "run_12"], "'run_12' is not an id"),
        (["run", "submit", "a", "--priority", "999"], "999 is not in the range"),
        (["run", "submit", "a", "--not-before", "2026-01-01T00:00:00"], "names no time zone"),
        (["run", "submit", "a", "--not-before", "soon"], "is no time such as"),
        (["run", "submit", "a", "--metadata", "x"], "'x' is not of the form KEY=VALUE"),
        (["run", "submit", "a", "{", "-J"], "this is no JSON"),
        (["run", "submit", "a", "@/no/such/file"], "/no/such/file cannot be read: No such file"),
        (["run", "list", "--url", "localhost:8005"], "is no address of a server"),
        (["serve", "--port", "70000"], "port: Expected `int` <= 65535 (--port)"),
        (["serve", "--db", "mysql://h/d"], "which Runwell does not speak"),
        (["doctor", "--config", "no-such.toml"], "there is no file no-such.toml"),
    ],
)
def test_a_mistake_in_the_command_line_is_2_and_one_sentence(args: list[str], sentence: str) -> None:
    ran = runwell(*args)
    assert ran.code == 2
    assert ran.out == ""
    first, *rest = ran.err.splitlines()
    assert first.startswith("error: ")
    assert sentence in first
    assert len(rest) <= 1
    assert all(line.startswith("hint: ") for line in rest)
