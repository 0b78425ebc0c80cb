"""When expressions are due: zones, clocks that are put forward and back, what is no expression."""

import re
from itertools import islice
from pathlib import Path

import pytest

from runwell.domain.errors import InvalidInput
from runwell.domain.instant import Instant, from_iso, to_iso
from runwell.engine import cron

BERLIN = "Europe/Berlin"
"""Clocks go from 2:00 to 3:00 on 2026-03-29, and from 3:00 to 2:00 on 2026-10-25."""


def at(text: str) -> Instant:
    return from_iso(f"2026-{text}Z")


def told(instants: list[Instant]) -> list[str]:
    return [to_iso(each)[5:16] for each in instants]


def first_ones(expression: str, zone: str, after: str, count: int) -> list[str]:
    return told(list(islice(cron.times(expression, zone, at(after)), count)))


@pytest.mark.parametrize(
    ("expression", "zone", "after", "found"),
    [
        ("0 9 * * *", "UTC", "06-01T09:00", ["06-02T09:00", "06-03T09:00"]),
        ("0 9 * * *", "UTC", "06-01T08:59:59.999999", ["06-01T09:00", "06-02T09:00"]),
        ("0 9 * * MON-FRI", BERLIN, "06-05T12:00", ["06-08T07:00", "06-09T07:00"]),
        ("0 9 L * *", "America/New_York", "01-01T00:00", ["01-31T14:00", "02-28T14:00", "03-31T13:00"]),
        # Put forward: 2:30 does not exist that day, and two of the same day are not due twice.
        ("30 2 * * *", BERLIN, "03-28T00:00", ["03-28T01:30", "03-29T01:00", "03-30T00:30"]),
        ("10,50 2 * * *", BERLIN, "03-28T01:30", ["03-28T01:50", "03-29T01:00", "03-30T00:10"]),
        ("*/30 * * * *", BERLIN, "03-29T00:00", ["03-29T00:30", "03-29T01:00", "03-29T01:30"]),
        # Put back: 2:30 comes twice, and is due at its first coming, also when asked in its second.
        ("30 2 * * *", BERLIN, "10-24T12:00", ["10-25T00:30", "10-26T01:30"]),
        ("30 2 * * *", BERLIN, "10-25T01:10", ["10-26T01:30"]),
        ("*/30 * * * *", BERLIN, "10-25T00:00", ["10-25T00:30", "10-25T01:00", "10-25T01:30"]),
    ],
)
def test_an_expression_is_due_by_the_clocks_of_its_zone(expression, zone, after, found) -> None:
    assert first_ones(expression, zone, after, len(found)) == found


@pytest.mark.parametrize(("expression", "zone"), [("10,50 2 * * *", BERLIN), ("*/20 1-3 * * SUN", BERLIN)])
@pytest.mark.parametrize("day", ["03-29", "10-25"])
def test_looking_back_finds_what_looking_ahead_has_found(expression: str, zone: str, day: str) -> None:
    first, last = at("03-20T00:00"), at(f"{day}T12:00")
    ahead = []
    found = cron.next_after(expression, zone, first - 1)
    while found is not None and found <= last:
        ahead.append(found)
        found = cron.next_after(expression, zone, found)
    assert cron.between(expression, zone, first, last, 10_000) == ahead
    assert cron.between(expression, zone, first, last, 5) == ahead[-5:]
    assert cron.between(expression, zone, ahead[-3], ahead[-1], 5) == ahead[-3:]
    assert cron.between(expression, zone, last + 1, last, 5) == []


def test_a_hundred_times_are_found_at_once_behind_ten_years() -> None:
    last = at("01-01T00:00")
    found = cron.between("* * * * *", BERLIN, last - 10 * 365 * 86_400_000_000, last, 100)
    assert (len(found), found[0], found[-1]) == (100, last - 99 * 60_000_000, last)


def test_what_never_comes_is_never_due() -> None:
    assert cron.next_after("0 0 */31 * MON#5", BERLIN, at("01-01T00:00")) is None


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("", "has 0 fields, not 5"),
        ("* * * *", "has 4 fields, not 5"),
        ("0 * * * * *", "has 6 fields, not 5"),
        ("@daily", "has 1 fields, not 5"),
        ("61 * * * *", "has a bad minute"),
        ("0 25 * * *", "has a bad hour"),
        ("0 0 30 2 *", "has a bad day-of-month"),
        ("0 0 * FOO *", "has a bad month"),
        ("0 0 * * 8", "has a bad day-of-week"),
        ("*/0 * * * *", "has a bad minute"),
        ("² * * * *", "has a bad minute"),
        ("0 0 * * " + ",".join("1" * 200), "at most 200 characters"),
    ],
)
def test_what_is_no_expression_is_told_with_an_example(expression: str, fault: str) -> None:
    with pytest.raises(InvalidInput, match=fault) as caught:
        cron.check(expression, "UTC")
    assert caught.value.path == "$.cron"
    assert ("MON-FRI" in caught.value.hint) == ("characters" not in fault)


def test_the_expressions_of_the_guide_are_some() -> None:
    guide = Path(__file__).parents[2] / "docs" / "guides" / "schedules.md"
    found = re.findall(
        r"^\| `([^`]+ [^`]+)` \| (?:at|every)", guide.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(found) >= 7
    for expression in found:
        assert cron.next_after(expression, "UTC", at("01-01T00:00")) is not None


ZONES = [
    "",
    "Mars/Olympus",
    "Europe",
    "../etc/passwd",
    "/etc/localtime",
    "right/UTC",
    "localtime",
    "U\0",
    "x" * 99,
]


@pytest.mark.parametrize("zone", ZONES)
def test_what_is_no_zone_is_told_with_an_example(zone: str) -> None:
    with pytest.raises(InvalidInput, match="is no time zone") as caught:
        cron.check("* * * * *", zone)
    assert (caught.value.path, "Europe/Berlin" in caught.value.hint) == ("$.timezone", True)
