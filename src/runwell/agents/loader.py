"""Finds agents in the user's files and packages.

A reference is `my_agents.py`, `folder/my_agents.py:name`, `package.module` or `package.module:name`.
What is served is what stands in the module under a name: decorated functions, imported ones too,
workflows, and `pydantic_ai.Agent` objects. Nothing registers itself.
"""

import importlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from runwell.agents.errors import CannotLoad
from runwell.agents.python import UnusableFunction
from runwell.agents.recognise import as_agent
from runwell.ports.agent import Agent

_PACKAGE = str(Path(__file__).parents[1]) + os.sep
_REFERENCE = re.compile(r"(?P<module>.+?)(?::(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*))?\Z")


class Found(NamedTuple):
    """An agent, the variable it was bound to, and its module as the user knows it."""

    agent: Agent
    variable: str
    place: str


def load(references: Iterable[str]) -> list[Agent]:
    """The agents behind `references`, in order of reference, then of definition.

    Imports the user's modules, once each. Raises `CannotLoad` with the cause and the next step.
    """
    chosen: dict[int, Found] = {}
    for reference in references:
        match = _REFERENCE.match(reference)
        if match is None:
            raise CannotLoad("an agent reference is empty", "Name a file, such as my_agents.py.")
        found = find_agents(_import(match["module"]), match["module"])
        for one in _named(found, match["name"], match["module"]) if match["name"] else found:
            chosen.setdefault(id(_identity(one)), one)
    _refuse_doubles(chosen.values())
    return [found.agent for found in chosen.values()]


def bundled() -> list[Agent]:
    """The agents that come with Runwell; they need no key and no network."""
    from runwell.agents.summarize import summarize

    return [summarize]


def find_agents(module: ModuleType, place: str) -> list[Found]:
    """The agents of an imported module. Raises `CannotLoad` when there is none."""
    found: list[Found] = []
    for variable, value in vars(module).items():
        agent = as_agent(value, variable)
        if agent is not None and all(_identity(other) is not value for other in found):
            found.append(Found(agent, variable, place))
    if not found:
        raise CannotLoad(
            f"{place} defines no agents",
            "Put @agent (from runwell import agent) on a function, or define a pydantic_ai.Agent.",
        )
    for one in found:
        _look_at_types(one)
    return found


def _identity(found: Found) -> object:
    """The user's own object: the same one under two names is one agent."""
    return getattr(found.agent, "wrapped", found.agent)


def _look_at_types(found: Found) -> None:
    try:
        _ = found.agent.spec
    except (UnusableFunction, ValueError) as error:
        where = getattr(found.agent, "place", found.place)
        raise CannotLoad(str(error), f"The agent is in {where}.") from error


def _named(found: list[Found], name: str, place: str) -> list[Found]:
    chosen = [one for one in found if name in (one.agent.spec.name, one.variable)]
    if not chosen:
        names = ", ".join(one.agent.spec.name for one in found)
        raise CannotLoad(f"{place} has no agent {name!r}", f"It has: {names}.")
    return chosen


def _refuse_doubles(found: Iterable[Found]) -> None:
    seen: dict[str, Found] = {}
    for one in found:
        name = one.agent.spec.name
        first = seen.setdefault(name, one)
        if first is not one:
            raise CannotLoad(
                f"two agents are named {name!r}: {first.variable} in {first.place}, "
                f"{one.variable} in {one.place}",
                'Give one of them another name: @agent(name="…").',
            )


def _import(reference: str) -> ModuleType:
    if reference.endswith(".py") or not all(part.isidentifier() for part in reference.split(".")):
        return _import_file(reference)
    if Path(reference + ".py").is_file() and "." not in reference:
        return _import_file(reference + ".py")
    # As `python -m` does: a package in the current folder is found without installing it.
    _put_on_path(Path.cwd())
    try:
        return importlib.import_module(reference)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if reference == missing or reference.startswith(missing + "."):
            raise CannotLoad(
                f"there is no module {missing!r}",
                "Name a file (my_agents.py) or a module that `python -c 'import …'` finds.",
            ) from error
        raise _broken(reference, error) from error
    except (Exception, SystemExit) as error:
        raise _broken(reference, error) from error


def _import_file(reference: str) -> ModuleType:
    path = Path(reference).expanduser().resolve()
    if path.is_dir():
        raise CannotLoad(f"{reference} is a folder", "Name the Python file in it that defines agents.")
    if not path.is_file():
        raise CannotLoad(
            f"there is no file {reference} (looked at {path})", "Check the path and the current folder."
        )
    if path.suffix != ".py":
        raise CannotLoad(f"{reference} is no Python file", "Name a file that ends in .py.")
    for module in list(sys.modules.values()):
        # Another agents file may have imported this one: importing it again would double its agents.
        names = getattr(module, "__dict__", {})
        if names.get("__file__") == str(path) and names.get("__name__") != "__main__":
            return module
    return _execute(path, reference)


def _execute(path: Path, reference: str) -> ModuleType:
    # As `python file.py` does, and for good: an agent may import a neighbour when it runs.
    _put_on_path(path.parent)
    name = path.stem
    if name in sys.modules or not name.isidentifier():
        # json.py or a second agents.py: it must not be taken for the one that is already imported.
        name = f"agents_{sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CannotLoad(f"Python cannot import {reference}", "Rename it to a plain name ending in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and annotations look their module up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _broken(reference, error) from error
    return module


def _put_on_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _broken(reference: str, error: BaseException) -> CannotLoad:
    """The user's own line, not ours nor the import machinery's."""
    hint = "Correct it there, then start again."
    if isinstance(error, ModuleNotFoundError) and error.name:
        hint = f"Install what provides {error.name!r} into this Python, {sys.executable}."
    return CannotLoad(f"{reference} cannot be imported: {_last_line(error)}", hint)


def _last_line(error: BaseException) -> str:
    what = "".join(traceback.format_exception_only(error)).strip()
    if isinstance(error, SyntaxError):
        return what
    frames: list[Any] = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in (__file__, importlib.__file__) and not frame.filename.startswith("<frozen")
    ]
    own = [frame for frame in frames if not _is_foreign(frame.filename)] or frames
    if not own:
        return what
    return f'{what}\n  File "{own[-1].filename}", line {own[-1].lineno}\n    {own[-1].line}'


def _is_foreign(filename: str) -> bool:
    """Whether a line is of some package, or of this one, which may be installed as a plain folder."""
    return "site-packages" in filename or filename.startswith(_PACKAGE)
