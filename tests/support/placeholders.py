"""Compares an answer with what was expected of it, where some of it is only known by its kind.

`<any>` anything · `<str>` text · `<int>` · `<float>` (an integer too) · `<id>` an id in any spelling ·
`<time>` RFC 3339. They may stand alone, or inside text: `run_<id>`, `"seq":<int>`.
"""

import re
from datetime import datetime
from typing import Any

from runwell.domain.errors import InvalidId
from runwell.domain.ids import parse_id

_HEX = "[0-9a-f]"
_IN_TEXT = {
    "<any>": ".*?",
    "<str>": r"[^\"\n]*?",
    "<int>": r"-?\d+",
    "<float>": r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?",
    "<id>": rf"(?:[a-z]{{1,16}}[_-])?(?:{_HEX}{{32}}|{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}"
    "|[0-7][0-9A-HJKMNP-TV-Z]{25})",
    "<time>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)",
}
_PLACEHOLDER = re.compile("(" + "|".join(map(re.escape, _IN_TEXT)) + ")")


def faults(expected: Any, got: Any, where: str = "$") -> list[str]:
    """What is different, one sentence each. Objects must have the same keys."""
    if isinstance(expected, dict) and isinstance(got, dict):
        found = [f"{where} lacks {key!r}" for key in expected if key not in got]
        found += [f"{where} has {key!r} too: {got[key]!r}" for key in got if key not in expected]
        for key in expected.keys() & got.keys():
            found += faults(expected[key], got[key], f"{where}.{key}")
        return found
    if isinstance(expected, list) and isinstance(got, list):
        if len(expected) != len(got):
            return [f"{where} has {len(got)} items, not {len(expected)}"]
        pairs = enumerate(zip(expected, got, strict=True))
        return [fault for n, pair in pairs for fault in faults(*pair, f"{where}[{n}]")]
    if isinstance(expected, str) and _PLACEHOLDER.search(expected):
        return [] if _fits(expected, got) else [f"{where} is {got!r}, not {expected}"]
    same = type(expected) is type(got) or (_number(expected) and _number(got))
    return [] if same and expected == got else [f"{where} is {got!r}, not {expected!r}"]


def _fits(expected: str, got: Any) -> bool:
    match expected:
        case "<any>":
            return True
        case "<str>":
            return isinstance(got, str)
        case "<int>":
            return isinstance(got, int) and not isinstance(got, bool)
        case "<float>":
            return _number(got)
        case "<id>":
            return isinstance(got, str) and _is_id(got)
        case "<time>":
            return isinstance(got, str) and _is_time(got)
        case _:
            return isinstance(got, str) and _fits_in_text(expected, got)


def _fits_in_text(expected: str, got: str) -> bool:
    parts = _PLACEHOLDER.split(expected)
    pattern = "".join(_IN_TEXT.get(part) or re.escape(part) for part in parts)
    return re.fullmatch(pattern, got, re.DOTALL) is not None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_id(text: str) -> bool:
    try:
        parse_id(text)
    except InvalidId:
        return False
    return True


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
