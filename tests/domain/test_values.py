"""Ids, instants, the JSON gate, events as bytes, back-off."""

import random
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runwell.domain import events as e
from runwell.domain.callback import ENDINGS, TELLABLE
from runwell.domain.errors import InvalidId, InvalidJson
from runwell.domain.ids import derived_id, id_of_name, new_id, parse_id, spell, spell_crockford, spell_uuid
from runwell.domain.instant import from_iso, to_iso
from runwell.domain.json_gate import clean_text, decode, encode, encode_any
from runwell.domain.retry import LONGEST_DELAY, backoff
from runwell.domain.run import Question

NOW = 1_795_387_585_769_996


@given(st.integers(0, 2**47 * 1000))
def test_every_spelling_of_an_id_leads_back_to_it(now: int) -> None:
    id = new_id(now)
    uuid = UUID(hex=id)
    assert uuid.version == 4 and uuid.variant == "specified in RFC 4122"
    assert uuid.int >> 80 == now // 1000
    for text in (id, spell("run", id), "wrun_" + spell_crockford(id), "run-" + spell_uuid(id), str(uuid)):
        assert parse_id(text) == id


def test_an_agent_that_seeds_the_shared_generator_makes_no_id_twice() -> None:
    ids = set()
    for _ in range(3):
        random.seed(0)
        ids.add(new_id(NOW))
    assert len(ids) == 3


@pytest.mark.parametrize(
    "text", ["", "run_", "run_xyz", "RUN_" + "0" * 32, "0" * 31, "0" * 33, "run_" + "0" * 32 + "\n"]
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidId):
        parse_id(text)


def test_the_id_of_a_name_is_the_same_everywhere() -> None:
    assert id_of_name("summarize") == id_of_name("summarize") != id_of_name("other")
    assert UUID(hex=id_of_name("summarize")).version == 4


@given(st.integers(0, 250_000_000_000 * 1_000_000 // 1000))
def test_an_instant_survives_its_text(instant: int) -> None:
    assert from_iso(to_iso(instant)) == instant


def test_a_time_without_a_zone_is_refused() -> None:
    assert to_iso(NOW) == "2026-11-22T22:46:25.769996Z"
    with pytest.raises(ValueError, match="no time zone"):
        from_iso("2026-11-22T22:46:25")


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1, float("nan")]}, "$.a[1]"),
        (float("inf"), "$"),
        ({"a": "x\x00"}, "$.a"),
        (["\ud800"], "$[0]"),
        (2**63, "$"),
        (-(2**63) - 1, "$"),
        ({"a\x00": 1}, "$"),
        ({1: 2}, "$"),
        (object(), "$"),
        (nested(65), "$" + "[0]" * 64),
    ],
)
def test_the_gate_refuses_with_the_path_to_the_fault(value: object, path: str) -> None:
    with pytest.raises(InvalidJson) as refused:
        encode(value)
    assert refused.value.path == path


storable_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
storable_numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | storable_numbers | storable_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(storable_text, inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_what_passes_the_gate_comes_back_the_same(value: object) -> None:
    assert decode(encode(value)) == value


def test_the_edges_of_the_gate_pass() -> None:
    for value in (2**63 - 1, -(2**63), nested(64), "\U0001f600"):
        assert decode(encode(value)) == value


def test_values_of_agents_become_plain_json() -> None:
    class Point(msgspec.Struct):
        x: int

    assert decode(encode_any({"p": Point(1), "s": (1, 2)})) == {"p": {"x": 1}, "s": [1, 2]}
    with pytest.raises(InvalidJson):
        encode_any(object())
    loop: list = []
    loop.append(loop)
    with pytest.raises(InvalidJson):
        encode_any(loop)


def test_what_a_model_streams_is_cleaned() -> None:
    assert clean_text("a\x00b\ud800c") == "a\ufffdb\ufffdc"


def test_every_event_type_is_listed_and_survives_its_bytes() -> None:
    assert len({event.type for event in e.EVENT_TYPES}) == len(e.EVENT_TYPES) == 22
    samples: list[e.Event] = [
        e.RunCreated(agent="a", input=encode({"q": 1}), answers={"ask": encode("x")}),
        e.StepFinished(key="k", name="n", started_at=NOW, output=encode([1])),
        e.RunWaiting(question=Question(key="ask", question=encode("?"), schema=encode({"type": "string"}))),
        e.RunWaiting(question=Question(key="ask", question=encode("?"))),
        e.TextDelta(text="hé", in_step="k"),
        e.OutputRestarted(attempt=2),
    ]
    for event in samples:
        assert e.decode_event(event.type, e.encode_event(event)) == event
    assert e.encode_event(e.TextDelta(text="x")) == b'{"text":"x"}'


def test_what_can_be_told_are_events_and_the_default_is_how_runs_end() -> None:
    assert {event.type for event in e.EVENT_TYPES} >= TELLABLE
    assert set(ENDINGS) == e.FINAL_TYPES


def test_a_derived_id_depends_on_every_part_and_on_nothing_else() -> None:
    assert derived_id("run", 1, 2) == derived_id("run", 1, 2)
    assert len({derived_id("run", 1, 2), derived_id("run", 12), derived_id("run", 1, 3)}) == 3
    assert parse_id(spell_uuid(derived_id("run", 1))) == derived_id("run", 1)


def test_backoff_grows_and_stays_bounded() -> None:
    assert [backoff(n, 0.0) for n in (1, 2, 3)] == [1.0, 2.0, 4.0]
    assert backoff(1, 1.0) == 0.75
    assert backoff(10_000, 0.0) == LONGEST_DELAY


class Unspelled(str):
    """A key that may be kept and not be written into anything."""

    def __format__(self, spec: str) -> str:
        raise AssertionError("a path was put together for a value without a fault")


def test_a_long_key_above_many_values_costs_nothing_but_its_own_length() -> None:
    document = {Unspelled("k" * 1_000): [{Unspelled("l"): [0, "x", None]}] * 100}
    assert decode(encode(document)) == document


def test_the_path_to_a_fault_does_not_repeat_a_long_key_in_full() -> None:
    with pytest.raises(InvalidJson) as refused:
        encode({"k" * 100_000: ["x", {"a": "\x00"}]})
    assert refused.value.path == f"$.{'k' * 80}[1].a"
