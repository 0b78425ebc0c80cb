"""agents.yaml, as far as it is honoured; and what a document can do to its reader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runwell.dialects.praisonai.agent_yaml import LONGEST, BadYaml, Role, first_role


@pytest.mark.parametrize(
    ("text", "role"),
    [
        (
            "agents:\n  - name: Ada L.\n    instructions: Help.\n    model: gpt-5",
            Role("Ada-L", "Help.", "gpt-5"),
        ),
        ("roles:\n  one: {role: Poet}\n  two: {role: Critic}", Role("one", "You are Poet.", None)),
        ("agents:\n  a: {instructions: 'On {topic}', llm: m}", Role("a", "On tides", "m")),
        ("topic: cats\nroles:\n  a: {goal: 'Know {topic}'}", Role("a", "Your goal: Know cats", None)),
        (
            "roles:\n  a:\n    role: R\n    tasks:\n      t: {description: Do it, expected_output: text}",
            Role("a", "You are R.\n\nDo it\n\nExpected output: text", None),
        ),
        ("agents: [{instructions: x, llm: {model: 4}}]", Role("agent", "x", "4")),
        ("agents: [{instructions: x, llm: [a]}]", Role("agent", "x", None)),
        ("roles: {}\nagents: {'***': {instructions: x}}", Role("agent", "x", None)),
    ],
)
def test_the_first_role_is_read(text, role):
    assert first_role(text, "tides") == role


@pytest.mark.parametrize(
    "text",
    [
        "", "just text", "- a\n- b", "roles: 3", "roles: []", "roles: {a: b}", "agents: [x]",
        "roles: {a: {}}",
        "roles:\n  a: {role: x\n", "a: *nobody", "a: &a [*a]", "{[a]: b}", "%TAG", "\x01", "a: b: c",
        "[" * 20_000, "{a: " * 10_000, "x" * (LONGEST + 1), "a: !!int 1" + "0" * 9_000,
        "a: &a [x]\nb: &b [*a,*a]\nroles: *b",
    ],
)  # fmt: skip
def test_what_is_no_document_is_refused_in_a_sentence(text):
    with pytest.raises(BadYaml) as refused:
        first_role(text, "t")
    assert str(refused.value).startswith("it")


def test_no_tag_means_anything():
    text = "agents: [{instructions: !!python/object/apply:os.system ['touch /tmp/x'], role: R}]"
    assert first_role(text, "t").instructions == "You are R."


def test_a_fault_quotes_nothing_of_the_document():
    with pytest.raises(BadYaml) as refused:
        first_role("password: hunter2\nroles: [}", "t")
    assert str(refused.value) == "it is not valid YAML, line 2"


@given(st.text(max_size=60))
def test_any_text_is_a_role_or_a_sentence(text):
    told = ""
    try:
        told = first_role(f"agents:\n  {text}", "t").name
    except BadYaml as refused:
        told = str(refused)
    assert told


@pytest.mark.parametrize(
    "text",
    [
        "roles: {r: {instructions: '" + "{topic}" * 9_000 + "'}}",
        "a: &big " + "x" * 30_000 + "\nroles:\n  r:\n    role: R\n    tasks:\n"
        + "".join(f"      t{number}: &t{number} {{description: *big}}\n" for number in range(600)),
    ],
)  # fmt: skip
def test_a_small_document_does_not_become_huge_instructions(text):
    assert len(text) < LONGEST
    with pytest.raises(BadYaml, match="come to more than"):
        first_role(text, "t" * 1_000)
