"""The examples load, and those that need no network run."""

import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from runwell.agents.loader import load
from runwell.agents.model import model_agents
from runwell.ports.agent import Suspended
from tests.agents.recording import BlockingContext, Recording, RecordingContext

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def _clean_path(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))


def example(name: str) -> Any:
    (agent,) = load([str(EXAMPLES / f"{name}.py")])
    return agent


def test_every_example_defines_one_agent_with_a_description():
    files = sorted(path.stem for path in EXAMPLES.glob("*.py"))
    assert len(files) == 5
    for name in files:
        spec = example(name).spec
        assert spec.description or spec.kind == "pydantic_ai"


async def test_the_generator_streams():
    context = RecordingContext(5)
    await example("generator_agent").call(context)
    assert context.recording.text == "abcde"


def test_the_plain_function_counts(tmp_path):
    (tmp_path / "a.md").write_text("one two three")
    counted = example("sync_agent").call_blocking(BlockingContext({"folder": str(tmp_path)}))
    assert counted == {"a.md": 3}


async def test_the_asking_agent_waits_for_its_answer():
    recording = Recording()
    agent = example("ask_a_person")
    with pytest.raises(Suspended):
        await agent.call(RecordingContext(3, recording))
    assert recording.question == ("ask", "Order 3 pizzas?", {"type": "boolean"})
    recording.answers["ask"] = True
    assert (await agent.call(RecordingContext(3, recording))).startswith("Ordered 3 pizzas")
    recording.answers["ask"] = False
    assert await agent.call(RecordingContext(3, recording)) == "Nothing was ordered."


def test_the_configuration_defines_a_model_agent():
    (poet,) = model_agents(tomllib.loads((EXAMPLES / "runwell.toml").read_text()))
    assert (poet.spec.name, poet.definition.model) == ("poet", "llama3.2")
