"""From a request to what is answered: a list of moves, the same for the same seed, prompt and turn."""

import hashlib
import re
from collections.abc import Iterator
from itertools import takewhile
from typing import Any, NamedTuple

from runwell.agents.scripted.directives import (
    CallTool,
    Directive,
    Drop,
    Fail,
    Hang,
    Pace,
    Say,
    Think,
    Words,
    parse,
    turns,
)


class Text(NamedTuple):
    """A word with the space behind it."""

    piece: str


class Reasoning(NamedTuple):
    piece: str


class ToolCall(NamedTuple):
    id: str
    name: str
    arguments: str


Move = Text | Reasoning | ToolCall | Pace | Fail | Drop | Hang

_PIECES = re.compile(r"\s*\S+\s*")
_VOCABULARY = tuple(
    re.findall(
        r"\w+",
        """
    amber anchor autumn basket beacon bridge bright candle canyon cedar circle clever cobalt copper
    crystal drift ember evening falcon feather fern forest garden gentle glacier golden granite
    harbour hollow horizon island ivory juniper kettle lantern ledger lively maple marble meadow
    mellow midnight mirror mountain nimble north ocean olive orchard paper pebble pepper pine quiet
    quill rapid raven ribbon river saffron silver simple slender spiral spring steady stone summer
    sunlit thistle timber tundra umber valley velvet violet walnut willow winter wooden yellow
    zephyr
    """,
    )
)


class Answer(NamedTuple):
    """What to do, what it costs, and how it ends when nothing goes wrong."""

    moves: list[Move]
    usage: dict[str, Any]
    finish_reason: str
    key: str
    """The same for the same seed, prompt and turn."""


def plan(request: dict[str, Any], seed: int) -> Answer:
    """The answer to a chat completion request. Raises `BadDirective`."""
    messages = [m for m in request.get("messages") or [] if isinstance(m, dict)]
    last = max((at for at, m in enumerate(messages) if m.get("role") == "user"), default=-1)
    prompt = _content(messages[last]) if last >= 0 else ""
    turn = sum(1 for message in messages[last + 1 :] if message.get("tool_calls"))
    key = hashlib.sha256(f"{request.get('seed', seed)}:{turn}:{prompt}".encode()).hexdigest()

    directives = parse(prompt)
    if directives:
        parts = turns(directives)
        directives = parts[turn] if turn < len(parts) else [Say(_results(messages[last + 1 :]))]
    else:
        told = _results(messages[last + 1 :]) if turn else f"You said: {' '.join(prompt.split())[:200]}"
        directives = [Say(told), Words(8)]
    moves = _placed(list(_moves(directives, key)), directives)
    moves, cut = _cut(moves, request.get("max_completion_tokens") or request.get("max_tokens"))
    calls = any(isinstance(move, ToolCall) for move in moves)
    reason = "length" if cut else "tool_calls" if calls else "stop"
    return Answer(moves, _usage(messages, last, moves), reason, key)


def _moves(directives: list[Directive], key: str) -> Iterator[Move]:
    """Faults with `after=N` are left out here: they are placed when the pieces are known."""
    spoken = False
    for number, directive in enumerate(directives):
        match directive:
            case Say(text):
                pieces = _PIECES.findall(f" {text}" if spoken else text)
                spoken = spoken or bool(pieces)
                yield from (Text(piece) for piece in pieces)
            case Words(number=words):
                spoken = spoken or words > 0
                yield from (Text(piece) for piece in _made_up(words, f"{key}:{number}", len(directives) > 1))
            case Think(text):
                yield from (Reasoning(piece) for piece in _PIECES.findall(text))
            case CallTool(name, arguments):
                yield ToolCall(f"call_{_digest(key, number)[:16]}", name, arguments)
            case Pace():
                yield directive
            case Fail(after=None) | Drop(after=None) | Hang(after=None):
                yield directive
            case Fail() | Drop() | Hang():
                continue


def _made_up(count: int, key: str, behind: bool) -> Iterator[str]:
    """Sentences of eight words, picked by hash: stable over Python versions, unlike `random`."""
    for at in range(count):
        pick = int.from_bytes(hashlib.blake2s(f"{key}:{at}".encode(), digest_size=4).digest(), "big")
        word = _VOCABULARY[pick % len(_VOCABULARY)]
        first, last = at % 8 == 0, at % 8 == 7 or at == count - 1
        word = word.capitalize() if first else word
        lead = " " if at == 0 and behind else ""
        yield lead + word + ("." if last else "") + ("" if at == count - 1 else " ")


def _placed(moves: list[Move], directives: list[Directive]) -> list[Move]:
    for fault in directives:
        if isinstance(fault, Fail | Drop | Hang) and fault.after is not None:
            moves.insert(_behind(moves, fault.after), fault)
    return moves


def _behind(moves: list[Move], pieces: int) -> int:
    """The position behind so many pieces, or the end."""
    seen = 0
    for at, move in enumerate(moves):
        if seen == pieces:
            return at
        seen += isinstance(move, Text | Reasoning)
    return len(moves)


def _cut(moves: list[Move], limit: object) -> tuple[list[Move], bool]:
    if not isinstance(limit, int) or isinstance(limit, bool):
        return moves, False
    end = _behind(moves, limit)
    cut = any(isinstance(move, Text | Reasoning | ToolCall) for move in moves[end:])
    return (moves[:end], True) if cut else (moves, False)


def _results(messages: list[dict[str, Any]]) -> str:
    results = [_content(message) for message in messages if message.get("role") == "tool"]
    return f"The tools returned: {'; '.join(results)}." if results else "That is all."


def _usage(messages: list[dict[str, Any]], last: int, moves: list[Move]) -> dict[str, Any]:
    sizes = [_size(message) for message in messages]
    # What stands behind a fault is never said.
    said = list(takewhile(lambda move: not isinstance(move, Drop | Hang) and not _final(move), moves))
    reasoning = sum(1 for move in said if isinstance(move, Reasoning))
    completion = sum(words(move) for move in said)
    return _counted(sum(sizes), sum(sizes[: max(last, 0)]), completion, reasoning)


def words(move: Move) -> int:
    """What a move adds to `completion_tokens`."""
    match move:
        case Text() | Reasoning():
            return 1
        case ToolCall(arguments=arguments):
            return 1 + len(arguments.split())
        case _:
            return 0


def so_far(usage: dict[str, Any], completion: int, reasoning: int) -> dict[str, Any]:
    """The usage of an answer of which only so much has been said."""
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    return _counted(usage["prompt_tokens"], cached, completion, reasoning)


def _counted(prompt: int, cached: int, completion: int, reasoning: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


def _final(move: Move) -> bool:
    return isinstance(move, Fail) and move.times is None


def _size(message: dict[str, Any]) -> int:
    calls = message.get("tool_calls") or []
    return len(_content(message).split()) + sum(
        1 + len(str(call.get("function", {}).get("arguments", "")).split()) for call in calls
    )


def _content(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _digest(key: str, number: int) -> str:
    return hashlib.sha256(f"{key}:{number}".encode()).hexdigest()
