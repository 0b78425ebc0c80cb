"""Whose page may use a session: a table of what browsers and programs send."""

import pytest

from runwell.auth.local_mode import allowed_origins
from runwell.auth.origin import fault, is_here, require_own_page
from runwell.domain.errors import Forbidden

LISTED = allowed_origins(["https://app.example", "http://localhost:3000"])
OWN = "runwell.example"


def judged(method="POST", host=OWN, origin=None, site=None, secure=True) -> str | None:
    return fault(
        method,
        secure=secure,
        hosts=[host],
        origins=[] if origin is None else [origin],
        sites=[] if site is None else [site],
        allowed=LISTED,
    )


@pytest.mark.parametrize(
    ("origin", "site", "passes"),
    [
        # Programs, and browsers older than both headers.
        (None, None, True),
        # The server's own pages, and what the user asked for directly.
        ("https://runwell.example", "same-origin", True),
        ("https://runwell.example", None, True),
        ("https://RUNWELL.example:443", "same-origin", True),
        (None, "same-origin", True),
        (None, "none", True),
        # Listed origins, wherever they are.
        ("https://app.example", "cross-site", True),
        ("http://localhost:3000", "cross-site", True),
        # Foreign ones.
        ("https://evil.example", "cross-site", False),
        ("https://evil.example", None, False),
        ("https://evil.example", "same-origin", False),
        ("https://evil.example", "none", False),
        ("https://other.runwell.example", "same-site", False),
        ("https://runwell.example.evil.example", "cross-site", False),
        ("https://evil-runwell.example", "cross-site", False),
        ("https://runwell.example:8443", "same-site", False),
        ("https://app.example:8443", "cross-site", False),
        ("http://app.example", "cross-site", False),
        ("http://localhost", "cross-site", False),
        (None, "cross-site", False),
        (None, "same-site", False),
        (None, "SAME-ORIGIN", False),
        (None, "", False),
        ("null", "cross-site", False),
        ("null", None, False),
        ("", None, False),
        ("runwell.example", None, False),
        ("https://user@runwell.example", None, False),
        ("https://runwell.example/", None, False),
        # A page without TLS may have been written by anybody on its way.
        ("http://runwell.example", None, False),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "BREW"])
def test_an_unsafe_request_comes_from_an_own_page_or_from_none(method, origin, site, passes):
    assert (judged(method, origin=origin, site=site) is None) is passes


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_safe_request_may_come_from_anywhere(method):
    assert judged(method, origin="https://evil.example", site="cross-site") is None


@pytest.mark.parametrize(
    ("host", "origin", "passes"),
    [
        ("127.0.0.1:8005", "http://127.0.0.1:8005", True),
        ("localhost:8005", "http://localhost:8005", True),
        ("[::1]:8005", "http://[::1]:8005", True),
        ("runwell.example:80", "http://runwell.example", True),
        # A proxy in front has the TLS.
        ("runwell.example", "https://runwell.example", True),
        # Another port is another page, and one name of this machine is not the other.
        ("127.0.0.1:8005", "http://127.0.0.1:9999", False),
        ("127.0.0.1:8005", "http://localhost:8005", False),
        ("127.0.0.1:8005", "https://evil.example", False),
        # A proxy that does not pass on the host.
        ("127.0.0.1:8005", "https://runwell.example", False),
        ("", "https://", False),
        ("evil.example/runwell.example", "https://evil.example", False),
    ],
)
def test_an_own_page_is_one_of_the_host_that_was_asked_for(host, origin, passes):
    assert (judged(host=host, origin=origin, secure=False) is None) is passes


def test_every_header_of_a_name_counts():
    def two(**given):
        return fault("POST", **{"secure": True, "hosts": [OWN], "allowed": LISTED, **given})

    own = f"https://{OWN}"
    assert two(origins=[own, own]) is None
    assert two(origins=[own, "https://evil.example"]) is not None
    assert two(sites=["same-origin", "cross-site"]) is not None
    assert two(origins=[own], hosts=[OWN, "evil.example"]) is not None
    assert two(origins=[own], hosts=[]) is not None
    assert two(hosts=[]) is None


def test_a_refusal_says_what_to_do():
    require_own_page("POST", secure=True, hosts=[OWN])
    with pytest.raises(Forbidden) as refused:
        require_own_page("POST", secure=True, hosts=[OWN], origins=["https://evil.example"])
    assert "https://evil.example" in refused.value.message
    assert "RUNWELL_ORIGINS" in refused.value.hint


@pytest.mark.parametrize(
    ("address", "headers", "here"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {"host": "[::1]:8005", "x-real": "y"}, True),
        ("203.0.113.9", {}, False),
        ("", {}, False),
        ("unknown", {}, False),
        # What a proxy on this machine passes on, whether or not anybody believes it.
        ("127.0.0.1", {"x-forwarded-for": "203.0.113.9"}, False),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, False),
        ("127.0.0.1", {"x-forwarded-for": ""}, False),
        ("127.0.0.1", {"x-forwarded-proto": "http"}, False),
        ("127.0.0.1", {"x-forwarded-host": "localhost"}, False),
        ("127.0.0.1", {"forwarded": "for=127.0.0.1"}, False),
        ("127.0.0.1", {"x-real-ip": "127.0.0.1"}, False),
        ("127.0.0.1", {"via": "1.1 proxy"}, False),
        # A proxy that says no more than which name was asked for.
        ("127.0.0.1", {"host": "runwell.example"}, False),
        ("127.0.0.1", {"host": ""}, False),
    ],
)
def test_whoever_comes_through_a_proxy_is_not_here(address: str, headers: dict[str, str], here: bool):
    given = {"host": "127.0.0.1:8005", **headers}
    pairs = [(name.encode(), value.encode()) for name, value in given.items()]
    assert is_here(address, pairs) is here
    assert not is_here(address, [*pairs, (b"host", b"runwell.example")])
