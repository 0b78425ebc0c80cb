"""Triggers in the store: found by digest, listed and changed by their owner."""

from typing import Any

import pytest
from msgspec.structs import replace

from runwell.domain.errors import TriggerNotFound
from runwell.domain.trigger import Trigger
from runwell.ports.store import Store
from tests.support.runs import NOW, OWNER, an_id


def a_trigger(at: int = NOW, **fields: Any) -> Trigger:
    id = an_id(at)
    given = {"id": id, "owner": OWNER, "agent": "echo", "digest": bytes.fromhex(id) * 2, "prefix": "wht_abc"}
    return Trigger(**{**given, "created_at": at, **fields})


async def test_a_trigger_is_found_by_its_digest_paused_or_not(store: Store) -> None:
    trigger = a_trigger(name="news", secret=b"\x00\xff secret", paused=True)
    await store.triggers.add(trigger)
    assert await store.triggers.by_digest(trigger.digest) == trigger
    assert await store.triggers.by_digest(bytes(32)) is None


async def test_triggers_are_listed_newest_first_per_owner(store: Store) -> None:
    first, second = a_trigger(), a_trigger(NOW + 1_000_000)
    for trigger in (first, second, a_trigger(owner="eve")):
        await store.triggers.add(trigger)
    assert await store.triggers.all(OWNER) == [second, first]
    assert await store.triggers.all("nobody") == []


async def test_a_trigger_is_changed_and_removed_by_its_owner_alone(store: Store) -> None:
    trigger = a_trigger()
    await store.triggers.add(trigger)
    changed = await store.triggers.update(trigger.id, OWNER, lambda seen: replace(seen, paused=True))
    changed = await store.triggers.update(trigger.id, OWNER, lambda seen: replace(seen, name="other"))
    assert changed == replace(trigger, paused=True, name="other")
    assert await store.triggers.get(trigger.id, OWNER) == changed
    with pytest.raises(TriggerNotFound):
        await store.triggers.update(trigger.id, "eve", lambda seen: replace(seen, paused=False))
    with pytest.raises(TriggerNotFound):
        await store.triggers.get(trigger.id, "eve")
    with pytest.raises(TriggerNotFound):
        await store.triggers.delete(trigger.id, "eve")
    assert await store.triggers.by_digest(trigger.digest) == changed
    await store.triggers.delete(trigger.id, OWNER)
    assert await store.triggers.by_digest(trigger.digest) is None
    with pytest.raises(TriggerNotFound):
        await store.triggers.delete(trigger.id, OWNER)
