"""Letta's ids: a word, a dash and a version-4 UUID.

Messages and steps are no rows of ours. Their ids are made so that they say where they come from: the
first 48 bits are those of their run's id (its time), then come 30 bits of the run's own chance and 44
bits that name the part within the run. So whoever brings such an id is led to its run by a short range
of an index, without a table of ids and without a scan.
"""

import hashlib
from typing import NamedTuple

from runwell.domain.errors import InvalidId, NotFound
from runwell.domain.ids import derived_id, parse_id, spell_uuid
from runwell.domain.run import Run
from runwell.engine.core import Core
from runwell.ports.store import RunFilter

LENGTH = 32
_TAG_BITS = 30
_PART_BITS = 44
_ORDINAL_BITS = 9
_OTID_BITS = 7
MOST_PARTS = 2**_ORDINAL_BITS
"""Of one event: messages that one request brings, at most."""
RUNS_OF_A_MOMENT = 100
"""How many runs of one owner and one millisecond are looked through at once."""


def run_id(id: str) -> str:
    return f"run-{spell_uuid(id)}"


def agent_id(id: str) -> str:
    return f"agent-{spell_uuid(id)}"


def conversation_id(thread_id: str) -> str:
    return f"conv-{spell_uuid(thread_id)}"


def message_id(id: str) -> str:
    return f"message-{spell_uuid(id)}"


def step_id(run: str, key: str) -> str:
    """The id of the run's step with this key, spelled."""
    return f"step-{spell_uuid(_within(run, step_number(key)))}"


def ping_id(run: str, number: int) -> str:
    return f"ping-{spell_uuid(derived_id(run, 'ping', number))}"


def user_id(owner: str) -> str:
    return f"user-{spell_uuid(derived_id('letta.user', owner))}"


def default_thread(owner: str, agent: str) -> str:
    """The thread of what is said to an agent outside its conversations."""
    return derived_id("letta.agent", owner, agent)


def step_number(key: str) -> int:
    """What tells a step from the others of its run: 44 bits of its key's hash."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 20


def spoken_id(run: str, seq: int, ordinal: int = 0) -> str:
    """The id of the message that begins at the event `seq`; `ordinal` where one event brings several.

    The last 7 bits are free: Letta writes the index of a message's piece there, see `otid`.
    """
    return _within(run, (seq << _ORDINAL_BITS | ordinal) << _OTID_BITS | 0x55)


def otid(message: str, index: int) -> str:
    """The id of a message's piece: the message's own with the index in its last 7 bits."""
    value = int(message, 16)
    return spell_uuid(f"{value & ~(2**_OTID_BITS - 1) | index & (2**_OTID_BITS - 1):032x}")


def _within(run: str, number: int) -> str:
    tag = int(run, 16) & (2**_TAG_BITS - 1)
    return _shape(int(run[:12], 16), tag << _PART_BITS | number)


def _shape(moment: int, rest: int) -> str:
    """48 bits, version 4, 12 bits, the variant, 62 bits."""
    value = moment << 80 | 4 << 76 | (rest >> 62) << 64 | 2 << 62 | rest & (2**62 - 1)
    return f"{value:032x}"


class Place(NamedTuple):
    """Where a message's or a step's id points: a millisecond, a mark of the run, and a number in it."""

    moment: int
    tag: int
    number: int


def place_of(id: str) -> Place:
    value = int(id, 16)
    rest = (value >> 64 & 0xFFF) << 62 | value & (2**62 - 1)
    return Place(value >> 80, rest >> _PART_BITS, rest & (2**_PART_BITS - 1))


async def run_of(core: Core, owner: str, id: str) -> Run | None:
    """The owner's run that a message's or a step's id comes from; None when there is none (any more)."""
    place = place_of(id)
    before = f"{place.moment + 1:012x}{'0' * 20}"[-LENGTH:]
    start = f"{place.moment:012x}{'0' * 20}"
    while True:
        found = await core.store.runs.page(
            owner, RunFilter(), before=before, after=start, limit=RUNS_OF_A_MOMENT
        )
        for run in found:
            if int(run.id, 16) & (2**_TAG_BITS - 1) == place.tag:
                return run
        if len(found) < RUNS_OF_A_MOMENT:
            return None
        before = found[-1].id


def read(text: str) -> str | None:
    """The id in a cursor or a filter, in any spelling; None when it is none."""
    try:
        return parse_id(text)
    except InvalidId:
        return None


class StepNotFound(NotFound):
    code = "step_not_found"

    def __init__(self, text: str) -> None:
        super().__init__(f"No Step found with id {text[:80]}")
