"""The beginning of a document as text: what a list shows of it, however long it is."""

import json
import re

import msgspec

from runwell.domain.json_gate import Json

LONGEST = 200
"""Characters of a preview."""
CUT = 1_280
"""Bytes of a document that are enough for it. A character takes four, an escaped one six."""

_HALF_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?\Z")
_HALF_PAIR = re.compile(r"[\ud800-\udbff]\Z")


def preview_of(document: Json) -> str:
    """Text is its own preview, all else its JSON."""
    whole = bytes(document)
    if whole.startswith(b'"'):
        return str(msgspec.json.decode(document))[:LONGEST]
    return whole.decode()[:LONGEST]


def cut(beginning: bytes) -> Json:
    """A whole document with the same preview as the one that begins like this: a string, if it was longer
    than `CUT` bytes, of which `beginning` has so many."""
    if len(beginning) < CUT:
        return Json(beginning)
    text = beginning.decode(errors="ignore")
    if text.startswith('"'):
        # What is left of an escape that was cut through is no text.
        inner = _HALF_ESCAPE.sub(r"\1", text[1:])
        text = _HALF_PAIR.sub("", json.loads(f'"{inner}"'))
    return Json(msgspec.json.encode(text[:LONGEST]))
