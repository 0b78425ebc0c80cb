"""When a delivery is posted again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runwell.callbacks.post import Posted
from runwell.callbacks.schedule import (
    DELAYS,
    HOUR,
    MOST_POSTS,
    Again,
    Delivered,
    GivenUp,
    Why,
    next_post,
    verdict,
)
from runwell.domain.instant import SECOND, seconds_between

NOW = 1_700_000_000 * SECOND
FAILED = Posted(duration=0.1, error="could not connect")


def answered(status: int, retry_after: float | None = None) -> Posted:
    return Posted(duration=0.1, status_code=status, retry_after=retry_after)


def delay(posts: int, posted: Posted, chance: float = 0.5) -> float:
    at = next_post(posts, posted, NOW, chance)
    assert at is not None
    return seconds_between(NOW, at)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_2xx_delivers(status):
    assert verdict(1, answered(status), NOW, 0.5) == Delivered()
    assert next_post(1, answered(status), NOW, 0.5) is None


def test_a_2xx_delivers_even_with_the_last_post():
    assert verdict(MOST_POSTS, answered(200), NOW, 0.5) == Delivered()


def test_410_gives_up_at_once():
    assert verdict(1, answered(410, retry_after=5.0), NOW, 0.5) == GivenUp(Why.GONE)
    assert next_post(1, answered(410), NOW, 0.5) is None


@pytest.mark.parametrize("status", [101, 300, 301, 302, 308, 400, 401, 404, 408, 429, 500, 503, 599])
def test_every_other_answer_is_tried_again(status):
    assert verdict(1, answered(status), NOW, 0.5) == Again(NOW + 5 * SECOND)


def test_a_fault_of_the_network_is_tried_again():
    assert verdict(1, FAILED, NOW, 0.5) == Again(NOW + 5 * SECOND)


def test_the_delays_grow_and_last_about_a_day():
    found = [delay(posts, FAILED) for posts in range(1, MOST_POSTS)]
    assert found == [5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28800]
    assert 23 * HOUR < sum(found) < 25 * HOUR


@pytest.mark.parametrize("posts", [MOST_POSTS, MOST_POSTS + 1, 1000])
@pytest.mark.parametrize("posted", [FAILED, answered(503, retry_after=60.0)])
def test_after_the_last_post_it_is_given_up(posts, posted):
    assert verdict(posts, posted, NOW, 0.5) == GivenUp(Why.EXHAUSTED)
    assert next_post(posts, posted, NOW, 0.5) is None


@given(st.integers(1, MOST_POSTS - 1), st.floats(0, 1, exclude_max=True))
def test_chance_moves_a_delay_by_a_fifth_at_most(posts, chance):
    full = DELAYS[posts - 1]
    assert 0.8 * full - 1e-6 <= delay(posts, FAILED, chance) <= 1.2 * full + 1e-6


def test_chance_moves_a_delay_both_ways():
    assert (delay(2, FAILED, 0.0), delay(2, FAILED, 0.5)) == (24.0, 30.0)
    assert delay(2, FAILED, 0.999999) > 35.9


@pytest.mark.parametrize("status", [302, 429, 500, 503])
def test_nobody_is_posted_to_earlier_than_asked(status):
    assert delay(1, answered(status, retry_after=77.5)) == 77.5


def test_a_small_retry_after_does_not_hasten_the_next_post():
    assert delay(4, answered(503, retry_after=1.0)) == 600


def test_nobody_puts_a_post_off_for_more_than_a_day():
    assert delay(1, answered(503, retry_after=1e12)) == 24 * HOUR


def test_times_are_whole_microseconds():
    assert isinstance(next_post(3, FAILED, NOW, 0.123456789), int)
