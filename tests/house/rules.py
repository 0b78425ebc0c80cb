"""The rules, one generator each: a source file goes in, offences come out."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.source import Offence, Source

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40

VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "misc"}

SLEEPERS = {"time.sleep", "asyncio.sleep", "anyio.sleep", "trio.sleep"}
SLEEP_MARKER = re.compile(r"#\s*sleep:\s*\S+")
SLEEP_EXEMPT_FOLDERS = ("tests/e2e", "tests/support")

MUTABLE_BUILDERS = {"list", "dict", "set", "bytearray", "defaultdict", "deque"}
TYPE_BUILDERS = {"TypeVar", "TypeVarTuple", "ParamSpec", "NewType", "NamedTuple", "TypedDict"}
CONSTANT_NAME = re.compile(r"_*[A-Z][A-Z0-9_]*\Z|__\w+__\Z")

SQL_CLOCK = re.compile(
    r"\bnow\s*\(\s*\)"
    r"|\bcurrent_(?:timestamp|date|time)\b|\blocaltime(?:stamp)?\b"
    r"|\b(?:clock|statement|transaction)_timestamp\s*\("
    r"|\b(?:datetime|date|time|julianday|unixepoch|strftime)\s*\((?:\s*\)|[^)]*'now')",
    re.IGNORECASE,
)
SQL_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)

# Spelled so that this file does not offend.
UNFINISHED = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")

PERSONAL_PATH = re.compile(r"/(?:home|Users)/\w[\w.-]*/|\b[A-Za-z]:\\Users\\")
PROOFS = {"pytest.raises", "pytest.warns"}
PROOF_CALL = re.compile(r"_*(?:check|expect|verify|audit|assert)", re.IGNORECASE)

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def long_files(source: Source) -> Iterator[Offence]:
    if len(source.lines) > MAX_FILE_LINES:
        yield source.offence(MAX_FILE_LINES + 1, f"{len(source.lines)} lines, at most {MAX_FILE_LINES}")


def long_functions(source: Source) -> Iterator[Offence]:
    """Counted from `def` to the last line, docstring and comments included."""
    for node in source.nodes:
        if isinstance(node, FUNCTIONS):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                message = f"{node.name}: {length} lines, at most {MAX_FUNCTION_LINES}"
                yield source.offence(node.lineno, message)


def vague_names(source: Source) -> Iterator[Offence]:
    path = Path(source.path)
    for part in (*path.parent.parts, path.stem):
        if part.lower() in VAGUE_NAMES:
            yield source.offence(1, f"'{part}' says nothing about what is inside")


def swallowed_errors(source: Source) -> Iterator[Offence]:
    for node in source.nodes:
        if isinstance(node, ast.ExceptHandler) and len(node.body) == 1 and _does_nothing(node.body[0]):
            yield source.offence(node.lineno, "an error is swallowed; say what is done about it")


def _does_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and statement.value.value is ...
    )


def sleeping(source: Source) -> Iterator[Offence]:
    """`sleep(0)` only yields to the loop. Elsewhere: wait for an event, or move the clock."""
    real_names = _imported_names(source)
    for node in source.nodes:
        if not isinstance(node, ast.Call) or _is_zero(node.args):
            continue
        if _full_name(node.func, real_names) not in SLEEPERS:
            continue
        marked = SLEEP_MARKER.search(source.lines[node.lineno - 1])
        if not (marked and source.within(*SLEEP_EXEMPT_FOLDERS)):
            yield source.offence(node.lineno, "a test sleeps; wait for an event, or move the clock")


def _imported_names(source: Source) -> dict[str, str]:
    """What each imported name really is: `from time import sleep as nap` gives nap -> time.sleep."""
    names: dict[str, str] = {}
    for node in source.nodes:
        if isinstance(node, ast.Import):
            names.update({alias.asname: alias.name for alias in node.names if alias.asname})
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return names


def _full_name(called: ast.expr, real_names: dict[str, str]) -> str:
    first, dot, rest = ast.unparse(called).partition(".")
    return real_names.get(first, first) + dot + rest


def _is_zero(arguments: list[ast.expr]) -> bool:
    return len(arguments) == 1 and isinstance(arguments[0], ast.Constant) and arguments[0].value == 0


def module_state(source: Source) -> Iterator[Offence]:
    """Constants are ALL_CAPS or Final; an object made on import is state, unless it makes a type."""
    for node in source.nodes:
        if isinstance(node, ast.Global):
            yield source.offence(node.lineno, "'global' writes state at module level")
    for statement in _module_statements(source.tree.body):
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value and not _is_final(statement.annotation):
            targets, value = [statement.target], statement.value
        else:
            continue
        if _is_mutable(value):
            for target in targets:
                if isinstance(target, ast.Name) and not CONSTANT_NAME.match(target.id):
                    yield source.offence(statement.lineno, f"'{target.id}' is state at module level")


def _module_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            continue
        yield statement
        for field in ("body", "orelse", "finalbody"):
            yield from _module_statements(getattr(statement, field, []))
        for handler in getattr(statement, "handlers", []):
            yield from _module_statements(handler.body)


def _is_final(annotation: ast.expr) -> bool:
    return re.match(r"(?:\w+\.)*Final\b", ast.unparse(annotation)) is not None


def _is_mutable(value: ast.expr) -> bool:
    if isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
        return True
    if not isinstance(value, ast.Call):
        return False
    name = ast.unparse(value.func).partition("[")[0].rpartition(".")[2]
    return name in MUTABLE_BUILDERS or (name[:1].isupper() and name not in TYPE_BUILDERS)


def sql_clocks(source: Source) -> Iterator[Offence]:
    """Time is an argument of every statement; strings are looked at, docstrings are not."""
    message = "SQL asks the database for the time; pass it in"
    if source.path.endswith(".sql"):
        text = SQL_COMMENT.sub(lambda comment: "\n" * comment.group().count("\n"), source.text)
        for match in SQL_CLOCK.finditer(text):
            yield source.offence(text.count("\n", 0, match.start()) + 1, message)
        return
    prose = {id(node.value) for node in source.nodes if isinstance(node, ast.Expr)}
    for node in source.nodes:
        if not isinstance(node, ast.Constant) or id(node) in prose:
            continue
        if isinstance(node.value, str) and SQL_CLOCK.search(node.value):
            yield source.offence(node.lineno, message)


def unfinished_marks(source: Source) -> Iterator[Offence]:
    for number, line in enumerate(source.lines, start=1):
        if match := UNFINISHED.search(line):
            yield source.offence(number, f"{match.group()}: do it, or drop it")


def proofless_tests(source: Source) -> Iterator[Offence]:
    for node in source.nodes:
        if not isinstance(node, FUNCTIONS) or not node.name.startswith("test_"):
            continue
        if not any(_is_proof(inner) for inner in ast.walk(node)):
            yield source.offence(node.lineno, f"{node.name} asserts nothing")


def _is_proof(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return True
    if not isinstance(node, ast.Call):
        return False
    name = ast.unparse(node.func)
    return name in PROOFS or PROOF_CALL.match(name.rpartition(".")[2]) is not None


def machine_paths(source: Source, root: Path) -> Iterator[Offence]:
    """Nobody's home folder, and not the folder this repository happens to lie in (`root`)."""
    own = re.compile(re.escape(root.as_posix()) + r"(?![\w.-])") if len(root.parts) > 2 else None
    for number, line in enumerate(source.lines, start=1):
        match = PERSONAL_PATH.search(line) or (own and own.search(line))
        if match:
            yield source.offence(number, f"'{match.group()}' is a path of one machine")


def missing_docstring(source: Source) -> Iterator[Offence]:
    if not ast.get_docstring(source.tree):
        yield source.offence(1, "a package says in its docstring what belongs in it")


def named_targets(markdown: str) -> set[str]:
    """Makefile targets that a document names: `make a b` in backticks, or a line of a code block."""
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", markdown, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", markdown, flags=re.DOTALL | re.MULTILINE)
    commands = [line for block in fenced for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", prose)
    targets: set[str] = set()
    for command in commands:
        for part in re.split(r"&&|;|\|", command.partition("#")[0]):
            words = part.strip().removeprefix("$ ").split()
            if words[:1] == ["make"]:
                targets.update(word for word in words[1:] if re.fullmatch(r"[a-z][a-z-]*", word))
    return targets


def declared_targets(makefile: str) -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.MULTILINE))
