"""Each rule catches an offender, and leaves alone what only looks like one."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.house import rules
from tests.house.source import Offence, Source, read, repository_files

Rule = Callable[[Source], Iterable[Offence]]
HERE = "src/runwell/room.py"
LATER = "TO" + "DO"


def lines_of(rule: Rule, text: str, path: str = HERE) -> list[int]:
    return [offence.line for offence in rule(Source(path, text))]


def body(lines: int) -> str:
    return "def f():\n" + "    a = 1\n" * (lines - 1)


@pytest.mark.parametrize(
    ("rule", "text", "lines"),
    [
        (rules.long_files, "a = 1\n" * 401, [401]),
        (rules.long_functions, "\n" + body(41), [2]),
        (rules.long_functions, "class A:\n    async " + body(41).replace("\n", "\n    "), [2]),
        (rules.swallowed_errors, "try:\n    f()\nexcept ValueError:\n    pass\n", [3]),
        (rules.swallowed_errors, "try:\n    f()\nexcept ValueError:\n    ...\n", [3]),
        (rules.module_state, "cache = {}\n", [1]),
        (rules.module_state, "cache: dict[str, int] = dict()\n", [1]),
        (rules.module_state, "if x:\n    seen = [a for a in b]\n", [2]),
        (rules.module_state, "from fastapi import FastAPI\napp = FastAPI()\n", [2]),
        (rules.module_state, "import collections\nseen = collections.defaultdict[str, int](int)\n", [2]),
        (rules.module_state, "def f():\n    global seen\n    seen = 1\n", [2]),
        (rules.sql_clocks, "SQL = 'update runs set at = now()'\n", [1]),
        (rules.sql_clocks, "SQL = f'select {x}, CURRENT_TIMESTAMP'\n", [1]),
        (rules.sql_clocks, "SQL = \"select datetime('now')\"\n", [1]),
        (rules.sql_clocks, "SQL = \"select strftime('%s', 'now')\"\n", [1]),
        (rules.sql_clocks, "SQL = 'select unixepoch()'\n", [1]),
        (rules.unfinished_marks, f"a = 1\n# {LATER}: more\n", [2]),
        (rules.proofless_tests, "def test_it():\n    run()\n", [1]),
        (rules.proofless_tests, "class TestIt:\n    async def test_it(self):\n        await run()\n", [2]),
        (rules.missing_docstring, "a = 1\n", [1]),
    ],
)
def test_catches(rule: Rule, text: str, lines: list[int]) -> None:
    assert lines_of(rule, text) == lines


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (rules.long_files, "a = 1\n" * 400),
        (rules.long_functions, body(40)),
        (rules.swallowed_errors, "try:\n    f()\nexcept ValueError:\n    a = None\n"),
        (rules.module_state, "NAMES = {}\n_TABLE: dict[str, int] = {}\n__all__ = ['a']\n"),
        (rules.module_state, "from typing import Final\nnames: Final = {}\nmore: Final[list[int]] = []\n"),
        (rules.module_state, "T = TypeVar('T')\nKey = NewType('Key', str)\npair = (1, 2)\n"),
        (rules.module_state, "def f():\n    seen = []\n\n\nclass A:\n    names = {}\n"),
        (rules.sql_clocks, "'''No SQL says now().'''\nat = clock.now()\nSQL = 'select snow, datetime(?)'\n"),
        (rules.unfinished_marks, "a = 'hackney'\n"),
        (rules.proofless_tests, "def test_it():\n    assert f()\n"),
        (rules.proofless_tests, "def test_it():\n    with pytest.raises(ValueError):\n        f()\n"),
        (rules.proofless_tests, "async def test_it(log):\n    await log.expect_status('queued')\n"),
        (rules.proofless_tests, "def make_run():\n    return 1\n"),
        (rules.missing_docstring, "'''What belongs here.'''\n"),
    ],
)
def test_leaves_alone(rule: Rule, text: str) -> None:
    assert lines_of(rule, text) == []


@pytest.mark.parametrize("path", ["src/runwell/utils.py", "src/runwell/common/key.py", "tests/helpers.py"])
def test_catches_vague_names(path: str) -> None:
    assert lines_of(rules.vague_names, "", path) == [1]
    assert lines_of(rules.vague_names, "", "src/runwell/store/row.py") == []


@pytest.mark.parametrize(
    "text",
    [
        "import time\ntime.sleep(1)\n",
        "import asyncio\nasyncio.sleep(0.1)\n",
        "from asyncio import sleep as nap\nnap(delay)\n",
        "import asyncio as aio\naio.sleep(1)  # sleep: not exempt here\n",
    ],
)
def test_catches_sleepers(text: str) -> None:
    assert lines_of(rules.sleeping, text, "tests/engine/test_start.py") == [2]


def test_sleeping_may_be_justified_where_processes_are_real() -> None:
    bare, reason = "import time\ntime.sleep(1)", "  # sleep: no event to wait for\n"
    assert lines_of(rules.sleeping, bare + reason, "tests/e2e/server.py") == []
    assert lines_of(rules.sleeping, bare, "tests/e2e/server.py") == [2]


def test_giving_way_is_not_sleeping() -> None:
    assert lines_of(rules.sleeping, "import asyncio\nasyncio.sleep(0)\n", "tests/engine/test_start.py") == []


def test_catches_clocks_in_migrations() -> None:
    sql = "-- never now()\ncreate table t (\n  at integer default CURRENT_TIMESTAMP\n);\n"
    assert lines_of(rules.sql_clocks, sql, "src/runwell/store/sqlite/0001.sql") == [3]


@pytest.mark.parametrize(
    "line", ["cd /home/ada/runwell", "open('/Users/ada/x')", r"C:\Users\ada", "see /opt/code/runwell/docs"]
)
def test_catches_paths_of_one_machine(line: str) -> None:
    source = Source("docs/guide.md", f"first\n{line}\n")
    assert [o.line for o in rules.machine_paths(source, Path("/opt/code/runwell"))] == [2]


def test_leaves_other_paths_alone() -> None:
    text = "/opt/code/runwell-data, GET /users/me/runs, ~/runwell, /var/lib/runwell\n"
    source = Source("docs/guide.md", text)
    assert list(rules.machine_paths(source, Path("/opt/code/runwell"))) == []


def test_reads_targets_from_documents() -> None:
    prose = "Make sure.\n`make demo`, `make test ARGS=x`\n"
    block = "```sh\n$ make check lint && make serve  # make tea\n```\n"
    assert sorted(rules.named_targets(prose + block)) == ["check", "demo", "lint", "serve", "test"]


def test_reads_targets_from_a_makefile() -> None:
    makefile = "A := 1\nx:=2\ntest: install ## Run\n\techo hi\nhelp:\n"
    assert rules.declared_targets(makefile) == {"test", "help"}


def test_finds_the_files_of_the_repository() -> None:
    names = repository_files()
    assert {"pyproject.toml", "src/runwell/__init__.py", "tests/house/rules.py"} <= set(names)
    assert not [name for name in names if name.startswith(".venv/") or name.endswith(".pyc")]
    assert next(read(["pyproject.toml"])).text.startswith("[build-system]")
