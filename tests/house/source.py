"""The files of the repository, as the rules want to see them."""

import ast
import subprocess
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path("src/runwell")


class Offence(NamedTuple):
    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class Source:
    """One text file. `path` is relative to the repository and uses forward slashes."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=self.path)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All of the tree: walking it takes longer than any rule."""
        return list(ast.walk(self.tree))

    def offence(self, line: int, message: str) -> Offence:
        return Offence(self.path, line, message)

    def within(self, *folders: str) -> bool:
        return self.path.startswith(tuple(f"{folder}/" for folder in folders))


def repository_files() -> list[str]:
    """Every file that is, or would be, under version control; without git, every file that is not hidden."""
    asked = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        listed = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*")]
        listed = [name for name in listed if not any(part.startswith(".") for part in name.split("/"))]
    return sorted(name for name in set(listed) if name and (ROOT / name).is_file())


def read(names: Iterable[str]) -> Iterator[Source]:
    """The text files among `names`; what is not UTF-8 is an image or the like and has no rules."""
    for name in names:
        try:
            yield Source(name, (ROOT / name).read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            continue
