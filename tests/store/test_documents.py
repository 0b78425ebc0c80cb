"""What only a dialect knows."""

import pytest

from runwell.ports.store import RunFilter, Store
from tests.support.runs import NOW, OWNER, doc


async def test_a_document_is_replaced_found_and_removed(store: Store) -> None:
    await store.documents.put(OWNER, "notes", "a", doc({"n": 1}), NOW)
    await store.documents.put(OWNER, "notes", "a", doc({"n": 2}), NOW + 1)
    assert await store.documents.get(OWNER, "notes", "a") == doc({"n": 2})
    assert await store.documents.delete(OWNER, "notes", "a")
    assert not await store.documents.delete(OWNER, "notes", "a")
    assert await store.documents.get(OWNER, "notes", "a") is None


async def test_owners_and_spaces_are_apart(store: Store) -> None:
    await store.documents.put(OWNER, "notes", "a", doc(1), NOW)
    await store.documents.put("eve", "notes", "a", doc(2), NOW)
    await store.documents.put(OWNER, "lists", "a", doc(3), NOW)
    assert await store.documents.get(OWNER, "notes", "a") == doc(1)
    assert await store.documents.get("bob", "notes", "a") is None
    assert await store.documents.get(OWNER, "nowhere", "a") is None
    assert not await store.documents.delete("bob", "notes", "a")
    assert await store.documents.page("eve", "notes", limit=9) == [("a", doc(2))]


async def test_documents_are_walked_from_the_greatest_id(store: Store) -> None:
    for id in ("b", "d", "a", "c"):
        await store.documents.put(OWNER, "notes", id, doc(id), NOW)
    first = await store.documents.page(OWNER, "notes", limit=3)
    assert [id for id, _ in first] == ["d", "c", "b"]
    assert await store.documents.page(OWNER, "notes", before="b", limit=3) == [("a", doc("a"))]
    assert await store.documents.page(OWNER, "notes", before="a", limit=3) == []


@pytest.mark.parametrize("name", ["\0", "a\0b"], ids=["nul", "inside"])
async def test_what_no_database_can_hold_is_not_found(store: Store, name: str) -> None:
    assert await store.documents.get(OWNER, name, name) is None
    assert await store.documents.page(OWNER, name, limit=3) == []
    assert await store.agents.get(name, OWNER) is None
    assert await store.runs.page(OWNER, RunFilter(agent=name), before=None, after=None, limit=3) == []
    assert await store.runs.count(OWNER, RunFilter(label=name)) == 0
