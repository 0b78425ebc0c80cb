"""Passwords: what they may be, how they are kept, and that hashing them hurts nobody else."""

import asyncio
import logging
import threading
import traceback

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import HashingError

from runwell.auth.passwords import LONGEST, SHORTEST, THREADS, Passwords
from runwell.domain.errors import InvalidInput, Unavailable
from tests.support.house import CHEAP

RIGHT = "correct horse"


def cheap(**fields) -> PasswordHasher:
    return PasswordHasher(**{**CHEAP, **fields})


class Counting(PasswordHasher):
    """Notes with which parameters each hash was checked."""

    def __init__(self) -> None:
        super().__init__(**CHEAP)
        self.checked: list[str] = []

    def verify(self, hash, password):
        self.checked.append(str(hash).rpartition("$")[0].rpartition("$")[0])
        return super().verify(hash, password)


class Slow(PasswordHasher):
    """Hashes when it is let."""

    def __init__(self) -> None:
        super().__init__(**CHEAP)
        self.go = threading.Event()
        self.under_way = threading.Semaphore(0)
        self.done = 0

    def hash(self, password, *, salt=None):
        self.under_way.release()
        assert self.go.wait(30)
        self.done += 1
        return super().hash(password, salt=salt)


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(cheap())


async def test_the_right_password_is_right_and_no_other(passwords: Passwords):
    stored = await passwords.hash(RIGHT)
    assert await passwords.verify(stored, RIGHT)
    for wrong in ("correct horsf", RIGHT + " ", RIGHT.upper(), "", "x" * 200_000, "\ud800" * 10):
        assert not await passwords.verify(stored, wrong)
        assert not await passwords.verify(None, wrong)
    assert not await passwords.verify(None, RIGHT)


async def test_what_is_kept_is_argon2id_salted_and_not_the_password(passwords: Passwords):
    first, second = await passwords.hash(RIGHT), await passwords.hash(RIGHT)
    assert first.startswith("$argon2id$v=19$")
    assert first != second
    assert RIGHT not in first


async def test_the_parameters_are_the_librarys():
    stored = await Passwords().hash(RIGHT)
    standard = PasswordHasher()
    assert f"m={standard.memory_cost},t={standard.time_cost},p={standard.parallelism}" in stored
    assert standard.memory_cost >= 19 * 1024


async def test_the_same_text_composed_otherwise_is_the_same_password(passwords: Passwords):
    stored = await passwords.hash("caf\u00e9 au lait")
    assert await passwords.verify(stored, "cafe\u0301 au lait")


@pytest.mark.parametrize("length", [SHORTEST, LONGEST])
async def test_8_to_128_characters_make_a_password(passwords: Passwords, length):
    for letter in ("x", "\u00fc", "\U0001f511"):
        password = letter * length
        assert await passwords.verify(await passwords.hash(password), password)


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("x" * (SHORTEST - 1), "at least 8"),
        ("", "at least 8"),
        ("x" * (LONGEST + 1), "at most 128"),
        ("x" * 10_000_000, "at most 128"),
        ("secretsecret\ud800", "text"),
    ],
    ids=["short", "empty", "long", "endless", "surrogate"],
)
async def test_a_password_that_cannot_be_is_refused_without_saying_it(passwords: Passwords, password, fault):
    with pytest.raises(InvalidInput) as refused:
        await passwords.hash(password)
    assert fault in refused.value.message
    told = "".join(traceback.format_exception(refused.value))
    assert "secret\ud800" not in told
    assert "xxxx" not in told


async def test_nobodys_password_costs_as_much_as_somebodys():
    hasher = Counting()
    passwords = Passwords(hasher)
    stored = await passwords.hash(RIGHT)
    hasher.checked.clear()
    for known in (stored, None):
        for password in (RIGHT, "wrong but long enough", "short", "x" * 1000):
            assert await passwords.verify(known, password) is (known is not None and password == RIGHT)
    assert len(hasher.checked) == 8
    assert len(set(hasher.checked)) == 1, "all with the same parameters"


async def test_a_hash_of_other_parameters_is_right_and_outdated(passwords: Passwords):
    old = await Passwords(cheap(memory_cost=16)).hash(RIGHT)
    assert await passwords.verify(old, RIGHT)
    assert passwords.outdated(old)
    assert not passwords.outdated(await passwords.hash(RIGHT))


async def test_a_damaged_hash_is_nobodys_and_the_log_says_so(passwords: Passwords, caplog):
    with caplog.at_level(logging.ERROR):
        assert not await passwords.verify("not a hash", RIGHT)
    assert "cannot be read" in caplog.text
    assert RIGHT not in caplog.text


async def test_hashing_is_done_beside_the_loop_two_at_a_time():
    hasher = Slow()
    passwords = Passwords(hasher)
    hashing = [asyncio.create_task(passwords.hash(RIGHT)) for _ in range(THREADS + 2)]
    for _ in range(THREADS):
        assert await asyncio.to_thread(hasher.under_way.acquire, timeout=30)
    # The loop is free, and no third is under way.
    assert not hasher.under_way.acquire(blocking=False)
    assert not any(task.done() for task in hashing)
    hasher.go.set()
    assert len(set(await asyncio.gather(*hashing))) == THREADS + 2


async def test_who_waits_too_long_is_told_to_come_back_and_costs_nothing_more():
    hasher = Slow()
    passwords = Passwords(hasher)
    first = [asyncio.create_task(passwords.hash(RIGHT)) for _ in range(THREADS)]
    for _ in range(THREADS):
        assert await asyncio.to_thread(hasher.under_way.acquire, timeout=30)
    passwords._patience = 0.01
    for _ in range(20):
        with pytest.raises(Unavailable) as refused:
            await passwords.hash(RIGHT)
    assert refused.value.retry_after > 0
    hasher.go.set()
    await asyncio.gather(*first)
    passwords._patience = 30
    await passwords.hash(RIGHT)
    assert hasher.done == THREADS + 1, "who gave up was hashed all the same"


async def test_a_machine_without_memory_is_unavailable():
    class Starved(PasswordHasher):
        def hash(self, password, *, salt=None):
            raise HashingError("Memory allocation error")

    with pytest.raises(Unavailable) as refused:
        await Passwords(Starved(**CHEAP)).hash(RIGHT)
    assert "Memory allocation error" in refused.value.message


async def test_closing_drops_what_waits():
    hasher = Slow()
    passwords = Passwords(hasher)
    hashing = [asyncio.create_task(passwords.hash(RIGHT)) for _ in range(THREADS + 1)]
    for _ in range(THREADS):
        assert await asyncio.to_thread(hasher.under_way.acquire, timeout=30)
    passwords.close()
    hasher.go.set()
    results = await asyncio.gather(*hashing, return_exceptions=True)
    assert [isinstance(result, str) for result in results] == [True] * THREADS + [False]
