"""Letta's ids, and how those of messages and steps lead to their run."""

import re

import pytest

from runwell.dialects.letta import ids
from runwell.domain.ids import new_id
from tests.support.house import House

STRICT = re.compile(r"[a-z]+-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")


def test_every_id_passes_letta_s_own_validators():
    run = new_id(1_800_000_000_000_000)
    for spelled in (
        ids.run_id(run), ids.agent_id(run), ids.conversation_id(run), ids.step_id(run, "model"),
        ids.message_id(ids.spoken_id(run, 2**28 - 1, ids.MOST_PARTS - 1)), ids.ping_id(run, 1),
        ids.user_id("ann"),
    ):  # fmt: skip
        assert STRICT.match(spelled), spelled


def test_pieces_differ_in_the_last_seven_bits_and_messages_above_them():
    run = new_id(1_800_000_000_000_000)
    messages = [ids.spoken_id(run, seq, ordinal) for seq in (1, 2, 300) for ordinal in (0, 1, 511)]
    otids = {ids.otid(message, index) for message in messages for index in (0, 1, 127)}
    assert len(set(messages)) == 9
    assert len(otids) == 27
    assert ids.otid(messages[0], 2)[-1] == "2"


def test_a_place_is_read_back():
    run = new_id(1_800_000_000_000_000)
    place = ids.place_of(ids.read(ids.step_id(run, "tool:x")) or "")
    assert place.moment == int(run[:12], 16)
    assert place.number == ids.step_number("tool:x")


async def test_a_message_leads_to_its_run_among_many_of_one_moment(house: House):
    runs = [await house.submit() for _ in range(150)]
    for run in (runs[0], runs[77], runs[-1]):
        assert await ids.run_of(house.core, run.owner, ids.spoken_id(run.id, 3)) == run
        step = ids.read(ids.step_id(run.id, "model")) or ""
        assert await ids.run_of(house.core, run.owner, step) == run


async def test_a_message_of_another_owner_leads_nowhere(house: House):
    run = await house.submit(owner="somebody else")
    assert await ids.run_of(house.core, "local", ids.spoken_id(run.id, 1)) is None
    assert await ids.run_of(house.core, "local", "f" * 32) is None


@pytest.mark.parametrize("text", ["bogus", "run-123", "", "run_"])
def test_what_is_no_id_is_none(text):
    assert ids.read(text) is None
