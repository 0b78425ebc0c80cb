"""From a document to its sentences: Markdown is taken off, abbreviations do not end a sentence.

Every pattern is linear in the length of its input, also for a megabyte of brackets.
"""

import re
from typing import NamedTuple

Span = tuple[int, int]


class Prose(NamedTuple):
    """The running text, one paragraph per line, and the document's first heading."""

    text: str
    title: str


_FENCE = re.compile(r"^ {0,3}(```+|~~~+)")
_HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*$")
_UNDERLINE = re.compile(r"^ {0,3}(=+|-+)\s*$")
_TABLE = re.compile(r"^\s*\|.*\|\s*$|^[\s|:-]*-{3,}[\s|:-]*$")
_REFERENCE = re.compile(r"^ {0,3}\[[^\]\[]+\]:\s")
_ITEM = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?")
_QUOTE = re.compile(r"^\s*(?:>\s?)+")
_IMAGE = re.compile(r"!\[[^\]\[]*\](?:\([^()\s]*(?:\s[^()]*)?\)|\[[^\]\[]*\])")
_LINK = re.compile(r"\[([^\]\[]+)\](?:\([^()\s]*(?:\s[^()]*)?\)|\[[^\]\[]*\])")
_NOTE = re.compile(r"\[\^[^\]\[\s]+\]")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,500}>")
_EMPHASIS = re.compile(r"\*\*|__|~~|`+|(?<!\w)[*_](?=\w)|(?<=[\w.,;:!?)])[*_](?!\w)")

_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？।؟]+[」』”’）]*|\n")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|Sr|Jr|St|Gen|Col|Capt|Lt|Sgt|Rev|Hon|Gov|Sen|Rep|Inc|Ltd|Co|Corp|vs|cf|viz"
    r"|approx|no|nos|vol|fig|figs|sec|ch|pp|ed|eds|al|dept|est|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov"
    r"|Dec|bzw|ca|Nr|Abb|Hr|Fr)|(?<!\w)[^\W\d_]|(?<!\w)(?:[^\W\d_]\.)+[^\W\d_])\.\Z",
    re.IGNORECASE,
)


def read(document: str) -> Prose:
    """Take off front matter, code, tables, headings, links and marks; join wrapped lines."""
    paragraphs: list[list[str]] = [[]]
    title, fence = "", ""
    for line in _without_comments(_without_front_matter(document)).splitlines():
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
            paragraphs.append([])
        elif fence:
            continue
        elif heading := _HEADING.match(line):
            title = title or _plain(heading[1])
            paragraphs.append([])
        elif _UNDERLINE.match(line) and len(paragraphs[-1]) == 1:  # the line above was a heading
            title = title or paragraphs[-1][0]
            paragraphs[-1] = []
        elif not line.strip() or _TABLE.match(line) or _REFERENCE.match(line):
            paragraphs.append([])
        else:
            line = _QUOTE.sub("", line)
            if item := _ITEM.match(line):
                paragraphs.append([])
                line = line[item.end() :]
            paragraphs[-1].append(_plain(line))
    joined = (" ".join(" ".join(lines).split()) for lines in paragraphs)
    return Prose("\n".join(paragraph for paragraph in joined if paragraph), title)


def split(text: str) -> list[Span]:
    """Where each sentence of a `Prose.text` begins and ends."""
    spans: list[Span] = []
    start = 0
    for end in _END.finditer(text):
        if end[0] == "\n" or _ends(text, start, end):
            _add(spans, text, start, end.end())
            start = end.end()
    _add(spans, text, start, len(text))
    return spans


def _ends(text: str, start: int, mark: re.Match[str]) -> bool:
    following = text[mark.end() : mark.end() + 2].lstrip()[:1]
    if following.islower():
        return False
    # Long enough for any abbreviation, short enough to stay linear.
    return mark[0] != "." or _ABBREVIATION.search(text[max(start, mark.end() - 16) : mark.end()]) is None


def _add(spans: list[Span], text: str, start: int, end: int) -> None:
    sentence = text[start:end]
    kept = sentence.strip()
    if kept:
        start += len(sentence) - len(sentence.lstrip())
        spans.append((start, start + len(kept)))


def _plain(line: str) -> str:
    line = _IMAGE.sub("", line)
    line = _LINK.sub(r"\1", line)
    return _EMPHASIS.sub("", _TAG.sub("", _NOTE.sub("", line))).strip()


def _without_front_matter(document: str) -> str:
    if document.startswith("---\n"):
        end = document.find("\n---\n", 3)
        return document[end + 5 :] if end >= 0 else document
    return document


def _without_comments(document: str) -> str:
    first, *rest = document.split("<!--")
    return first + "".join(piece.partition("-->")[2] if "-->" in piece else piece for piece in rest)
