"""When a poller should come back."""

import pytest
from msgspec.structs import replace

from runwell.domain.instant import SECOND
from runwell.domain.json_gate import Json
from runwell.domain.run import Question, Run, RunStatus
from runwell.stream.retry_after import retry_after

QUEUED = Run(id="a" * 32, owner="o", agent="a", status=RunStatus.QUEUED, created_at=0, queued_at=0)


def running(claimed_at: int) -> Run:
    return replace(
        QUEUED, status=RunStatus.RUNNING, attempt=1, worker="w", claimed_at=claimed_at, started_at=0
    )


@pytest.mark.parametrize(("age", "seconds"), [(0, 1), (5, 1), (30, 3), (100, 10), (86_400, 10)])
def test_a_running_run_is_asked_at_a_tenth_of_its_age(age, seconds):
    assert retry_after(running(0), None, age * SECOND) == seconds


def test_the_age_is_that_of_the_attempt():
    assert retry_after(running(1_000 * SECOND), None, 1_001 * SECOND) == 1


@pytest.mark.parametrize(("position", "seconds"), [(None, 1), (0, 1), (8, 2), (40, 10), (1_000, 15)])
def test_a_queued_run_also_waits_for_those_before_it(position, seconds):
    assert retry_after(QUEUED, position, 0) == seconds


def test_a_delayed_run_is_not_asked_long_before_its_time():
    delayed = replace(QUEUED, not_before=7 * SECOND)
    assert retry_after(delayed, 0, 0) == 7
    assert retry_after(delayed, 0, 7 * SECOND) == 1
    assert retry_after(replace(QUEUED, not_before=3_600 * SECOND), 0, 0) == 15


def test_a_waiting_run_waits_for_a_person():
    waiting = replace(QUEUED, status=RunStatus.WAITING, question=Question("q", Json(b'"?"')))
    assert retry_after(waiting, None, 0) == 15


def test_a_final_run_need_not_be_asked_again():
    ended = replace(QUEUED, status=RunStatus.SUCCEEDED, finished_at=1, output=Json(b"1"))
    assert retry_after(ended, None, 10**12) is None


def test_a_clock_that_was_set_back_asks_soon():
    assert retry_after(running(50 * SECOND), None, 0) == 1
