"""The rules of `rules.py`, applied to the repository as it is."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import PurePosixPath

import pytest

import runwell
from tests.house import rules
from tests.house.source import PACKAGE, ROOT, Offence, Source, read, repository_files

CODE_FOLDERS = ("src", "tests", "benchmarks", "examples")


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    return list(read(repository_files()))


@pytest.fixture(scope="module")
def python(sources: list[Source]) -> list[Source]:
    return [s for s in sources if s.path.endswith(".py")]


@pytest.fixture(scope="module")
def product(python: list[Source]) -> list[Source]:
    return [s for s in python if s.within("src")]


@pytest.fixture(scope="module")
def tests(python: list[Source]) -> list[Source]:
    return [s for s in python if s.within("tests")]


def verify(offences: Iterable[Offence]) -> None:
    found = sorted(offences)
    assert not found, "\n" + "\n".join(map(str, found))


def test_files_are_short(product: list[Source]) -> None:
    verify(o for s in product for o in rules.long_files(s))


def test_functions_are_short(product: list[Source]) -> None:
    verify(o for s in product for o in rules.long_functions(s))


def test_names_say_something(python: list[Source]) -> None:
    verify(o for s in python if s.within(*CODE_FOLDERS) for o in rules.vague_names(s))


def test_no_error_is_swallowed(python: list[Source]) -> None:
    verify(o for s in python for o in rules.swallowed_errors(s))


def test_no_test_sleeps(tests: list[Source]) -> None:
    verify(o for s in tests for o in rules.sleeping(s))


def test_no_state_at_module_level(product: list[Source]) -> None:
    verify(o for s in product for o in rules.module_state(s))


def test_no_statement_asks_for_the_time(sources: list[Source]) -> None:
    # All but the one that is for nothing else: the clock of a fleet.
    clock = "src/runwell/store/postgres/clock.py"
    store = [
        s
        for s in sources
        if s.within("src/runwell/store") and s.path.endswith((".py", ".sql")) and s.path != clock
    ]
    verify(o for s in store for o in rules.sql_clocks(s))


def test_nothing_is_left_for_later(sources: list[Source]) -> None:
    verify(o for s in sources for o in rules.unfinished_marks(s))


def test_every_test_proves_something(tests: list[Source]) -> None:
    files = [s for s in tests if PurePosixPath(s.path).name.startswith("test_")]
    verify(o for s in files for o in rules.proofless_tests(s))


def test_no_path_of_one_machine(sources: list[Source]) -> None:
    verify(o for s in sources if s.path != "tests/house/test_rules.py" for o in rules.machine_paths(s, ROOT))


def test_every_package_says_what_it_is(product: list[Source]) -> None:
    present = {s.path: s for s in product}
    homes = {f"{PurePosixPath(s.path).parent}/__init__.py" for s in product if s.within(PACKAGE.as_posix())}
    verify(Offence(home, 1, "is missing") for home in homes - present.keys())
    verify(o for home in homes & present.keys() for o in rules.missing_docstring(present[home]))


def test_test_folders_are_packages(tests: list[Source]) -> None:
    present = {s.path for s in tests}
    homes = {f"{PurePosixPath(s.path).parent}/__init__.py" for s in tests}
    verify(Offence(home, 1, "is missing") for home in homes - present)


def test_readme_names_targets_that_exist() -> None:
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("no README.md")
    named = rules.named_targets(readme.read_text(encoding="utf-8"))
    declared = rules.declared_targets((ROOT / "Makefile").read_text(encoding="utf-8"))
    assert named <= declared, f"README names targets the Makefile lacks: {sorted(named - declared)}"


def test_version_is_told_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == runwell.__version__


class TestLocks:
    @pytest.fixture
    def locks(self) -> dict[str, str]:
        return {path.name: path.read_text(encoding="utf-8") for path in ROOT.glob("requirements/*.lock")}

    @staticmethod
    def pins(lock: str) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^\s;\\]+)", lock, re.MULTILINE))

    def test_hold_a_hash_for_every_pin_and_no_address(self, locks: dict[str, str]) -> None:
        for name, lock in locks.items():
            blocks = re.split(r"\n(?=[a-z0-9])", lock)
            assert all("--hash=sha256:" in block for block in blocks), name
            assert "://" not in lock, f"{name} names a host"

    def test_agree_with_each_other(self, locks: dict[str, str]) -> None:
        assert self.pins(locks["run.lock"]).items() <= self.pins(locks["dev.lock"]).items()

    def test_hold_every_declared_dependency(self, locks: dict[str, str]) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = project["optional-dependencies"]
        run = [*project["dependencies"], *extras["pydantic-ai"], *extras["build"]]
        for name, wanted in {"run.lock": run, "dev.lock": [*run, *extras["test"], *extras["dev"]]}.items():
            names = {re.split(r"[\[<>=; ]", requirement)[0] for requirement in wanted}
            assert names <= self.pins(locks[name]).keys(), f"'make lock' is due: {name}"
