"""How often one caller may ask: exact to the microsecond, and bounded whatever the callers do."""

import math
import random

import pytest

from runwell.auth.authenticator import LOCAL, Authenticator
from runwell.auth.keys import issue
from runwell.auth.rate_limit import RateLimit
from runwell.domain.errors import ErrorKind, Forbidden, RateLimited, Unauthenticated
from runwell.domain.instant import SECOND, Instant, after
from runwell.domain.principal import ALL_SCOPES, Scope
from tests.support.house import House

NOW: Instant = 1_800_000_000 * SECOND


def taken(limit: RateLimit, at: Instant, who: str = "ann", *, most: int = 1_000) -> int:
    """How many requests in a row are let in at one moment."""
    for number in range(most):
        try:
            limit.take(who, at)
        except RateLimited:
            return number
    return most


def refusal(limit: RateLimit, at: Instant, who: str = "ann") -> RateLimited:
    with pytest.raises(RateLimited) as refused:
        limit.take(who, at)
    return refused.value


@pytest.mark.parametrize(("count", "seconds"), [(1, 60), (3, 60), (7, 60), (100, 60), (30, 0.5), (2, 1e-6)])
def test_so_many_at_once_and_no_more(count, seconds):
    limit = RateLimit(count, seconds)
    assert taken(limit, NOW) == count
    # All of it is back after the span, and not more than all of it.
    assert taken(limit, after(NOW, seconds)) == count
    assert taken(limit, after(NOW, 50 * seconds)) == count


@pytest.mark.parametrize(("count", "seconds"), [(1, 60), (3, 60), (7, 60), (60, 60), (30, 0.5), (999, 7)])
def test_the_wait_it_names_is_exact(count, seconds):
    limit = RateLimit(count, seconds)
    assert taken(limit, NOW) == count
    now = NOW
    for _ in range(20):
        refused = refusal(limit, now)
        assert 0 < refused.retry_after <= seconds / count + 1e-6
        again = after(now, refused.retry_after)
        assert refusal(limit, again - 1).retry_after == 1 / SECOND
        limit.take("ann", again)
        now = again
    # Nothing is lost to rounding: so many spans later so many have been let in.
    assert now - NOW == math.ceil(20 * seconds * SECOND / count)


def test_what_comes_back_comes_back_evenly():
    limit = RateLimit(4, 60)
    assert taken(limit, NOW) == 4
    assert [taken(limit, after(NOW, seconds)) for seconds in (14, 15, 20, 30, 60)] == [0, 1, 0, 1, 2]


def test_no_span_sees_twice_the_count():
    chance = random.Random(7)
    limit, now, let_in = RateLimit(10, 60), NOW, []
    for _ in range(3_000):
        now += chance.choice((0, 0, 1, SECOND, 2 * SECOND, 90 * SECOND))
        try:
            limit.take("ann", now)
        except RateLimited:
            continue
        let_in.append(now)
    span = 60 * SECOND
    most = max(sum(start <= at < start + span for at in let_in) for start in let_in)
    assert 10 <= most < 20
    assert len(let_in) <= 10 + 10 * (now - NOW) / span


def test_asking_too_early_makes_nobody_wait_longer():
    limit = RateLimit(1, 60)
    limit.take("ann", NOW)
    for second in range(1, 60):
        assert refusal(limit, after(NOW, second)).retry_after == 60 - second
    limit.take("ann", after(NOW, 60))


def test_callers_do_not_disturb_each_other():
    limit = RateLimit(2, 60)
    assert taken(limit, NOW, "ann") == 2
    assert taken(limit, NOW, "bob") == 2
    assert refusal(limit, NOW, "ann").kind is ErrorKind.LIMITED


def test_it_says_what_the_limit_is_and_when_to_come_back():
    limit = RateLimit(100, 60)
    assert taken(limit, NOW) == 100
    refused = refusal(limit, NOW)
    assert (refused.code, refused.retry_after) == ("rate_limited", 0.6)
    assert refused.message == "More than 100 requests in 60 seconds"
    assert refused.hint == "Ask again in 1 s; after that, one every 0.6 s."


def test_zero_is_no_limit_and_remembers_nobody():
    limit = RateLimit(0, 60)
    assert taken(limit, NOW, most=10_000) == 10_000
    assert len(limit) == 0


@pytest.mark.parametrize(
    ("count", "seconds", "most_callers"),
    [(-1, 60, 1), (1, 0, 1), (1, -1, 1), (1, math.nan, 1), (1, math.inf, 1), (1, 1e-9, 1), (1, 60, 0)],
)
def test_what_is_no_limit_cannot_be_made(count, seconds, most_callers):
    with pytest.raises(ValueError, match="no rate limit"):
        RateLimit(count, seconds, most_callers=most_callers)


@pytest.mark.parametrize("back", [0.000001, 1, 59, 61, 3_600, 10**9])
def test_a_clock_set_back_locks_nobody_out_and_gives_nothing_away(back):
    limit = RateLimit(3, 60)
    assert taken(limit, NOW) == 3
    early = after(NOW, -back)
    # As long as one place takes to come back, wherever the clock went.
    assert refusal(limit, early).retry_after == 20
    assert taken(limit, after(early, 20)) == 1
    assert taken(limit, after(NOW, 120)) == 3


def test_callers_who_have_paid_back_are_forgotten_as_others_come():
    limit = RateLimit(2, 60)
    for number in range(500):
        limit.take(f"early {number}", NOW)
    assert len(limit) == 500
    for number in range(300):
        limit.take(f"late {number}", after(NOW, 61))
    assert len(limit) == 300


def test_no_more_callers_are_remembered_than_allowed_and_those_who_asked_last():
    limit = RateLimit(1, 60, most_callers=10)
    for number in range(50):
        limit.take(f"caller {number}", NOW)
        assert len(limit) <= 10
    # Being refused keeps one in mind too, or a crowd would set everybody free.
    assert taken(limit, NOW, "caller 40") == 0
    limit.take("new", NOW)
    assert taken(limit, NOW, "caller 40") == 0
    assert taken(limit, NOW, "caller 41") == 1


async def test_a_key_is_admitted_so_often_and_then_told_when_to_come_back(house: House):
    auth = Authenticator(house.store, house.clock, rate_limit=RateLimit(2, 60))
    _, secret = await issue(house.store, house.clock, owner="ann", name="ci")
    _, other = await issue(house.store, house.clock, owner="ann", name="other")
    for _ in range(2):
        assert (await auth.admit(secret, Scope.RUNS_READ)).owner == "ann"
    with pytest.raises(RateLimited) as refused:
        await auth.admit(secret, Scope.RUNS_READ)
    assert refused.value.retry_after == 30
    # Another key of the same owner has a limit of its own.
    await auth.admit(other, Scope.RUNS_READ)
    house.clock.move(30)
    await auth.admit(secret, Scope.RUNS_READ)


async def test_what_a_key_may_not_do_counts_and_who_is_nobody_does_not(house: House):
    limit = RateLimit(2, 60)
    auth = Authenticator(house.store, house.clock, rate_limit=limit)
    scopes = frozenset({Scope.RUNS_READ})
    _, secret = await issue(house.store, house.clock, owner="ann", name="ci", scopes=scopes)
    for _ in range(2):
        with pytest.raises(Forbidden):
            await auth.admit(secret, Scope.RUNS_WRITE)
    with pytest.raises(RateLimited):
        await auth.admit(secret, Scope.RUNS_WRITE)
    for number in range(5):
        with pytest.raises(Unauthenticated):
            await auth.admit(f"rw_{number}", Scope.RUNS_READ)
    assert len(limit) == 1


async def test_local_mode_is_never_limited(house: House):
    auth = Authenticator(house.store, house.clock, local_mode=True, rate_limit=RateLimit(1, 60))
    _, secret = await issue(house.store, house.clock, owner="ann", name="ci")
    for _ in range(5):
        assert await auth.admit(None, Scope.ADMIN) is LOCAL
        assert (await auth.admit(secret, Scope.ADMIN)).owner == "ann"


@pytest.mark.parametrize("limit", [None, RateLimit(0, 60)])
async def test_without_a_limit_a_known_key_is_admitted_at_once(house: House, limit):
    auth = Authenticator(house.store, house.clock, rate_limit=limit)
    _, secret = await issue(house.store, house.clock, owner="ann", name="ci")
    await auth.authenticate(secret)
    admitted = auth.admit(secret, Scope.RUNS_READ)
    # It ends without once giving way to the loop.
    with pytest.raises(StopIteration) as ended:
        admitted.send(None)
    assert (ended.value.value.owner, ended.value.value.scopes) == ("ann", ALL_SCOPES)
