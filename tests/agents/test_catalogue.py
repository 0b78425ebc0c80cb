"""Which agents a process knows: code, tables of runwell.toml, definitions frozen on runs."""

import msgspec
import pytest

from runwell.agents.catalogue import Catalog
from runwell.agents.errors import CannotLoad
from runwell.agents.model import ModelRunner, model_agents
from runwell.agents.python import agent
from runwell.domain.agent import TEXT_INPUT, ModelAgent
from runwell.domain.errors import InvalidInput
from runwell.domain.json_gate import Json


@agent(kind="tool")
async def look_up(word: str) -> str:
    return word


@agent
async def main(question: str) -> str:
    return question


def test_agents_are_found_by_name_and_the_default_is_no_tool():
    catalog = Catalog([look_up, main])
    assert catalog.find("main", None) is main
    assert catalog.find("nobody", None) is None
    assert [spec.name for spec in catalog.specs] == ["main", "look_up"]


def test_a_definition_goes_before_the_name_and_knows_the_tools():
    definition = ModelAgent(model="m", base_url="http://127.0.0.1:1", tools=("look_up",))
    found = Catalog([look_up, main]).find("main", Json(msgspec.json.encode(definition)))
    assert isinstance(found, ModelRunner)
    assert found.definition == definition
    assert found.tools == {"look_up": look_up}
    assert (found.spec.name, found.spec.kind, found.spec.definition) == ("main", "model", definition)


def test_two_agents_of_one_name_are_refused():
    with pytest.raises(CannotLoad, match="two agents are named 'main'"):
        Catalog([main, *model_agents({"agents": {"main": {"model": "m"}}})])


def test_tables_of_runwell_toml_are_agents():
    (poet,) = model_agents(
        {"agents": {"poet": {"model": "m", "instructions": "Rhyme.", "tools": ["look_up"], "timeout": 9}}}
    )
    assert poet.spec.definition == ModelAgent(model="m", instructions="Rhyme.", tools=("look_up",))
    assert (poet.spec.timeout, poet.spec.input_schema, poet.blocking) == (9, TEXT_INPUT, False)
    catalog = Catalog([main, look_up, poet])
    found = catalog.find("poet", None)
    assert isinstance(found, ModelRunner)
    assert found.tools == {"look_up": look_up}
    assert model_agents({}) == []


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"poet": {"modle": "m"}}, r"\[agents\.poet\]: .*modle"),
        ({"poet": {}}, "model"),
        ({"poet": {"model": "m", "max_tokens": "many"}}, "max_tokens"),
        ({"poet": "m"}, "object"),
        ({"a/b": {"model": "m"}}, "no name"),
        ("poet", "table of tables"),
    ],
)
def test_a_wrong_table_is_refused_by_name(table, words):
    with pytest.raises(CannotLoad, match=words) as refused:
        model_agents({"agents": table})
    assert refused.value.hint


def test_a_tool_that_is_not_served_is_refused_at_the_start():
    with pytest.raises(CannotLoad, match="uses the tool 'look_up', which is not served") as refused:
        Catalog([main, *model_agents({"agents": {"poet": {"model": "m", "tools": ["look_up"]}}})])
    assert "there is none" in refused.value.hint


@pytest.mark.parametrize(
    "value", ["hi", {"prompt": "hi"}, [{"type": "text", "text": "hi"}], {"parts": [{"text": "hi"}]}]
)
def test_a_model_agent_takes_text_in_the_forms_clients_send(value):
    (poet,) = model_agents({"agents": {"poet": {"model": "m"}}})
    poet.check_input(value)
    assert poet.spec.input_schema == TEXT_INPUT


@pytest.mark.parametrize("value", [None, 3, {}, [], {"prompt": 3}, [{"type": "image"}]])
def test_a_model_agent_refuses_what_has_no_text(value):
    (poet,) = model_agents({"agents": {"poet": {"model": "m"}}})
    with pytest.raises(InvalidInput, match="prompt"):
        poet.check_input(value)
