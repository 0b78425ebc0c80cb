"""Which model answers to which name, and agents made with a model's name."""

import asyncio
import re
from pathlib import Path

import apsw
import pytest

from runwell import Context, agent
from runwell.domain.agent import AgentSpec, ModelAgent, ServedBy
from runwell.domain.errors import AgentNotFound, Invalid
from runwell.domain.json_gate import decode
from runwell.engine.agents import MOST_COUNTED, agent_by_id, delete_agent, make_agent, put_agent
from runwell.engine.models import Models
from tests.support.machines import OWNER, a_machine, run_to_end

DEFAULT = AgentSpec(id="0" * 32, name="echo", kind="python")
TWO = {"fast": {"model": "openai:small", "max_tokens": 5}, "good": {"model": "big", "base_url": "http://m"}}


def test_a_known_name_means_its_model_and_any_other_the_first() -> None:
    models = Models(TWO)
    assert models.names(DEFAULT) == ["fast", "good"]
    assert models.resolve("good", DEFAULT) == ModelAgent(model="big", base_url="http://m")
    for name in ("fast", "openai/gpt-4o-mini", None):
        assert models.resolve(name, DEFAULT) == ModelAgent(model="openai:small", max_tokens=5)


def test_without_models_the_default_agent_answers() -> None:
    models = Models()
    assert models.names(DEFAULT) == ["echo"]
    assert models.resolve("anything", DEFAULT) == ServedBy("echo")
    with pytest.raises(AgentNotFound):
        models.resolve("anything", None)


@pytest.mark.parametrize("table", [{}, {"model": 1}, {"model": "m", "modle": "x"}, "m"])
def test_a_table_that_cannot_be_is_refused_by_name(table: object) -> None:
    with pytest.raises(Invalid, match=r"models\.fast"):
        Models({"fast": table})


@agent
async def echo(ctx: Context, text: str) -> str:
    return f"{ctx.run.agent} says {text}"


async def test_an_agent_without_a_model_is_served_by_the_default_one(tmp_path: Path) -> None:
    async with a_machine(tmp_path / "runs.db", echo) as machine:
        made = [
            await make_agent(machine.core, OWNER, name="My agent!", model="any/model", instructions="be")
            for _ in range(2)
        ]
        assert [spec.name for spec in made] == ["My-agent", "My-agent-2"]
        run = await run_to_end(machine, "My-agent-2", "hi")
        assert decode(run.output or b"") == "My-agent-2 says hi"
        again = await make_agent(
            machine.core, OWNER, name="new", model=None, instructions="x", replaces=made[0]
        )
        assert (again.id, again.name) == (made[0].id, "My-agent")
        assert await agent_by_id(machine.core, OWNER, again.id) == again
        with pytest.raises(AgentNotFound):
            await agent_by_id(machine.core, "eve", again.id)


async def test_an_agent_with_a_model_keeps_its_own_wishes(tmp_path: Path) -> None:
    async with a_machine(tmp_path / "runs.db", echo, models=TWO) as machine:
        spec = await make_agent(
            machine.core, OWNER, name="a", model="x/y", instructions="be brief", temperature=0.5
        )
    assert spec.definition == ModelAgent(
        model="openai:small", instructions="be brief", temperature=0.5, max_tokens=5
    )


async def test_agents_made_at_once_under_one_name_are_all_there(tmp_path: Path) -> None:
    async with a_machine(tmp_path / "runs.db", echo) as machine:
        core, definition = machine.core, ModelAgent(model="m")
        other = apsw.Connection(str(tmp_path / "runs.db"))
        other.execute("BEGIN IMMEDIATE")  # so that none is written before all have looked for a name
        making = asyncio.gather(
            *(make_agent(core, OWNER, name="helper", model=None, instructions="x") for _ in range(5))
        )
        naming = asyncio.gather(*(put_agent(core, OWNER, "mine", definition) for _ in range(3)))
        await asyncio.sleep(0)
        other.close()
        made, named = await making, await naming
        assert len({spec.name for spec in made}) == 5
        for spec in made:
            assert await agent_by_id(core, OWNER, spec.id) == spec
        assert len({spec.id for spec, _ in named}) == 1, "one that has a name of its own is replaced"
        assert sorted(new for _, new in named) == [False, False, True]


async def test_the_name_of_an_agent_that_is_gone_is_not_given_away_while_it_has_runs(tmp_path: Path) -> None:
    async with a_machine(tmp_path / "runs.db", echo) as machine:
        core = machine.core
        names = []
        for _ in range(3):
            spec = await make_agent(core, OWNER, name="helper", model=None, instructions="x")
            names.append(spec.name)
            if spec.name == "helper":
                await run_to_end(machine, spec.name, "hi")
            await delete_agent(core, OWNER, spec.name)
        assert names == ["helper", "helper-2", "helper-2"]


async def test_the_hundredth_agent_of_a_name_is_not_looked_for_a_hundred_times(tmp_path: Path) -> None:
    async with a_machine(tmp_path / "runs.db", echo) as machine:
        names = [
            (await make_agent(machine.core, OWNER, name="helper", model=None, instructions="x")).name
            for _ in range(MOST_COUNTED + 5)
        ]
    assert len(set(names)) == len(names)
    assert names[1] == "helper-2"
    assert all(re.fullmatch("helper-[0-9a-f]{8}", name) for name in names[-5:])
