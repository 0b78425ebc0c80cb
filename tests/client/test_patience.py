import pytest

from runwell.client.patience import Patience, Waits, retry_after_of


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def begin(total: float = 60.0, chance: float = 0.0, *, time: Time | None = None) -> Waits:
    return Patience(total=total, clock=time or Time(), chance=lambda: chance).begin(reached=True)


def test_waits_double_up_to_the_longest() -> None:
    waits = begin()
    assert [waits.next() for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_chance_shortens_by_up_to_half() -> None:
    assert begin(chance=1.0).next() == pytest.approx(0.05)


def test_patience_ends_and_the_last_try_is_at_its_end() -> None:
    time = Time()
    waits = begin(10.0, time=time)
    spent = 0.0
    while (wait := waits.next()) is not None:
        spent += wait
        time.now += wait
    assert spent == pytest.approx(10.0)
    assert waits.next() is None


def test_what_the_server_asks_for_is_the_least() -> None:
    assert begin().next(2.0) == 2.0
    assert 2.0 <= (begin(chance=1.0).next(2.0) or 0) <= 2.2
    assert begin().next(0.0) == 0.1


def test_asking_for_more_than_is_left_ends_it() -> None:
    assert begin(5.0).next(5.5) is None
    assert begin(5.0).next(5.0) == 5.0


def test_no_patience_is_no_second_try() -> None:
    assert begin(0.0).next() is None


def test_the_first_contact_may_have_its_own_patience() -> None:
    patience = Patience(total=60.0, first=1.0, clock=Time(), chance=lambda: 0.0)
    assert patience.begin(reached=False).next(2.0) is None
    assert patience.begin(reached=True).next(2.0) == 2.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("3", 3.0),
        (" 0 ", 0.0),
        ("Thu, 01 Jan 1970 00:01:00 GMT", 50.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
def test_reads_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after_of(header, 10.0) == seconds
