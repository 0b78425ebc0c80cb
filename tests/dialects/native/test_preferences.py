"""`Prefer` and `If-None-Match`, as the wire has them."""

import pytest

from runwell.dialects.native.preferences import matches, wait_of


@pytest.mark.parametrize(
    ("prefer", "wait"),
    [
        (b"wait=5", 5), (b"Wait = 5", 5), (b"respond-async, wait=10", 10),
        (b"respond-async;x=1, wait=10", 10),
        (b'wait="7"', 7), (b"wait=0", 0), (b"wait=60", 60), (b"wait=61", 60), (b"wait=999999999", 60),
        (b"wait=", None), (b"wait=-1", None), (b"wait=1.5", None), (b"wait=soon", None), (b"", None),
        (b"await=5", None), (b"respond-async", None), (b"wait=9999999999", None),
    ],
)  # fmt: skip
def test_prefer(prefer, wait):
    assert wait_of({b"prefer": prefer}) == wait


def test_no_preference_is_none():
    assert wait_of({}) is None


@pytest.mark.parametrize(
    ("header", "same"),
    [
        (b'"3.-"', True), (b'W/"3.-"', True), (b'"2.-", "3.-"', True), (b'"2.-",W/"3.-" ', True),
        (b"*", True),
        (b'"3.0"', False), (b"3.-", False), (b"", False), (b'"33.-"', False), (b'"\xff"', False),
    ],
)  # fmt: skip
def test_if_none_match(header, same):
    assert matches(header, '"3.-"') is same
