"""A server that runs nothing itself knows the agents of the workers that are alive."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from runwell import Context, agent
from runwell.agents.catalogue import Catalog
from runwell.agents.elsewhere import Elsewhere
from runwell.domain.errors import InvalidInput
from runwell.domain.json_gate import Json
from runwell.domain.worker import Heartbeat
from runwell.ports.agent import Agent, AgentCatalog, AgentFailed
from runwell.ports.store import Store
from tests.support.asgi import AsgiClient
from tests.support.fleets import a_fleet_machine, app_of
from tests.support.runs import NOW, a_store

S = 1_000_000


@agent
async def writer(text: str) -> str:
    """Writes."""
    return text


@agent
async def counter(count: int) -> int:
    return count


@agent
async def several(first: int, second: str = "a") -> int:
    return first


@agent
async def optional(count: int = 3) -> int:
    return count


@agent
async def thrifty(first: int = 1, second: int = 2) -> int:
    return first


@agent
async def nothing(ctx: Context) -> int:
    return 1


@agent(kind="tool", name="lookup")
async def lookup(word: str) -> str:
    return word


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with a_store(tmp_path / "runs.db", durability="off") as store:
        yield store


async def beat(store: Store, name: str, agents: Iterable[Any], at: int = NOW, **fields: Any) -> None:
    """A worker that began at `at` publishes what it serves, and says that it is alive."""
    specs = Catalog(agents).specs
    await store.agents.publish(specs, at)
    fields = {"places": 1, "started_at": at, "seen_at": at, **fields}
    names = tuple(spec.name for spec in specs)
    await store.workers.beat(
        Heartbeat(name=name, host="h", pid=1, version="1", lapse=9.0, agents=names, **fields)
    )


async def names(store: Store, elsewhere: Elsewhere, at: int = NOW) -> list[str]:
    await elsewhere.refresh(store, at)
    return [spec.name for spec in elsewhere.specs]


async def test_the_agents_are_those_of_live_workers_and_the_first_is_that_of_the_longest_at_work(
    store: Store,
) -> None:
    elsewhere = Elsewhere()
    assert await names(store, elsewhere) == []
    await beat(store, "b", [counter, lookup], NOW + S)
    assert await names(store, elsewhere, NOW + S) == ["counter", "lookup"]
    await beat(store, "a", [writer, counter], NOW)
    await beat(store, "api", [], NOW - S, places=0, serves=True)
    assert await names(store, elsewhere, NOW + S) == ["writer", "counter", "lookup"]
    assert await names(store, elsewhere, NOW + 9 * S) == ["counter", "lookup"], "the other is not heard"
    await store.workers.remove("b")
    assert await names(store, elsewhere, NOW + S) == ["writer", "counter"]
    assert elsewhere.find("lookup", None) is None


def refusal(one: Agent, value: Any) -> str | None:
    """The path of the fault, if there is one."""
    try:
        one.check_input(value)
    except InvalidInput as refused:
        return refused.path
    return None


WRONG: dict[str, list[tuple[Any, str]]] = {
    "counter": [("3", "$"), ({"count": "3"}, "$"), ({}, "$"), (None, "$"), ({"count": 3, "more": 3}, "$")],
    "several": [
        ({}, "$"),
        ({"first": "1"}, "$.first"),
        ({"first": 1, "third": 1}, "$"),
        (None, "$"),
        (1, "$"),
    ],
    "optional": [("3", "$"), ({"count": "3"}, "$")],
}
RIGHT: dict[str, list[Any]] = {
    "counter": [3, {"count": 3}],
    "several": [{"first": 1}, {"first": 1, "second": "b"}],
    "optional": [3, {"count": 3}, {}, None],
    "thrifty": [None, {}, {"first": 2}],
    "lookup": ["word", {"word": "word"}],
    "nothing": [None, 1, "x", {"x": 1}],
}


async def test_an_input_is_refused_that_does_not_fit_and_none_that_the_worker_would_take(
    store: Store,
) -> None:
    elsewhere, here = Elsewhere(), Catalog([counter, several, optional, thrifty, lookup, nothing])
    await beat(store, "a", [here.find(spec.name, None) for spec in here.specs])
    await elsewhere.refresh(store, NOW)
    for name, values in RIGHT.items():
        for value in values:
            assert refusal(agent_of(here, name), value) is None, "the worker takes it"
            assert refusal(agent_of(elsewhere, name), value) is None, (name, value)
    for name, faults in WRONG.items():
        for value, path in faults:
            assert refusal(agent_of(here, name), value) is not None, "the worker does not take it"
            assert refusal(agent_of(elsewhere, name), value) == path, (name, value)


def agent_of(catalog: AgentCatalog, name: str) -> Agent:
    found = catalog.find(name, None)
    assert found is not None
    return found


async def test_an_agent_elsewhere_is_not_run_here(store: Store) -> None:
    elsewhere = Elsewhere()
    await beat(store, "a", [writer])
    await elsewhere.refresh(store, NOW)
    found = agent_of(elsewhere, "writer")
    assert elsewhere.find("writer", Json(b"{}")) is None
    context: Any = None
    with pytest.raises(AgentFailed):
        await found.call(context)
    with pytest.raises(AgentFailed):
        found.call_blocking(context)


@pytest.mark.postgres
async def test_a_server_without_a_worker_answers_for_the_workers(fleet: str) -> None:
    @agent
    async def adder(ctx: Context, count: int) -> int:
        return count + 1

    async with a_fleet_machine(fleet, adder) as worker:
        async with a_fleet_machine(fleet, worker=False, serves=True) as api:
            client = AsgiClient(app_of(api))
            listed = (await client.get("/agents")).json
            assert [each["name"] for each in listed["agents"]] == ["adder"]
            refused = await client.post("/runs", {"agent": "adder", "input": "many"})
            assert (refused.status, refused.json["code"]) == (422, "invalid_input")
            unknown = await client.post("/runs", {"agent": "nobody", "input": 1})
            assert unknown.status == 404
            made = await client.post("/runs", {"input": 41})
            assert made.status == 202
            done = await client.get(f"/runs/{made.json['id']}", headers={"prefer": "wait=20"})
            assert (done.json["status"], done.json["output"]) == ("succeeded", 42)
            found = [(each.name, each.places > 0, each.serves) for each in await api.store.workers.all()]
            assert found == [(worker.name, True, False), (api.name, False, True)]
        assert [each.name for each in await worker.store.workers.all()] == [worker.name]
