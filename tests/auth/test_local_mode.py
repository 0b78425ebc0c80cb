"""The guard's verdicts on names, without a server."""

import pytest

from runwell.auth.local_mode import (
    allowed_origins,
    fault,
    is_loopback,
    is_loopback_address,
    normal_origin,
    origin_allowed,
)

LOOPBACK = [
    "localhost", "LOCALHOST", "LocalHost:8005", "127.0.0.1", "127.0.0.1:8005", "127.9.8.7", "[::1]",
    "[::1]:8005", "[0:0:0:0:0:0:0:1]:80", "127.0.0.1:0",
]  # fmt: skip

HOSTILE_HOSTS = [
    "", " ", "evil.example", "evil.example:8005", "localhost.evil.example", "evil.localhost", "localhost.",
    "127.0.0.1.evil.example", "127.0.0.1.nip.io", "127.1", "0x7f.0.0.1", "0177.0.0.1", "2130706433",
    "127.0.0.01", "127.0.0.256", "0.0.0.0", "0.0.0.0:8005", "[::]", "[::]:8005", "[::ffff:127.0.0.1]",
    "[::1%lo]", "::1", "[::1", "[::1]evil", "10.0.0.1", "192.168.1.7:8005", "169.254.169.254",
    "localhost:", "localhost:80:80", "localhost:port", "localhost:999999", "user@localhost",
    "localhost/evil", "localhost,evil.example", "localhost evil.example", "localhost\x00", "localhost\n",
    "\u0131ocalhost", "１２７.0.0.1", "127.0.0.１",
]  # fmt: skip

HOSTILE_ORIGINS = [
    "", "null", "https://evil.example", "http://evil.example:8005", "http://localhost.evil.example",
    "http://127.0.0.1.nip.io", "http://0.0.0.0:8005", "http://[::ffff:127.0.0.1]", "http://localhost@evil.example",
    "http://evil.example#localhost", "http://evil.example/localhost", "http://evil.example?localhost",
    "http://localhost\\evil.example", "file://", "file://localhost", "chrome-extension://abcdef", "localhost",
    "//localhost", "http:localhost", "http://", "http:///localhost", "ftp://localhost", "ws://localhost",
    "http://localhost http://evil.example", "http://localhost,http://evil.example", "http://evil.example\n",
    "https://app.example.com.evil.example", "https://app.example.com:8443", "http://app.example.com",
]  # fmt: skip

ALLOWED = allowed_origins(["https://App.Example.com/", "http://dev.example:3000"])


@pytest.mark.parametrize("host", LOOPBACK)
def test_names_of_this_machine_enter(host):
    assert is_loopback(host)
    assert fault([host], [], ALLOWED) is None


@pytest.mark.parametrize("host", HOSTILE_HOSTS)
def test_any_other_name_is_refused(host):
    assert not is_loopback(host)
    assert fault([host], [], ALLOWED) is not None


@pytest.mark.parametrize("origin", HOSTILE_ORIGINS)
def test_foreign_pages_are_refused(origin):
    assert not origin_allowed(origin, ALLOWED)
    assert fault(["localhost"], [origin], ALLOWED) is not None


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost", "http://localhost:3000", "https://127.0.0.1:8443", "HTTP://LOCALHOST:5173",
        "http://[::1]:8005", "https://app.example.com", "https://app.example.com:443", "HTTPS://APP.EXAMPLE.COM",
        "http://dev.example:3000",
    ],
)  # fmt: skip
def test_pages_of_this_machine_and_listed_ones_enter(origin):
    assert origin_allowed(origin, ALLOWED)
    assert fault(["127.0.0.1:8005"], [origin], ALLOWED) is None


def test_a_request_that_names_no_host_is_refused():
    assert fault([], [], ALLOWED) == "The request names no Host"


def test_every_one_of_doubled_headers_counts():
    assert fault(["localhost", "evil.example"], [], ALLOWED) is not None
    assert fault(["localhost"], ["http://localhost", "https://evil.example"], ALLOWED) is not None


def test_default_ports_are_no_difference():
    assert normal_origin("https://a.example:443") == normal_origin("https://A.example") == "https://a.example"
    assert normal_origin("http://a.example:443") == "http://a.example:443"


@pytest.mark.parametrize("entry", ["*", "app.example.com", "https://app.example.com/path", "null", ""])
def test_a_listed_origin_must_be_one(entry):
    with pytest.raises(ValueError, match="RUNWELL_ORIGINS"):
        allowed_origins([entry])


def test_what_a_foreign_page_asks_for_without_an_origin_is_refused():
    for mode in ("no-cors", "cors", "same-origin"):
        assert fault(["localhost"], [], ALLOWED, ["cross-site"], [mode]) is not None
    assert fault(["localhost"], [], ALLOWED, ["cross-site"]) is not None
    # Listed pages say who they are; links are followed; pages of this machine may ask.
    assert fault(["localhost"], ["https://app.example.com"], ALLOWED, ["cross-site"], ["cors"]) is None
    assert fault(["localhost"], [], ALLOWED, ["cross-site"], ["navigate"]) is None
    assert fault(["localhost"], [], ALLOWED, ["same-site"], ["no-cors"]) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1"])
def test_clients_of_this_machine(address):
    assert is_loopback_address(address)


@pytest.mark.parametrize(
    "address", ["203.0.113.7", "10.0.0.5", "2001:db8::7", "unknown", "", "::ffff:127.0.0.1"]
)
def test_clients_of_other_machines(address):
    assert not is_loopback_address(address)
