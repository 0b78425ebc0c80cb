"""API keys and agents."""

from pathlib import Path

import apsw
import msgspec
import pytest
from msgspec.structs import replace

from runwell.domain.agent import AgentSpec, ModelAgent
from runwell.domain.errors import KeyNotFound
from runwell.domain.principal import Key, Scope
from runwell.ports.store import Store
from tests.support.runs import NOW, OWNER, a_store, an_id, doc


def a_key(at: int = NOW, **fields) -> Key:
    id = an_id(at)
    given = {
        "id": id, "owner": OWNER, "name": "laptop", "prefix": "rw_abc", "digest": bytes.fromhex(id) * 2,
        "scopes": frozenset({Scope.RUNS_READ, Scope.ADMIN}), "created_at": at, **fields,
    }  # fmt: skip
    return Key(**given)


def a_spec(name: str = "writer", **fields) -> AgentSpec:
    return AgentSpec(id=an_id(), name=name, kind="python", **fields)


async def test_a_key_is_found_by_its_digest(store: Store) -> None:
    key = a_key()
    await store.keys.add(key)
    assert await store.keys.by_digest(key.digest) == key
    assert await store.keys.by_digest(bytes(32)) is None


async def test_keys_are_listed_newest_first_per_owner_or_for_all(store: Store) -> None:
    first, second = a_key(), a_key(NOW + 1_000_000, owner="eve", scopes=frozenset())
    await store.keys.add(first)
    await store.keys.add(second)
    assert await store.keys.all(None) == [second, first]
    assert await store.keys.all(OWNER) == [first]


async def test_a_key_is_revoked_once_and_stays_visible(store: Store) -> None:
    key = a_key()
    await store.keys.add(key)
    with pytest.raises(KeyNotFound):
        await store.keys.revoke(key.id, "eve", NOW + 1)
    assert await store.keys.any()
    assert (await store.keys.revoke(key.id, OWNER, NOW + 2)).revoked_at == NOW + 2
    assert (await store.keys.revoke(key.id, None, NOW + 3)).revoked_at == NOW + 2
    found = await store.keys.by_digest(key.digest)
    assert found is not None
    assert found.revoked_at == NOW + 2
    assert not await store.keys.any()
    with pytest.raises(KeyNotFound):
        await store.keys.revoke(an_id(), None, NOW)


async def test_published_agents_are_everybodys_and_replaced_by_name(store: Store) -> None:
    old = a_spec(output_schema=doc({"type": "object"}), retries=2, timeout=1.5, concurrency=3)
    await store.agents.publish([old, a_spec("zeta")], NOW)
    shown = await store.agents.get("writer", "anybody")
    assert shown is not None
    assert (shown.output_schema, shown.retries, shown.timeout, shown.concurrency, shown.created_at) == (
        doc({"type": "object"}), 2, 1.5, 3, NOW,
    )  # fmt: skip
    await store.agents.publish([a_spec(description="new", input_schema=doc({}))], NOW + 9)
    shown = await store.agents.get("writer", "anybody")
    assert shown is not None
    assert (shown.description, shown.output_schema, shown.created_at) == ("new", None, NOW)
    assert [spec.name for spec in await store.agents.all("anybody")] == ["writer", "zeta"]


async def test_an_owners_agent_comes_before_everybodys_of_the_same_name(store: Store) -> None:
    await store.agents.publish([a_spec(description="code")], NOW)
    definition = ModelAgent(model="openai:m", instructions="be brief", tools=("search",))
    await store.agents.put(a_spec(description="mine", owner=OWNER, definition=definition), NOW)
    mine, code = await store.agents.get("writer", OWNER), await store.agents.get("writer", "eve")
    assert mine is not None
    assert code is not None
    assert (mine.description, mine.definition, code.description) == ("mine", definition, "code")
    assert not await store.agents.delete("writer", "eve")
    assert await store.agents.delete("writer", OWNER)
    assert not await store.agents.delete("writer", OWNER)
    assert await store.agents.get("writer", OWNER) == code
    assert await store.agents.get("unknown", OWNER) is None


async def test_an_agent_is_found_by_its_id_by_those_who_may_see_it(store: Store) -> None:
    code, mine = a_spec("code"), a_spec("mine", owner=OWNER, served_by="code")
    await store.agents.publish([code], NOW)
    await store.agents.put(mine, NOW)
    for owner in (OWNER, "eve"):
        found = await store.agents.by_id(code.id, owner)
        assert found is not None
        assert found.name == "code"
    found = await store.agents.by_id(mine.id, OWNER)
    assert found is not None
    assert (found.name, found.served_by) == ("mine", "code")
    assert await store.agents.by_id(mine.id, "eve") is None
    assert await store.agents.by_id(an_id(), OWNER) is None


async def test_an_agent_is_replaced_by_itself_and_by_no_other(store: Store) -> None:
    mine, other = a_spec(owner=OWNER), a_spec(owner=OWNER)
    assert await store.agents.put(mine, NOW)
    assert await store.agents.put(replace(mine, description="new"), NOW + 1)
    assert not await store.agents.put(other, NOW + 2)
    assert await store.agents.put(replace(other, owner="eve"), NOW + 2), "names are each owner's own"
    found = await store.agents.by_id(mine.id, OWNER)
    assert found is not None
    assert (found.description, found.created_at) == ("new", NOW)
    assert await store.agents.by_id(other.id, OWNER) is None


async def test_an_agent_that_an_older_program_wrote_is_found_by_its_id(tmp_path: Path) -> None:
    """One that was still running when the file was upgraded knows no column for the id."""
    mine, other = a_spec("mine", owner=OWNER), a_spec("mine", owner=OWNER)
    async with a_store(tmp_path / "runs.db", durability="off") as store:
        db = apsw.Connection(str(tmp_path / "runs.db"))
        db.execute(
            "INSERT INTO agents (owner, name, created_at, spec) VALUES (?, 'mine', ?, ?)",
            (OWNER, NOW, msgspec.json.encode(mine)),
        )
        db.close()
        found = await store.agents.by_id(mine.id, OWNER)
        assert found is not None
        assert found.name == "mine"
        assert await store.agents.by_id(mine.id, "eve") is None
        assert not await store.agents.put(other, NOW)
        assert await store.agents.put(replace(mine, description="new"), NOW)
        assert await store.agents.by_id(mine.id, OWNER) == replace(mine, description="new", created_at=NOW)


async def test_a_healthy_store_says_so(store: Store) -> None:
    await store.check()
    await store.check()
    assert await store.runs.every(None, 1) == []
