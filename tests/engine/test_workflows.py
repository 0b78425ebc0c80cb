"""Workflows made through an API: what is refused, and what is frozen on their runs."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from runwell import agent, step, workflow
from runwell.domain.agent import ModelAgent, WorkflowAgent, WorkflowStep, read_definition
from runwell.domain.errors import Conflict, InvalidInput
from runwell.domain.json_gate import EMPTY, decode
from runwell.engine.agents import delete_agent, make_agent, put_agent
from runwell.engine.workflows import make_workflow, put_workflow
from runwell.wiring import Machine
from tests.support.machines import OWNER, a_machine, run_to_end, start


@agent
async def echo(question: str) -> str:
    return question


@agent(kind="tool")
async def look_up(word: str) -> str:
    return word


IN_CODE = workflow("in_code", steps=[step("a", agent=echo)])
MODELS = {"fast": {"model": "small", "base_url": "http://127.0.0.1:1"}}


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    # The first agent is a workflow: it must not do the steps that name nobody.
    async with a_machine(tmp_path / "db", IN_CODE, look_up, echo) as machine:
        yield machine


def one(**fields: Any) -> WorkflowAgent:
    return WorkflowAgent(steps=(WorkflowStep(**{"id": "a", "name": "a", **fields}),))


async def test_a_workflow_of_an_owner_runs_and_keeps_its_steps_when_it_is_replaced(machine: Machine) -> None:
    made, new = await put_workflow(machine.core, OWNER, "mine", one(agent="echo"), "Echoes.")
    assert new
    assert (made.kind, made.owner, made.description, made.input_schema) == (
        "workflow", OWNER, "Echoes.", EMPTY,
    )  # fmt: skip
    run = await run_to_end(machine, "mine", "hi")
    assert run.output is not None and decode(run.output) == "hi"
    assert run.definition is not None and read_definition(run.definition) == one(agent="echo")
    again, new = await put_workflow(machine.core, OWNER, "mine", one(agent="look_up"))
    assert (again.id, new) == (made.id, False)
    assert await machine.store.agents.get("mine", OWNER) == replace(again, created_at=made.created_at)
    await delete_agent(machine.core, OWNER, "mine")


async def test_one_in_code_is_found_by_its_name_and_nothing_is_frozen(machine: Machine) -> None:
    run = await run_to_end(machine, "in_code", "hi")
    assert (run.status, run.definition) == ("succeeded", None)


async def test_what_names_nobody_is_done_by_the_default_agent_which_is_no_workflow(machine: Machine) -> None:
    made, _ = await put_workflow(machine.core, OWNER, "mine", one(prompt="Say."))
    assert made.workflow == one(prompt="Say.", agent="echo")


async def test_what_names_nobody_is_done_by_the_workflows_model_or_else_the_operators_first(
    tmp_path: Path,
) -> None:
    async with a_machine(tmp_path / "db", echo, look_up, models=MODELS) as machine:
        made, _ = await put_workflow(machine.core, OWNER, "mine", one(tools=("look_up",)))
        small = ModelAgent(model="small", base_url="http://127.0.0.1:1")
        assert made.workflow == one(tools=("look_up",), model=small)
        big = ModelAgent(model="big")
        named, _ = await put_workflow(machine.core, OWNER, "mine", replace(one(), model=big))
        assert named.workflow == replace(one(model=big), model=big)


async def test_an_agent_of_the_owners_own_is_frozen_into_the_step(machine: Machine) -> None:
    poet = ModelAgent(model="m", instructions="Rhyme.")
    await put_agent(machine.core, OWNER, "poet", poet)
    made, _ = await put_workflow(machine.core, OWNER, "mine", one(agent="poet"))
    await delete_agent(machine.core, OWNER, "poet")
    assert made.workflow == one(agent="poet", model=poet)


async def test_an_agent_that_another_answers_for_is_that_other(tmp_path: Path) -> None:
    async with a_machine(tmp_path / "db", echo) as machine:
        served = await make_agent(machine.core, OWNER, name="served", model=None, instructions="")
        made, _ = await put_workflow(machine.core, OWNER, "mine", one(agent=served.name))
    assert made.workflow == one(agent="echo")


async def test_an_agent_that_a_workflow_answers_for_does_no_steps(machine: Machine) -> None:
    served = await make_agent(machine.core, OWNER, name="served", model=None, instructions="")
    assert served.served_by == "in_code"
    with pytest.raises(InvalidInput, match="'in_code' is a workflow itself"):
        await put_workflow(machine.core, OWNER, "mine", one(agent="served"))


async def test_names_may_repeat_where_an_api_lets_them(machine: Machine) -> None:
    first = await make_workflow(machine.core, OWNER, name="My flow!", workflow=one())
    second = await make_workflow(machine.core, OWNER, name="My flow!", workflow=one())
    assert (first.name, second.name) == ("My-flow", "My-flow-2")
    changed = await make_workflow(machine.core, OWNER, name="x", workflow=one(prompt="New."), replaces=second)
    assert (changed.id, changed.name) == (second.id, "My-flow-2")
    assert changed.workflow == one(prompt="New.", agent="echo")


@pytest.mark.parametrize(
    ("wanted", "path", "words"),
    [
        (one(depends_on=("a",)), "$.steps[0].depends_on", "a -> a"),
        (one(agent="nobody"), "$.steps[0].agent", "no agent 'nobody'"),
        (one(agent="in_code"), "$.steps[0].agent", "a workflow itself"),
        (one(agent="echo", model=ModelAgent(model="m")), "$.steps[0]", "an agent and a model"),
        (one(agent="echo", tools=("look_up",)), "$.steps[0].tools", "brings its own tools"),
        (one(tools=("look_up",)), "$.steps[0].tools", "brings its own tools"),
        (one(model=ModelAgent(model="m"), tools=("saw",)), "$.steps[0].tools[0]", "no tool 'saw'"),
        (one(model=ModelAgent(model="m", api_key_env="HOME")), "$.api_key_env", "may not read"),
        (replace(one(), model=ModelAgent(model="m", api_key_env="HOME")), "$.api_key_env", "may not read"),
    ],
)
async def test_what_cannot_be_is_refused_with_the_place(machine: Machine, wanted, path, words) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        await put_workflow(machine.core, OWNER, "mine", wanted)
    assert refused.value.path == path
    assert await machine.store.agents.get("mine", OWNER) is None


async def test_the_name_of_an_agent_in_code_is_taken(machine: Machine) -> None:
    with pytest.raises(Conflict):
        await put_workflow(machine.core, OWNER, "echo", one())


async def test_a_server_with_nobody_to_do_a_step_says_so(tmp_path: Path) -> None:
    async with a_machine(tmp_path / "db", look_up) as machine:
        with pytest.raises(InvalidInput, match="no default for it"):
            await put_workflow(machine.core, OWNER, "mine", one(prompt="Say."))


async def test_an_input_that_the_first_step_refuses_is_refused_at_once(machine: Machine) -> None:
    await put_workflow(machine.core, OWNER, "mine", one(agent="echo"))
    with pytest.raises(InvalidInput):
        await start(machine, "mine", None)
