"""Users and their sessions, as a dialect drives them."""

import asyncio
import hashlib
import logging
import re
from types import SimpleNamespace
from typing import Any

import pytest
from argon2 import PasswordHasher
from msgspec import json

from runwell import config
from runwell.auth.attempts import PER_ADDRESS, PER_EMAIL, WINDOW, Attempts
from runwell.auth.passwords import Passwords
from runwell.auth.sessions import LIFE, REFRESH, Accounts, Found, SignIn
from runwell.config import BadSetting
from runwell.domain.errors import (
    EmailTaken,
    Forbidden,
    InvalidInput,
    RateLimited,
    StoreUnavailable,
    Unauthenticated,
    UserNotFound,
)
from runwell.domain.ids import new_id
from runwell.domain.instant import SECOND, after
from runwell.domain.principal import Scope
from runwell.domain.user import LONGEST_AGENT, LONGEST_EMAIL, Session
from runwell.worker.upkeep.forgetting import forget_sessions
from tests.support.house import CHEAP, House

EMAIL = "Ada@Example.com"
RIGHT = "correct horse"
NOBODY = "0" * 12 + "4" + "0" * 3 + "8" + "0" * 15


def other_process(house: House, *, signup_open: bool = True, **fields: Any) -> Accounts:
    """The accounts of another process on the same store."""
    passwords = fields.pop("passwords", None) or Passwords(PasswordHasher(**CHEAP))
    return Accounts(house.store, house.clock, signup_open=signup_open, passwords=passwords, **fields)


async def signed_in(accounts: Accounts, email: str = EMAIL) -> SignIn:
    if await accounts.by_email(email) is None:
        await accounts.sign_up(email, "Ada", RIGHT)
    return await accounts.sign_in(email, RIGHT)


async def found(accounts: Accounts, token: str) -> Found:
    known = await accounts.find(token)
    assert known is not None
    return known


async def refusal(accounts: Accounts, email: str, password: str, **fields: Any) -> tuple[str, str]:
    with pytest.raises(Unauthenticated) as refused:
        await accounts.sign_in(email, password, **fields)
    return refused.value.message, refused.value.hint


async def test_who_signs_up_can_sign_in_and_is_known(house: House):
    user = await house.accounts.sign_up(f"  {EMAIL} ", " Ada Lovelace ", RIGHT)
    assert (user.email, user.name, user.admin) == (EMAIL, "Ada Lovelace", False)
    new = await house.accounts.sign_in("ADA@example.com", RIGHT, address="10.0.0.1", user_agent="curl/8")
    assert new.user == user
    known = await found(house.accounts, new.token)
    assert (known.session, known.user, known.refreshed) == (new.session, user, False)
    assert (known.session.address, known.session.user_agent) == ("10.0.0.1", "curl/8")
    assert await house.accounts.all() == [user]


async def test_a_user_is_an_owner_who_may_do_all_but_administer(house: House):
    known = await found(house.accounts, (await signed_in(house.accounts)).token)
    principal = known.principal
    assert (principal.owner, principal.via, principal.key_id) == (f"user:{known.user.id}", "session", None)
    assert principal.scopes == {Scope.RUNS_READ, Scope.RUNS_WRITE, Scope.AGENTS_WRITE}
    assert not principal.may(Scope.ADMIN)
    await house.accounts.create("root@example.com", "Root", RIGHT, admin=True)
    root = await found(house.accounts, (await signed_in(house.accounts, "root@example.com")).token)
    assert root.principal.may(Scope.ADMIN)
    assert root.principal.owner != principal.owner


async def test_a_token_is_256_random_bits_and_the_store_has_its_digest(house: House):
    tokens = {(await signed_in(house.accounts)).token for _ in range(5)}
    assert len(tokens) == 5
    for token in tokens:
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
        assert await house.store.sessions.by_digest(hashlib.sha256(token.encode()).digest()) is not None


async def test_nobody_is_known_by_what_is_no_token(house: House):
    await signed_in(house.accounts)
    for token in (None, "", "x", "x" * 513, "x" * 1_000_000, "\ud800", "\x00", "sp ace"):
        assert await house.accounts.find(token) is None


async def test_an_unknown_address_a_wrong_password_and_a_disabled_user_are_the_same(house: House):
    user = await house.accounts.sign_up(EMAIL, "Ada", RIGHT)
    wrong = await refusal(house.accounts, EMAIL, "wrong horse")
    assert await refusal(house.accounts, "bob@example.com", RIGHT) == wrong
    for password in ("", "short", "x" * 100_000):
        assert await refusal(house.accounts, EMAIL, password) == wrong
    await house.accounts.disable(user.id)
    assert await refusal(house.accounts, EMAIL, RIGHT) == wrong
    assert EMAIL not in "".join(wrong)
    await house.accounts.enable(user.id)
    assert (await house.accounts.sign_in(EMAIL, RIGHT)).user.disabled_at is None


@pytest.mark.parametrize("known", [True, False])
async def test_a_password_is_checked_once_whoever_is_asked_for(house: House, known: bool):
    checked: list[bool] = []

    class Noting(Passwords):
        async def verify(self, stored, password):
            checked.append(stored is not None)
            return await super().verify(stored, password)

    accounts = other_process(house, passwords=Noting(PasswordHasher(**CHEAP)))
    if known:
        await accounts.sign_up(EMAIL, "Ada", RIGHT)
    checked.clear()
    await refusal(accounts, EMAIL, "wrong horse")
    assert checked == [known]


async def test_sign_ups_can_be_closed(house: House):
    closed = other_process(house, signup_open=False)
    with pytest.raises(Forbidden) as refused:
        await closed.sign_up(EMAIL, "Ada", RIGHT)
    assert "runwell users create" in refused.value.hint
    assert await closed.all() == []
    await closed.create(EMAIL, "Ada", RIGHT)
    assert (await closed.sign_in(EMAIL, RIGHT)).token


async def test_a_server_that_is_open_to_its_machine_is_not_so_to_who_comes_through_a_proxy(house: House):
    accounts = other_process(house, signup_open=False, signup_here=True)
    for address in ("203.0.113.9", "", "127.0.0.1"):
        with pytest.raises(Forbidden):
            await accounts.sign_up(EMAIL, "Ada", RIGHT, address=address)
    assert (await accounts.sign_up(EMAIL, "Ada", RIGHT, address="127.0.0.1", here=True)).email == EMAIL


def test_the_setting_is_open_or_closed():
    assert not config.read(environ={}).signup_open
    assert config.read(environ={}).signup_here
    assert not config.read(environ={"RUNWELL_SIGNUP": "closed"}).signup_here
    assert not config.read(environ={"RUNWELL_SIGNUP": "closed"}).signup_open
    # A server on a network does not take in strangers unless it says so.
    assert not config.read({"host": "0.0.0.0"}, environ={}).signup_here
    assert config.read({"host": "::1"}, environ={}).signup_here
    assert config.read({"host": "0.0.0.0"}, environ={"RUNWELL_SIGNUP": "open"}).signup_open
    with pytest.raises(BadSetting):
        config.read(environ={"RUNWELL_SIGNUP": "maybe"})


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("$.email", {"email": email})
        for email in (
            "",
            "ada",
            "@x.org",
            "a@",
            "a b@x.org",
            "a@@x.org",
            "a\n@x.org",
            "a@\x00",
            "\ud800@x.org",
        )
    ]
    + [
        ("$.email", {"email": "x" * LONGEST_EMAIL + "@x.org"}),
        ("$.name", {"name": "  "}),
        ("$.name", {"name": "x" * 201}),
        ("$.name", {"name": "A\nB"}),
        ("$.name", {"name": "A\ud800"}),
        ("$.password", {"password": "seven77"}),
        ("$.password", {"password": "x" * 129}),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_a_user_that_cannot_be_is_refused(house: House, path: str, fields: dict[str, str]):
    given = {"email": EMAIL, "name": "Ada", "password": RIGHT, **fields}
    with pytest.raises(InvalidInput) as refused:
        await house.accounts.sign_up(given["email"], given["name"], given["password"])
    assert refused.value.path == path
    assert await house.accounts.all() == []


async def test_an_address_is_taken_once_also_by_two_at_once(house: House):
    both = [house.accounts.sign_up(email, "Ada", RIGHT) for email in (EMAIL, EMAIL.upper())]
    results = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["EmailTaken", "User"]
    with pytest.raises(EmailTaken):
        await house.accounts.sign_up(EMAIL, "Eve", "another password")
    assert (await house.accounts.sign_in(EMAIL, RIGHT)).user.name == "Ada"


async def test_an_account_is_tried_ten_times_in_five_minutes_whether_it_is_there_or_not(house: House):
    await house.accounts.sign_up(EMAIL, "Ada", RIGHT)
    for email in (EMAIL, "nobody@example.com"):
        for attempt in range(PER_EMAIL):
            spelling = email.upper() if attempt % 2 else email
            await refusal(house.accounts, spelling, "wrong horse", address=f"10.0.0.{attempt}")
        with pytest.raises(RateLimited) as refused:
            await house.accounts.sign_in(email, RIGHT, address="10.0.1.1")
        assert refused.value.retry_after == pytest.approx(WINDOW / PER_EMAIL)
    house.clock.move(WINDOW / PER_EMAIL)
    assert (await house.accounts.sign_in(EMAIL, RIGHT)).token


async def test_an_address_tries_sixty_times_in_five_minutes(house: House):
    for attempt in range(PER_ADDRESS - 1):
        await refusal(house.accounts, f"user{attempt}@example.com", "wrong horse", address="10.0.0.1")
    await house.accounts.sign_up("ada@example.com", "Ada", RIGHT, address="10.0.0.1")
    with pytest.raises(RateLimited):
        await house.accounts.sign_in("ada@example.com", RIGHT, address="10.0.0.1")
    with pytest.raises(RateLimited):
        await house.accounts.sign_up("bob@example.com", "Bob", RIGHT, address="10.0.0.1")
    assert (await house.accounts.sign_in("ada@example.com", RIGHT, address="10.0.0.2")).token


def test_a_network_is_one_client_in_ipv6_and_an_address_in_ipv4():
    attempts = Attempts(per_address=2)
    attempts.of_address("2001:db8::1", 0)
    attempts.of_address("2001:db8::ffff:2", 0)
    with pytest.raises(RateLimited):
        attempts.of_address("2001:db8:0:0:1::9", 0)
    for address in ("2001:db8:0:1::1", "::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2", "::ffff:10.0.0.3", "host"):
        attempts.of_address(address, 0)
    with pytest.raises(RateLimited):
        attempts.of_address("10.0.0.1", 0)
    for _ in range(9):
        attempts.of_address("", 0)


async def test_a_password_is_hashed_anew_when_the_parameters_have_changed(house: House):
    user = await house.accounts.sign_up(EMAIL, "Ada", RIGHT)
    old = await house.store.users.password_hash(user.id)
    newer = other_process(house, passwords=Passwords(PasswordHasher(**{**CHEAP, "memory_cost": 16})))
    await refusal(newer, EMAIL, "wrong horse")
    assert await house.store.users.password_hash(user.id) == old
    await newer.disable(user.id)
    await refusal(newer, EMAIL, RIGHT)
    assert await house.store.users.password_hash(user.id) == old, "nothing is written for who may not come"
    await newer.enable(user.id)
    earlier = await house.accounts.sign_in(EMAIL, RIGHT)
    await newer.sign_in(EMAIL, RIGHT)
    new = await house.store.users.password_hash(user.id)
    assert ("m=8," in old, "m=16," in new) == (True, True)
    await newer.sign_in(EMAIL, RIGHT)
    assert await house.store.users.password_hash(user.id) == new, "once is enough"
    assert await newer.find(earlier.token) is not None


async def test_a_session_lasts_seven_days_from_when_it_was_last_seen(house: House):
    new = await signed_in(house.accounts)
    assert new.session.expires_at - new.session.created_at == LIFE * SECOND == 7 * 86_400 * SECOND
    house.clock.move(REFRESH - 1)
    assert not (await found(house.accounts, new.token)).refreshed
    house.clock.move(1)
    known = await found(house.accounts, new.token)
    assert known.refreshed, "the cookie is due again"
    assert known.session.expires_at == house.clock.now() + LIFE * SECOND
    assert not (await found(house.accounts, new.token)).refreshed, "once a day"
    house.clock.move(LIFE - 1)
    assert (await found(house.accounts, new.token)).refreshed
    house.clock.move(LIFE)
    assert await house.accounts.find(new.token) is None


async def test_a_session_that_expires_while_it_is_remembered_has_expired(house: House):
    user, now = await house.accounts.sign_up(EMAIL, "Ada", RIGHT), house.clock.now()
    short = Session(
        id=new_id(now), user_id=user.id, created_at=now, expires_at=after(now, 1.5), last_seen_at=now
    )
    assert await house.store.sessions.add(short, hashlib.sha256(b"token").digest(), user.generation)
    house.clock.move(1)
    assert await house.accounts.find("token") is not None
    house.clock.move(0.5)
    assert await house.accounts.find("token") is None


async def test_a_session_that_cannot_be_refreshed_still_lets_its_user_read(house: House, caplog):
    new = await signed_in(house.accounts)

    class FullDisk:
        by_digest = house.store.sessions.by_digest

        async def refresh(self, *args):
            raise StoreUnavailable("the disk is full")

    store: Any = SimpleNamespace(sessions=FullDisk())
    accounts = Accounts(store, house.clock, signup_open=True)
    house.clock.move(REFRESH)
    with caplog.at_level(logging.WARNING):
        known = await found(accounts, new.token)
    assert (known.session, known.refreshed) == (new.session, False)
    assert "the disk is full" in caplog.text
    assert new.token not in caplog.text
    # Not remembered for longer than its second, although each look-up tries to write.
    house.clock.move(0.7)
    assert await accounts.find(new.token) is not None
    await house.store.sessions.end_all(new.user.id)
    house.clock.move(0.4)
    assert await accounts.find(new.token) is None


async def test_signing_out_ends_one_session_at_once(house: House):
    first, second = await signed_in(house.accounts), await signed_in(house.accounts)
    for new in (first, second):
        await found(house.accounts, new.token)
    assert await house.accounts.sign_out(first.token)
    assert not await house.accounts.sign_out(first.token)
    assert await house.accounts.find(first.token) is None
    assert await house.accounts.find(second.token) is not None
    assert await house.accounts.end_session(second.session.id, second.user.id)
    assert await house.accounts.find(second.token) is None


async def test_signing_out_everywhere_ends_the_sessions_of_one_user(house: House):
    ada = [await signed_in(house.accounts) for _ in range(3)]
    bob = await signed_in(house.accounts, "bob@example.com")
    assert {it.id for it in await house.accounts.sessions(ada[0].user.id)} == {it.session.id for it in ada}
    for new in ada:
        await found(house.accounts, new.token)
    assert await house.accounts.sign_out_everywhere(ada[0].user.id) == 3
    assert [await house.accounts.find(new.token) for new in ada] == [None] * 3
    assert await house.accounts.find(bob.token) is not None


@pytest.mark.parametrize("ending", ["disable", "sign_out", "set_password", "sign_out_everywhere"])
async def test_what_another_process_ends_is_refused_within_a_second(house: House, ending: str):
    new = await signed_in(house.accounts)
    await found(house.accounts, new.token)
    arguments = {
        "disable": (new.user.id,),
        "sign_out": (new.token,),
        "set_password": (new.user.id, "another password"),
        "sign_out_everywhere": (new.user.id,),
    }
    await getattr(other_process(house), ending)(*arguments[ending])
    house.clock.move(1.000001)
    assert await house.accounts.find(new.token) is None


async def test_what_this_process_ends_is_refused_at_once(house: House):
    for end in (house.accounts.disable, lambda id: house.accounts.set_password(id, "another password")):
        new = await signed_in(house.accounts, f"user{id(end)}@example.com")
        await found(house.accounts, new.token)
        await end(new.user.id)
        assert await house.accounts.find(new.token) is None


async def test_a_new_password_replaces_the_old_one(house: House):
    new = await signed_in(house.accounts)
    await house.accounts.set_password(new.user.id, "another password")
    await refusal(house.accounts, EMAIL, RIGHT)
    assert (await house.accounts.sign_in(EMAIL, "another password")).user.id == new.user.id
    with pytest.raises(InvalidInput):
        await house.accounts.set_password(new.user.id, "short")
    with pytest.raises(UserNotFound):
        await house.accounts.set_password(NOBODY, "long enough")
    with pytest.raises(UserNotFound):
        await house.accounts.get(NOBODY)


@pytest.mark.parametrize("change", ["disable", "set_password"])
async def test_a_sign_in_that_began_before_a_change_does_not_outlive_it(house: House, change: str):
    """The password is right when it is checked; the user is changed before the session is written."""
    user = await house.accounts.sign_up(EMAIL, "Ada", RIGHT)

    class Meanwhile(Passwords):
        async def verify(self, stored, password):
            right = await super().verify(stored, password)
            extra = ("another password",) if change == "set_password" else ()
            await getattr(house.accounts, change)(user.id, *extra)
            return right

    accounts = other_process(house, passwords=Meanwhile(PasswordHasher(**CHEAP)))
    await refusal(accounts, EMAIL, RIGHT)
    assert await house.accounts.sessions(user.id) == []


async def test_look_ups_are_remembered_and_wrong_tokens_cannot_push_out_right_ones(house: House):
    new = await signed_in(house.accounts)
    asked = []

    class Counted:
        async def by_digest(self, digest):
            asked.append(digest)
            return await house.store.sessions.by_digest(digest)

    store: Any = SimpleNamespace(sessions=Counted())
    accounts = Accounts(store, house.clock, signup_open=True, most_known=8)
    for _ in range(3):
        assert await accounts.find(new.token) is not None
        assert await accounts.find("wrong") is None
    assert len(asked) == 2
    for number in range(100):
        assert await accounts.find(f"wrong{number}") is None
    assert await accounts.find(new.token) is not None
    assert len(asked) == 102
    house.clock.move(1.000001)
    assert await accounts.find(new.token) is not None
    assert len(asked) == 103


async def test_what_a_stranger_says_of_itself_is_cut_and_cleaned(house: House):
    await house.accounts.sign_up(EMAIL, "Ada", RIGHT)
    new = await house.accounts.sign_in(
        EMAIL, RIGHT, user_agent="a\x00b\n\ud800" + "x" * 9999, address="y" * 999
    )
    known = await found(other_process(house), new.token)
    assert known.session.user_agent == "a\ufffdb\ufffd\ufffd" + "x" * (LONGEST_AGENT - 5)
    assert len(known.session.address) == 64


async def test_passwords_hashes_and_tokens_are_in_no_representation(house: House, caplog):
    with caplog.at_level(logging.DEBUG):
        new = await signed_in(house.accounts)
        known = await found(house.accounts, new.token)
        await refusal(house.accounts, EMAIL, "wrong horse")
    hashed = await house.store.users.password_hash(new.user.id)
    shown = repr([new, known, house.accounts, *await house.accounts.all()]) + caplog.text
    shown += json.encode([known.user, known.session]).decode()
    for secret in (new.token, RIGHT, "wrong horse", hashed, hashlib.sha256(new.token.encode()).hexdigest()):
        assert secret not in shown
    assert new.user.id in shown


async def test_expired_sessions_are_forgotten(house: House):
    old = await signed_in(house.accounts)
    house.clock.move(LIFE + 1)
    young = await signed_in(house.accounts)
    assert await house.accounts.sessions(old.user.id) == [young.session]
    assert await forget_sessions(house.store, house.clock) == 1
    assert await house.store.sessions.of(old.user.id) == [young.session]
    assert await forget_sessions(house.store, house.clock) == 0
