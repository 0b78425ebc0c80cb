"""Triggers: making them, finding them by their token, what a post to one starts."""

import hashlib
import hmac
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runwell.domain.errors import (
    AgentNotFound,
    Conflict,
    InvalidInput,
    InvalidJson,
    TriggerNotFound,
    Unauthenticated,
)
from runwell.domain.json_gate import decode
from runwell.engine import triggers
from runwell.engine.triggers import PREFIX, digest
from tests.support.house import House, a_house

ANN = "ann"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        yield house


async def test_a_token_is_long_shown_once_and_kept_as_a_digest(house: House):
    trigger, token = await triggers.create(house.core, ANN, "echo", name="news")
    other, another = await triggers.create(house.core, ANN, "echo")
    assert token.startswith(PREFIX)
    assert len(token) >= 43 + len(PREFIX)
    assert token != another
    assert (trigger.digest, trigger.prefix) == (digest(token), token[:10])
    assert await triggers.find(house.core, token) == trigger
    assert await triggers.find(house.core, another) == other
    assert (trigger.name, trigger.agent, trigger.paused, trigger.secret) == ("news", "echo", False, None)


@pytest.mark.parametrize("token", ["", "x", PREFIX, "\udcff", "ü" * 1000])
async def test_any_other_token_is_unknown(house: House, token: str):
    await triggers.create(house.core, ANN, "echo")
    with pytest.raises(TriggerNotFound):
        await triggers.find(house.core, token)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"agent": "nobody"}, AgentNotFound),
        ({"name": "x" * 201}, InvalidInput),
        ({"name": "\x00"}, InvalidJson),
        ({"secret": ""}, InvalidInput),
        ({"secret": "x" * 257}, InvalidInput),
    ],
)
async def test_a_trigger_must_be_one(house: House, fields, error):
    given = {"agent": "echo", **fields}
    with pytest.raises(error):
        await triggers.create(house.core, ANN, given.pop("agent"), **given)
    assert await house.store.triggers.all(ANN) == []


async def test_only_what_is_given_is_changed(house: House):
    trigger, _ = await triggers.create(house.core, ANN, "echo", name="a", secret="s")
    paused = await triggers.update(house.core, ANN, trigger.id, paused=True)
    assert (paused.name, paused.paused, paused.secret, paused.digest) == ("a", True, b"s", trigger.digest)
    renamed = await triggers.update(house.core, ANN, trigger.id, name="b")
    assert (renamed.name, renamed.paused) == ("b", True)
    assert await house.store.triggers.get(trigger.id, ANN) == renamed
    for name, error in (("x" * 201, InvalidInput), ("\x00", InvalidJson)):
        with pytest.raises(error):
            await triggers.update(house.core, ANN, trigger.id, name=name)
    with pytest.raises(TriggerNotFound):
        await triggers.update(house.core, "bob", trigger.id, paused=False)
    assert await house.store.triggers.get(trigger.id, ANN) == renamed


async def test_a_run_is_the_owners_and_says_which_trigger(house: House):
    trigger, _ = await triggers.create(house.core, ANN, "counter")
    run, spec = await triggers.fire(house.core, trigger, b"3", source="hook")
    assert (run.owner, run.agent, run.source, spec.name) == (ANN, "counter", "hook", "counter")
    assert decode(run.metadata) == {"trigger": trigger.id}


@pytest.mark.parametrize("body", [b"{", b"[" * 5000, b"\xff", b"nope", b"NaN"])
async def test_what_is_no_json_starts_nothing(house: House, body: bytes):
    trigger, _ = await triggers.create(house.core, ANN, "echo")
    with pytest.raises(InvalidInput):
        await triggers.fire(house.core, trigger, body, source="hook")


async def test_a_paused_trigger_and_one_without_its_agent_start_nothing(house: House):
    trigger, _ = await triggers.create(house.core, ANN, "echo")
    paused = await triggers.update(house.core, ANN, trigger.id, paused=True)
    with pytest.raises(Conflict):
        await triggers.fire(house.core, paused, b"{}", source="hook")
    await house.client.put("/agents/mine", {"model": "m"})
    mine, _ = await triggers.create(house.core, "local", "mine")
    await house.client.delete("/agents/mine")
    with pytest.raises(AgentNotFound):
        await triggers.fire(house.core, mine, b"{}", source="hook")


async def test_a_signature_is_of_this_body_under_this_secret(house: House):
    trigger, _ = await triggers.create(house.core, ANN, "echo", secret="kéy")
    body = b'{"a": 1}'
    good = hmac.new("kéy".encode(), body, hashlib.sha256).hexdigest()
    triggers.verify(trigger, body, f" {good} ")
    for given, signature in ((body + b" ", good), (body, good[:-1]), (body, ""), (body, None), (body, "ü")):
        with pytest.raises(Unauthenticated):
            triggers.verify(trigger, given, signature)
    open_one, _ = await triggers.create(house.core, ANN, "echo")
    assert triggers.verify(open_one, body, "whatever") is None  # type: ignore[func-returns-value]


async def test_an_owner_has_no_more_triggers_than_a_list_may_be_long(house: House, monkeypatch):
    monkeypatch.setattr(triggers, "MOST_TRIGGERS", 2)
    for _ in range(2):
        await triggers.create(house.core, ANN, "echo")
    with pytest.raises(InvalidInput, match="at most 2 triggers"):
        await triggers.create(house.core, ANN, "echo")
    await triggers.create(house.core, "bob", "echo")
