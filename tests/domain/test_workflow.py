"""The order of a workflow's steps, and what no workflow can be."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runwell.domain.agent import (
    ModelAgent,
    Refused,
    ServedBy,
    WorkflowAgent,
    WorkflowStep,
    read_definition,
)
from runwell.domain.errors import Invalid, InvalidInput
from runwell.domain.json_gate import Json
from runwell.domain.workflow import check_workflow, last_of, needs_of, plan_of


def a_step(id: str, *depends_on: str, **fields) -> WorkflowStep:
    return WorkflowStep(id=id, name=id, depends_on=depends_on, **fields)


def in_order(*ids: str) -> WorkflowAgent:
    return WorkflowAgent(steps=tuple(WorkflowStep(id=id, name=id) for id in ids))


def graph(*steps: WorkflowStep) -> WorkflowAgent:
    return WorkflowAgent(steps=steps)


def ids(steps) -> list[str]:
    return [step.id for step in steps]


def test_steps_that_say_nothing_run_one_after_the_other():
    workflow = in_order("b", "a", "c")
    check_workflow(workflow)
    assert needs_of(workflow) == {"b": (), "a": ("b",), "c": ("a",)}
    assert ids(plan_of(workflow)) == ["b", "a", "c"]
    assert ids(last_of(workflow)) == ["c"]


def test_one_dependency_makes_all_of_them_a_graph():
    workflow = graph(a_step("end", "a", "b"), *in_order("a", "b", "alone").steps)
    check_workflow(workflow)
    assert needs_of(workflow) == {"end": ("a", "b"), "a": (), "b": (), "alone": ()}
    assert ids(plan_of(workflow)) == ["a", "b", "end", "alone"]
    assert ids(last_of(workflow)) == ["end", "alone"]


def test_an_empty_list_says_that_a_step_waits_for_nothing():
    workflow = graph(a_step("a"), *in_order("b").steps)
    assert needs_of(workflow) == {"a": (), "b": ()}
    assert ids(last_of(workflow)) == ["a", "b"]


@pytest.mark.parametrize(
    ("workflow", "path", "words"),
    [
        (graph(), "$.steps", "1 to 100 steps"),
        (in_order(*(f"s{n}" for n in range(101))), "$.steps", "not 101"),
        (in_order("a", "b", "a"), "$.steps[2].id", r"the id of \$\.steps\[0\]"),
        (in_order("a", "b/c"), "$.steps[1].id", "no id for a step"),
        (in_order(""), "$.steps[0].id", "no id for a step"),
        (graph(WorkflowStep(id="a", name="")), "$.steps[0].name", "1 to 200 characters"),
        (graph(WorkflowStep(id="a", name="\x00")), "$.steps[0].name", "NUL"),
        (graph(a_step("a", prompt="\ud800")), "$.steps[0].prompt", "surrogate"),
        (graph(a_step("a"), a_step("b", "a", "x")), "$.steps[1].depends_on[1]", "no step 'x'"),
        (graph(a_step("a"), a_step("b", "a", "a")), "$.steps[1].depends_on[1]", "named twice"),
        (graph(a_step("a", "a")), "$.steps[0].depends_on", "a -> a"),
        (
            graph(a_step("in", "a"), a_step("a", "c"), a_step("b", "a"), a_step("c", "b"), a_step("d")),
            "$.steps[1].depends_on",
            "a -> c -> b -> a",
        ),
    ],
)
def test_what_is_no_workflow_is_refused_with_the_place(workflow, path, words):
    with pytest.raises(Invalid, match=words) as refused:
        check_workflow(workflow)
    assert getattr(refused.value, "path", None) == path


@given(st.data())
def test_a_plan_holds_every_step_after_all_that_it_waits_for(data):
    count = data.draw(st.integers(1, 8))
    names = [f"s{n}" for n in range(count)]
    steps = [a_step(name, *data.draw(st.sets(st.sampled_from(names)))) for name in names]
    workflow = graph(*steps)
    needs = needs_of(workflow)
    try:
        check_workflow(workflow)
    except InvalidInput as refused:
        # What is named as a cycle is one.
        way = refused.message.rpartition(": ")[2].split(" -> ")
        assert way[0] == way[-1] and len(way) > 1
        assert all(after in needs[before] for before, after in pairwise(way))
        with pytest.raises(ValueError, match="wait for each other"):
            plan_of(workflow)
        return
    plan = ids(plan_of(workflow))
    assert sorted(plan) == sorted(names)
    assert all(plan.index(before) < plan.index(id) for id in names for before in needs[id])


@pytest.mark.parametrize(
    "definition",
    [
        ModelAgent(model="m", tools=("look",)),
        ServedBy("echo"),
        Refused(refused="no"),
        graph(a_step("a"), a_step("b", "a", model=ModelAgent(model="m"))),
        WorkflowAgent(steps=(a_step("a"),), model=ModelAgent(model="n")),
    ],
)  # fmt: skip
def test_each_kind_of_definition_is_read_back_as_itself(definition):
    assert read_definition(Json(msgspec.json.encode(definition))) == definition
