"""Keys, the principals behind them, and the cache in between."""

import re
from types import SimpleNamespace
from typing import Any

import pytest

from runwell.auth import authenticator as module
from runwell.auth.authenticator import LOCAL, Authenticator, require
from runwell.auth.keys import digest, issue, mint
from runwell.domain.errors import Forbidden, InvalidInput, Unauthenticated
from runwell.domain.principal import ALL_SCOPES, Principal, Scope
from tests.support.house import House


@pytest.fixture
def strict(house: House) -> Authenticator:
    return Authenticator(house.store, house.clock, local_mode=False, most_known=8)


class Counted:
    """The keys of a store, counting look-ups."""

    def __init__(self, keys):
        self._keys = keys
        self.looked_up = 0

    async def by_digest(self, key_digest):
        self.looked_up += 1
        return await self._keys.by_digest(key_digest)


def counted(store) -> Any:
    """A store of which only the keys are there."""
    return SimpleNamespace(keys=Counted(store.keys))


def test_a_secret_is_256_random_bits_that_fit_anywhere():
    secrets = {mint() for _ in range(100)}
    assert len(secrets) == 100
    assert all(re.fullmatch(r"rw_[A-Za-z0-9_-]{43}", secret) for secret in secrets)


async def test_the_store_holds_a_digest_and_no_secret(house: House):
    key, secret = await issue(house.store, house.clock, owner="ann", name="ci")
    stored = await house.store.keys.by_digest(digest(secret))
    assert stored == key
    assert key.prefix == secret[:10]
    assert secret.encode() not in repr(stored).encode()
    assert len(key.digest) == 32


@pytest.mark.parametrize("fault", [{"name": ""}, {"name": "x" * 201}, {"owner": ""}, {"scopes": frozenset()}])
async def test_a_key_that_cannot_be_is_refused(house: House, fault):
    with pytest.raises(InvalidInput):
        await issue(house.store, house.clock, **{"owner": "ann", "name": "ci", **fault})


async def test_a_key_is_its_owner_with_its_scopes(house: House, strict: Authenticator):
    scopes = frozenset({Scope.RUNS_READ})
    key, secret = await issue(house.store, house.clock, owner="ann", name="ci", scopes=scopes)
    assert await strict.authenticate(secret) == Principal("ann", scopes, "key", key.id)


@pytest.mark.parametrize("credential", [None, "", "rw_wrong", "x" * 600, "\udcff", "rw_\x00"])
async def test_anything_else_is_refused_with_a_hint(strict: Authenticator, credential):
    with pytest.raises(Unauthenticated) as refused:
        await strict.authenticate(credential)
    assert refused.value.hint
    assert strict.known(credential) is None


async def test_local_mode_takes_no_credential_for_the_local_owner_and_a_wrong_one_for_nobody(house: House):
    local = house.authenticator
    assert await local.authenticate(None) is LOCAL
    assert local.known(None) is LOCAL
    with pytest.raises(Unauthenticated):
        await local.authenticate("rw_wrong")


async def test_a_key_is_known_for_a_second_without_the_store(house: House):
    _, secret = await issue(house.store, house.clock, owner="ann", name="ci")
    store = counted(house.store)
    auth = Authenticator(store, house.clock)
    assert auth.known(secret) is None
    principal = await auth.authenticate(secret)
    house.clock.move(1)
    assert auth.known(secret) == principal == await auth.authenticate(secret)
    assert store.keys.looked_up == 1
    house.clock.move(0.000001)
    assert auth.known(secret) is None
    await auth.authenticate(secret)
    assert store.keys.looked_up == 2


async def test_a_revoked_key_is_refused_within_a_second(house: House, strict: Authenticator):
    key, secret = await issue(house.store, house.clock, owner="ann", name="ci")
    await strict.authenticate(secret)
    await house.store.keys.revoke(key.id, None, house.clock.now())
    house.clock.move(1.1)
    with pytest.raises(Unauthenticated):
        await strict.authenticate(secret)


async def test_what_this_server_changed_is_known_at_once(house: House, strict: Authenticator):
    key, secret = await issue(house.store, house.clock, owner="ann", name="ci")
    await strict.authenticate(secret)
    await house.store.keys.revoke(key.id, None, house.clock.now())
    strict.forget()
    assert strict.known(secret) is None
    with pytest.raises(Unauthenticated):
        await strict.authenticate(secret)


async def test_a_clock_set_back_keeps_no_answer_alive(house: House, strict: Authenticator):
    _, secret = await issue(house.store, house.clock, owner="ann", name="ci")
    await strict.authenticate(secret)
    house.clock.move(-3600)
    assert strict.known(secret) is None


async def test_wrong_keys_are_remembered_too_and_cannot_push_out_the_right_ones(house: House):
    _, secret = await issue(house.store, house.clock, owner="ann", name="ci")
    store = counted(house.store)
    auth = Authenticator(store, house.clock, most_known=8)
    await auth.authenticate(secret)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await auth.authenticate("rw_wrong")
    assert store.keys.looked_up == 2
    for number in range(100):
        with pytest.raises(Unauthenticated):
            await auth.authenticate(f"rw_{number}")
    assert auth.known(secret) is not None
    assert len(auth._known) == 1
    assert len(auth._unknown) == 2


async def test_the_cache_of_known_keys_is_bounded(house: House, strict: Authenticator):
    secrets = [(await issue(house.store, house.clock, owner="ann", name="n")).secret for _ in range(10)]
    for secret in secrets:
        await strict.authenticate(secret)
    assert [strict.known(secret) is not None for secret in secrets] == [False] * 2 + [True] * 8


async def test_a_long_credential_is_refused_unread(strict: Authenticator, monkeypatch: pytest.MonkeyPatch):
    def unread(secret):
        raise AssertionError("it was read")

    monkeypatch.setattr(module, "digest", unread)
    with pytest.raises(Unauthenticated):
        await strict.authenticate("x" * 513)


@pytest.mark.parametrize("scope", list(Scope))
def test_a_scope_is_needed_or_admin(scope):
    require(Principal("ann", frozenset({scope}), "key"), scope)
    require(Principal("ann", frozenset({Scope.ADMIN}), "key"), scope)
    others = ALL_SCOPES - {scope, Scope.ADMIN}
    with pytest.raises(Forbidden) as refused:
        require(Principal("ann", others, "key"), scope)
    assert scope in refused.value.message
