"""The session's cookie, written and read."""

import secrets

import pytest

from runwell.auth.cookies import LONGEST, NAME, end_cookie, name_of, set_cookie, token_of


def test_a_cookie_over_tls_is_for_this_host_alone():
    written = set_cookie("abc", secure=True, max_age=604800)
    assert written == ("__Host-runwell_session=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=604800; Secure")
    assert "Domain" not in written


def test_a_cookie_without_tls_is_neither_secure_nor_named_so():
    written = set_cookie("abc", secure=False, max_age=604800)
    assert written == "runwell_session=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=604800"


def test_a_cookie_may_end_with_the_browser_and_have_a_name_of_its_own():
    written = set_cookie("abc", secure=False, max_age=None, name="other.token")
    assert written == "other.token=abc; Path=/; HttpOnly; SameSite=Lax"


@pytest.mark.parametrize("secure", [True, False])
def test_a_cookie_is_ended_by_one_of_the_same_name(secure):
    written = end_cookie(secure=secure)
    assert written.startswith(f"{name_of(secure=secure)}=; ")
    assert "Max-Age=0" in written
    assert ("Secure" in written) is secure


@pytest.mark.parametrize("secure", [True, False])
def test_what_is_written_is_read(secure):
    for _ in range(50):
        token = secrets.token_urlsafe(32)
        pair = set_cookie(token, secure=secure, max_age=1).partition(";")[0]
        assert token_of(pair, secure=secure) == token
        assert token_of(f"a=b; {pair}; c=d", secure=secure) == token
        assert token_of(pair, secure=not secure) is None


@pytest.mark.parametrize(
    "token",
    ["a b", "a;b", "a,b", 'a"b', "a\\b", "a\r\nSet-Cookie: x=y", "a\n", "\u00e4", "x" * 513],
    ids=lambda value: repr(value)[:40],
)
def test_a_token_that_would_break_the_header_is_refused_unsaid(token):
    with pytest.raises(ValueError, match="this token cannot stand in a cookie") as refused:
        set_cookie(token, secure=True, max_age=1)
    assert token not in str(refused.value)


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a;b", "a\n"])
def test_a_name_that_would_break_the_header_is_refused(name):
    with pytest.raises(ValueError, match="is no name for a cookie"):
        set_cookie("abc", secure=True, max_age=1, name=name)


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, None),
        ("", None),
        (";;;", None),
        (NAME, None),
        (f"{NAME}=", None),
        (f"{NAME}=abc", "abc"),
        (f'{NAME}="abc"', "abc"),
        (f'{NAME}="', None),
        (f" \t{NAME} = abc\t ", "abc"),
        (f"{NAME}=abc=def", "abc=def"),
        (f"{NAME}=first; {NAME}=second", "first"),
        (f"{NAME}2=no; x{NAME}=no; {NAME.upper()}=no; {NAME}=yes", "yes"),
        (f"junk; =; =x; a; b=; \u00e4=\u00f6; {NAME}=abc", "abc"),
        (f"other=1, {NAME}=no", None),
        (f"{NAME}=a b", None),
        (f"{NAME}=\u00e4", None),
        (f"{NAME}=a\x00b", None),
        (f"{NAME}=" + "x" * LONGEST, "x" * LONGEST),
        (f"{NAME}=" + "x" * (LONGEST + 1), None),
        ("x=y;" * 10_000 + f"{NAME}=abc", "abc"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_the_first_cookie_of_the_name_counts_and_junk_does_not(header, token):
    assert token_of(header, secure=False) == token


def test_over_tls_a_planted_cookie_without_the_prefix_does_not_count():
    assert token_of(f"{NAME}=planted", secure=True) is None
    assert token_of(f"{NAME}=planted; __Host-{NAME}=real", secure=True) == "real"
