"""What a waiting run asks, as an approval request; and what a client's answer means to the run."""

from typing import Any, NamedTuple

import msgspec

from runwell.domain.json_gate import decode
from runwell.domain.run import Question

ASKS = "ask"
"""The tool's name in the request of an agent that asks a person in words."""


class Asked(NamedTuple):
    """`kind`: `approval`, a call that may be made; `words`, a question; else a call whose result is
    brought from outside. `arguments` is JSON text."""

    kind: str
    call_id: str
    tool: str
    arguments: str


WORDS = "words"
APPROVAL = "approval"


def asked_of(question: Question) -> Asked:
    """The call behind the question, as agents with tools ask; any other question is a call of `ask`."""
    value = decode(question.question)
    match value:
        case {"kind": str(kind), "tool": str(tool), "call_id": str(call_id)}:
            return Asked(kind, call_id, tool, _json(value.get("arguments", {})))
        case _:
            return Asked(WORDS, question.key, ASKS, _json({"question": value}))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
