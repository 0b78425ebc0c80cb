"""Users and their sessions."""

from typing import Any

import pytest

from runwell.domain.errors import EmailTaken, UserNotFound
from runwell.domain.instant import SECOND
from runwell.domain.user import Session, User, email_key
from runwell.ports.store import Store
from tests.support.runs import NOW, an_id

DAY = 24 * 3600 * SECOND


def a_user(email: str = "Ada@Example.com", at: int = NOW, **fields: Any) -> User:
    return User(**{"id": an_id(at), "email": email, "name": "Ada", "created_at": at, **fields})


def a_session(user: User, at: int = NOW, **fields: Any) -> Session:
    given = {
        "id": an_id(at), "user_id": user.id, "created_at": at, "expires_at": at + 7 * DAY,
        "last_seen_at": at, "user_agent": "curl/8", "address": "10.0.0.1", **fields,
    }  # fmt: skip
    return Session(**given)


def digest_of(session: Session) -> bytes:
    return bytes.fromhex(session.id) * 2


async def a_stored_user(store: Store, email: str = "Ada@Example.com", **fields: Any) -> User:
    user = a_user(email, **fields)
    await store.users.add(user, "hash-1")
    return user


async def signed_in(store: Store, user: User, at: int = NOW, **fields: Any) -> Session:
    session = a_session(user, at, **fields)
    assert await store.sessions.add(session, digest_of(session), user.generation)
    return session


async def alive(store: Store, session: Session) -> bool:
    return await store.sessions.by_digest(digest_of(session)) is not None


async def test_a_user_is_found_by_id_and_by_any_spelling_of_the_address(store: Store) -> None:
    user = await a_stored_user(store, admin=True)
    assert await store.users.get(user.id) == user
    for spelling in ("ada@example.com", " ADA@EXAMPLE.COM "):
        assert await store.users.by_email(email_key(spelling)) == user
    assert await store.users.by_email(email_key("bob@example.com")) is None
    assert await store.users.password_hash(user.id) == "hash-1"


async def test_an_address_is_one_users_in_every_case(store: Store) -> None:
    user = await a_stored_user(store)
    with pytest.raises(EmailTaken):
        await store.users.add(a_user("ADA@example.com"), "hash-2")
    composed, decomposed = "andr\u00e9@x.org", "ANDRE\u0301@x.org"
    await a_stored_user(store, composed)
    with pytest.raises(EmailTaken):
        await store.users.add(a_user(decomposed), "hash-2")
    assert [found.email for found in await store.users.all()].count(user.email) == 1
    assert await store.users.password_hash(user.id) == "hash-1"


async def test_users_are_listed_newest_first(store: Store) -> None:
    first = await a_stored_user(store, "a@x.org")
    second = await a_stored_user(store, "b@x.org", at=NOW + SECOND)
    assert await store.users.all() == [second, first]


async def test_nobody_is_changed_who_is_not_there(store: Store) -> None:
    id = an_id()
    for change in (
        store.users.get(id),
        store.users.password_hash(id),
        store.users.set_password(id, "x"),
        store.users.disable(id, NOW),
        store.users.enable(id),
    ):
        with pytest.raises(UserNotFound) as error:
            await change
        assert id in error.value.message
    assert not await store.users.rehash(id, "hash-1", "hash-2")


async def test_a_session_is_found_by_its_digest_with_its_user(store: Store) -> None:
    user = await a_stored_user(store)
    session = await signed_in(store, user)
    assert await store.sessions.by_digest(digest_of(session)) == (session, user)
    assert await store.sessions.by_digest(bytes(32)) is None


async def test_sessions_end_one_by_one_or_all_of_a_user(store: Store) -> None:
    ada, bob = await a_stored_user(store, "a@x.org"), await a_stored_user(store, "b@x.org")
    first, second = await signed_in(store, ada), await signed_in(store, ada, NOW + SECOND)
    third, other = await signed_in(store, ada, NOW + 2 * SECOND), await signed_in(store, bob)
    assert await store.sessions.of(ada.id) == [third, second, first]
    assert await store.sessions.end(digest_of(first))
    assert not await store.sessions.end(digest_of(first))
    assert not await store.sessions.end_one(second.id, bob.id), "somebody else's"
    assert await store.sessions.end_one(second.id, ada.id)
    assert await store.sessions.of(ada.id) == [third]
    assert await store.sessions.end_all(ada.id) == 1
    assert [await alive(store, it) for it in (first, second, third, other)] == [False, False, False, True]


async def test_disabling_ends_all_sessions_and_lets_none_begin(store: Store) -> None:
    user = await a_stored_user(store)
    session = await signed_in(store, user)
    disabled = await store.users.disable(user.id, NOW + 5)
    assert disabled.disabled_at == NOW + 5
    assert (await store.users.disable(user.id, NOW + 9)).disabled_at == NOW + 5
    assert not await alive(store, session)
    late = a_session(user)
    assert not await store.sessions.add(late, digest_of(late), user.generation)
    current = await store.users.get(user.id)
    assert not await store.sessions.add(late, digest_of(late), current.generation)
    enabled = await store.users.enable(user.id)
    assert enabled.disabled_at is None
    assert not await alive(store, session), "what has ended stays ended"
    assert not await store.sessions.add(late, digest_of(late), user.generation), "checked before it"
    assert await store.sessions.add(late, digest_of(late), enabled.generation)


async def test_a_new_password_ends_what_the_old_one_began(store: Store) -> None:
    user = await a_stored_user(store)
    session = await signed_in(store, user)
    changed = await store.users.set_password(user.id, "hash-2")
    assert await store.users.password_hash(user.id) == "hash-2"
    assert not await alive(store, session)
    late = a_session(user)
    assert not await store.sessions.add(late, digest_of(late), user.generation)
    assert await store.sessions.add(late, digest_of(late), changed.generation)


async def test_rehashing_keeps_sessions_and_never_undoes_a_new_password(store: Store) -> None:
    user = await a_stored_user(store)
    session = await signed_in(store, user)
    assert await store.users.rehash(user.id, "hash-1", "hash-1b")
    assert await alive(store, session)
    assert (await store.users.get(user.id)).generation == user.generation
    await store.users.set_password(user.id, "hash-2")
    assert not await store.users.rehash(user.id, "hash-1b", "hash-1c")
    assert await store.users.password_hash(user.id) == "hash-2"


async def test_a_session_that_is_seen_lasts_longer_and_never_shorter(store: Store) -> None:
    user = await a_stored_user(store)
    session = await signed_in(store, user)
    assert await store.sessions.refresh(session.id, NOW + DAY, NOW + 8 * DAY)
    assert await store.sessions.refresh(session.id, NOW, NOW + 7 * DAY), "a slower machine's word"
    found = await store.sessions.by_digest(digest_of(session))
    assert found is not None
    assert (found.session.last_seen_at, found.session.expires_at) == (NOW + DAY, NOW + 8 * DAY)
    await store.sessions.end_all(user.id)
    assert not await store.sessions.refresh(session.id, NOW + DAY, NOW + 8 * DAY)


async def test_expired_sessions_are_forgotten_in_batches(store: Store) -> None:
    user = await a_stored_user(store)
    old = [await signed_in(store, user, NOW + n, expires_at=NOW + n) for n in range(3)]
    young = await signed_in(store, user, expires_at=NOW + 10)
    assert await store.sessions.forget(NOW + 10, 2) == 2
    assert await store.sessions.forget(NOW + 10, 2) == 1
    assert await store.sessions.forget(NOW + 10, 2) == 0
    assert [await alive(store, it) for it in [*old, young]] == [False] * 3 + [True]
