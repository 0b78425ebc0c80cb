"""Where agents are found, and what is said when they are not."""

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from runwell.agents.errors import CannotLoad
from runwell.agents.loader import bundled, load
from tests.agents.recording import BlockingContext

TWO = """
    from runwell import agent

    def local(): return "not an agent"

    @agent
    async def second(ctx, q: str): return q

    @agent(name="first-one")
    def first(): return 1

    again = first
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write files into a fresh folder that is the current one; imports do not outlive the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def write(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / (name.replace("__", "/") + ".py")
            path.parent.mkdir(exist_ok=True)
            path.write_text(dedent(text))
        return tmp_path

    yield write
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def names(*references: str) -> list[str]:
    return [agent.spec.name for agent in load(references)]


def test_agents_come_in_the_order_they_are_defined(write):
    write(mine=TWO)
    assert names("mine.py") == ["second", "first-one"]


@pytest.mark.parametrize("name", ["first", "first-one", "again"])
def test_one_may_be_named_by_its_name_or_its_variable(write, name):
    write(mine=TWO)
    if name == "again":
        with pytest.raises(CannotLoad, match="no agent 'again'") as refused:
            load([f"mine.py:{name}"])
        assert refused.value.hint == "It has: second, first-one."
    else:
        assert names(f"mine.py:{name}") == ["first-one"]


def test_files_and_modules_may_be_mixed_and_repeated(write):
    folder = write(
        mine=TWO,
        other="from runwell import agent\n@agent\ndef third(): ...",
        pack__deep="from runwell import agent\n@agent\ndef fourth(): ...",
    )
    assert names("other.py", str(folder / "mine.py"), "pack.deep", "mine.py:first", "mine") == [
        "third", "second", "first-one", "fourth",
    ]  # fmt: skip


def test_a_file_may_import_its_neighbours_also_when_its_agents_run(write):
    write(
        sub__near="X = 1",
        sub__mine="""
            from runwell import agent
            import near

            @agent
            def late():
                import near as again
                return again.X
        """,
    )
    (late,) = load(["sub/mine.py"])
    assert late.call_blocking(BlockingContext()) == 1


def test_a_file_may_be_named_like_a_module_that_is_in_use(write):
    write(json="from runwell import agent\n@agent\ndef a(): ...")
    assert names("json.py") == ["a"]
    assert "site" not in str(sys.modules["json"].__file__)
    assert sys.modules["json"].dumps({}) == "{}"


def test_an_agents_file_that_imports_another_does_not_double_its_agents(write):
    write(mine=TWO, more="from mine import second\nfrom runwell import agent\n@agent\ndef own(): ...")
    assert names("more.py", "mine.py") == ["second", "own", "first-one"]


def test_pydantic_ai_agents_are_named_after_their_variable(write):
    pytest.importorskip("pydantic_ai")
    write(
        mine="""
            from pydantic_ai import Agent
            from pydantic_ai.models.test import TestModel

            poet = Agent(TestModel())
            critic = Agent(TestModel(), name="harsh-critic")
        """
    )
    assert names("mine.py") == ["poet", "harsh-critic"]
    assert names("mine.py:critic") == ["harsh-critic"]


def faulty(write, reference: str, **files: str) -> CannotLoad:
    write(**files)
    with pytest.raises(CannotLoad) as refused:
        load([reference])
    assert refused.value.hint
    return refused.value


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("nowhere.py", "there is no file nowhere.py"),
        ("no.such.module", "there is no module 'no'"),
        (".", "is a folder"),
        ("./", "is a folder"),
        ("", "empty"),
        ("mine.py:third", "no agent 'third'"),
        ("bare.py", "defines no agents"),
        ("text/x.txt", "there is no file"),
    ],
)
def test_what_is_not_there_is_said_with_the_next_step(write, reference, words):
    error = faulty(write, reference, mine=TWO, bare="x = 1")
    assert words in error.message


def test_a_module_that_raises_shows_the_users_own_line(write):
    folder = write(deep="def fall():\n    return {}['key']\n", mine="import deep\n\ndeep.fall()\n")
    error = faulty(write, "mine.py")
    assert "KeyError: 'key'" in error.message
    assert f'File "{folder / "deep.py"}", line 2' in error.message
    assert "return {}['key']" in error.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def f(:\n", "SyntaxError"),
        ("import no_such_package_at_all\n", "No module named 'no_such_package_at_all'"),
        ("raise SystemExit('no key')\n", "SystemExit: no key"),
        ("from runwell import agent\n@agent\ndef f(*a): ...\n", "name each input"),
        ("from runwell import agent\n@agent(retries=-1)\ndef f(): ...\n", "retries=-1"),
    ],
)
def test_a_file_with_a_fault_says_which(write, text, words):
    assert words in faulty(write, "mine.py", mine=text).message


def test_two_agents_of_one_name_are_refused(write):
    write(mine=TWO, more="from runwell import agent\n@agent\ndef second(): ...")
    with pytest.raises(CannotLoad, match=r"'second': second in mine\.py, second in more\.py"):
        load(["mine.py", "more.py"])


def test_the_bundled_agents_need_nothing():
    assert [agent.spec.name for agent in bundled()] == ["summarize"]
