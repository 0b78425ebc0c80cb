"""Reads directives out of a prompt and plans the turns of the conversation. Words: see the package."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple


class Say(NamedTuple):
    text: str


class Words(NamedTuple):
    number: int


class Think(NamedTuple):
    text: str


class Pace(NamedTuple):
    """Words per second."""

    rate: float


class CallTool(NamedTuple):
    name: str
    arguments: str
    """JSON, as written."""


class Fail(NamedTuple):
    status: int
    after: int | None = None
    times: int | None = None


class Drop(NamedTuple):
    after: int | None = None


class Hang(NamedTuple):
    after: int | None = None


Directive = Say | Words | Think | Pace | CallTool | Fail | Drop | Hang

MOST_WORDS = 1_000_000

_OPEN = re.compile(r"\[\[\s*(say|words|reason|pace|tool|error|drop|hang)\b\s*:?\s*")
_CLOSE = re.compile(r"\s*\]\]")
_TOOL_NAME = re.compile(r"[\w.-]+")
_OPTIONS = re.compile(r"(?:\s+|\A)(after|times)=(\d+)")


class BadDirective(Exception):
    """A known word with arguments that make no sense."""


def parse(prompt: str) -> list[Directive]:
    """The directives of a prompt, in order. Raises `BadDirective`."""
    return list(_scan(prompt))


def turns(directives: list[Directive]) -> list[list[Directive]]:
    """Split behind each group of tool calls: every part is one answer of the model."""
    parts: list[list[Directive]] = [[]]
    for directive in directives:
        if parts[-1] and isinstance(parts[-1][-1], CallTool) and not isinstance(directive, CallTool):
            parts.append([])
        parts[-1].append(directive)
    return parts


def _scan(prompt: str) -> Iterator[Directive]:
    at = 0
    while found := _OPEN.search(prompt, at):
        word, start = found[1], found.end()
        if word == "tool":
            tool, start = _tool(prompt, start)
            close = _CLOSE.match(prompt, start)
            if close is None:
                raise BadDirective(f"[[tool: {tool.name} …]] does not end with ]] after its arguments")
            yield tool
        else:
            close = _CLOSE.search(prompt, start)
            if close is None:
                raise BadDirective(f"[[{word}: …]] has no ]]")
            yield _read(word, prompt[start : close.start()])
        at = close.end()


def _tool(prompt: str, start: int) -> tuple[CallTool, int]:
    """Arguments are read as JSON, because they may hold `]]` themselves."""
    name = _TOOL_NAME.match(prompt, start)
    if name is None:
        raise BadDirective("[[tool: …]] names no tool")
    begin = name.end()
    while prompt[begin : begin + 1].isspace():
        begin += 1
    if prompt[begin : begin + 1] != "{":
        return CallTool(name[0], "{}"), name.end()
    try:
        _, end = json.JSONDecoder().raw_decode(prompt, begin)
    except ValueError as error:
        raise BadDirective(f"[[tool: {name[0]} …]]: its arguments are no JSON: {error}") from error
    return CallTool(name[0], prompt[begin:end]), end


def _read(word: str, rest: str) -> Directive:
    try:
        match word:
            case "say":
                return Say(rest)
            case "reason":
                return Think(rest)
            case "words":
                return Words(_within(int(rest), 0, MOST_WORDS))
            case "pace":
                rate = float(rest.strip().removesuffix("/s"))
                if not 0 < rate <= 1_000_000:
                    raise ValueError("a pace is more than 0 and at most 1,000,000 words per second")
                return Pace(rate)
            case _:
                return _fault(word, rest)
    except ValueError as error:
        raise BadDirective(f"[[{word}: {rest}]]: {error}") from error


def _fault(word: str, rest: str) -> Directive:
    options: dict[str, Any] = {name: int(number) for name, number in _OPTIONS.findall(rest)}
    first = _OPTIONS.sub("", rest).strip()
    if word == "error":
        if not re.fullmatch(r"[45]\d\d", first):
            raise BadDirective(f"[[error: {rest}]]: a status is 400 to 599, options are after=N and times=N")
        return Fail(int(first), **options)
    if first or "times" in options:
        raise BadDirective(f"[[{word} {rest}]]: its only option is after=N")
    return Drop(**options) if word == "drop" else Hang(**options)


def _within(number: int, low: int, high: int) -> int:
    if not low <= number <= high:
        raise ValueError(f"not between {low} and {high}")
    return number
