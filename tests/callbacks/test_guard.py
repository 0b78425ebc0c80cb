"""The address guard: hostile URLs, rebinding, mixed answers, and the operator's exceptions."""

import asyncio
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runwell.callbacks.guard import AddressGuard, AllowedHost, Target, parse_allowed
from runwell.domain.errors import AddressFault, AddressRefused, ErrorKind

PUBLIC = "93.184.215.14"
PUBLIC_V6 = "2606:4700:4700::1111"

HOSTILE = {
    # This machine, in every spelling.
    "http://localhost/": "loopback",
    "http://LOCALHOST:8005/": "loopback",
    "http://localhost./": "loopback",
    "http://api.localhost/": "loopback",
    "http://localhost.localdomain/": "loopback",
    "http://ip6-localhost/": "loopback",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/": "loopback",
    "http://127.0.0.1/": "loopback",
    "http://127.0.0.1./": "loopback",
    "https://127.0.0.1:8443/x?y=z": "loopback",
    "http://127.255.255.254/": "loopback",
    "http://127.1/": "loopback",
    "http://127.0.1/": "loopback",
    "http://2130706433/": "loopback",
    "http://0x7f000001/": "loopback",
    "http://0x7F.1/": "loopback",
    "http://0177.0.0.1/": "loopback",
    "http://017700000001/": "loopback",
    "http://00000177.0x0.1/": "loopback",
    "http://１２７.0.0.1/": "loopback",
    "http://127。0。0。1/": "loopback",
    "http://①②⑦.⓪.⓪.①/": "loopback",
    "http://0/": "loopback",
    "http://0.0.0.0/": "loopback",
    "http://0x/": "loopback",
    "http://[::1]/": "loopback",
    "http://[0:0:0:0:0:0:0:1]:8005/": "loopback",
    "http://[::]/": "loopback",
    # Inner networks.
    "http://10.0.0.1/": "restricted",
    "http://167772161/": "restricted",
    "http://0xa9fea9fe/": "restricted",
    "http://172.16.0.1/": "restricted",
    "http://192.168.0.1/": "restricted",
    "http://192.168.257/": "restricted",
    "http://100.64.0.1/": "restricted",
    "http://169.254.169.254/latest/meta-data/": "restricted",
    "http://169.254.43518/": "restricted",
    "http://100.100.100.200/": "restricted",
    "http://168.63.129.16/": "restricted",
    "http://192.0.0.192/": "restricted",
    "http://198.18.0.1/": "restricted",
    "http://192.88.99.1/": "restricted",
    "http://224.0.0.1/": "restricted",
    "http://255.255.255.255/": "restricted",
    "http://[fd00:ec2::254]/": "restricted",
    "http://[fe80::1]/": "restricted",
    "http://[fec0::1]/": "restricted",
    "http://[ff02::1]/": "restricted",
    "http://[::ffff:127.0.0.1]/": "restricted",
    "http://[::ffff:7f00:1]/": "restricted",
    "http://[::127.0.0.1]/": "restricted",
    "http://[::ffff:0:7f00:1]/": "restricted",
    "http://[64:ff9b::7f00:1]/": "restricted",
    "http://[64:ff9b:1::7f00:1]/": "restricted",
    "http://[2002:7f00:1::]/": "restricted",
    "http://[2001:0:7f00:1::]/": "restricted",
    "http://[5f00::1]/": "restricted",
    "http://[4000::1]/": "restricted",
    # URLs that two readers read differently, or that are none.
    "http://good.example@127.0.0.1/": "malformed",
    "http://user:password@good.example/": "malformed",
    "http://good.example\\@127.0.0.1/": "malformed",
    "http://127.0.0.1\\@good.example/": "malformed",
    "http://good.example/\\@127.0.0.1/": "malformed",
    "http://good.example%40127.0.0.1/": "malformed",
    "http://%31%32%37.0.0.1/": "malformed",
    "http://127.0.0.1%2f.good.example/": "malformed",
    "http://[fe80::1%25eth0]/": "malformed",
    "http://[::1/": "malformed",
    "http://[::1]x/": "malformed",
    "http://::1/": "malformed",
    "http://256.256.256.256/": "malformed",
    "http://127.0.0.0.1/": "malformed",
    "http://0x7f.0.0.0x100/": "malformed",
    "http://127.0.0.09/": "malformed",
    "http://good.example.0x7f/": "malformed",
    "http://good.example:0/": "malformed",
    "http://good.example:65536/": "malformed",
    "http://good.example:80:80/": "malformed",
    "http://good.example:8o/": "malformed",
    "http://good.example／@127.0.0.1/": "malformed",
    "http://good.example／x/": "malformed",
    "http://loc\u00adalhost/": "malformed",
    "http://loc\u200balhost/": "malformed",
    "http://good.example/\r\nHost: evil": "malformed",
    "http://good.example/\t": "malformed",
    " http://good.example/": "malformed",
    "http://good.example/a b": "malformed",
    "ht\ntp://good.example/": "malformed",
    "http://good.example/\x00": "malformed",
    "http://good.example/\ud800": "malformed",
    "http:///127.0.0.1/": "malformed",
    "http:127.0.0.1": "malformed",
    "http:/127.0.0.1/": "malformed",
    "http://": "malformed",
    "http://:80/": "malformed",
    "http://?x": "malformed",
    "http://good.example/" + "a" * 2048: "malformed",
    # Other protocols.
    "": "scheme",
    "good.example/hook": "scheme",
    "//good.example/hook": "scheme",
    "ftp://good.example/": "scheme",
    "file:///etc/passwd": "scheme",
    "gopher://127.0.0.1:6379/_x": "scheme",
    "javascript:alert(1)": "scheme",
    "httpx://good.example/": "scheme",
    "unix:///run/docker.sock": "scheme",
}


class Answers:
    """A resolver that tells one list of addresses after the other, and counts."""

    def __init__(self, *answers: list[str] | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        answer = self._answers[min(len(self.asked), len(self._answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_the_hostile_forms_are_many():
    assert len(set(HOSTILE)) >= 48
    assert set(HOSTILE.values()) == {*AddressFault} - {AddressFault.UNRESOLVABLE}


@pytest.mark.parametrize("url", HOSTILE)
async def test_a_hostile_url_is_refused_without_asking_anybody(url):
    answers = Answers([PUBLIC])
    guard = AddressGuard(resolve=answers)
    with pytest.raises(AddressRefused) as at_once:
        guard.check_shape(url)
    with pytest.raises(AddressRefused) as later:
        await guard.resolve(url)
    assert at_once.value.fault == later.value.fault == HOSTILE[url]
    assert answers.asked == []


@pytest.mark.parametrize("url", HOSTILE)
def test_a_refusal_says_what_to_do_and_repeats_no_path(url):
    with pytest.raises(AddressRefused) as caught:
        AddressGuard().check_shape(url)
    refused = caught.value
    assert (refused.code, refused.kind) == ("address_refused", ErrorKind.INVALID)
    assert refused.message and refused.hint and len(refused.message) < 300
    assert "latest" not in refused.message and "password@" not in refused.message
    permitted = refused.fault in {AddressFault.LOOPBACK, AddressFault.RESTRICTED}
    assert ("RUNWELL_CALLBACKS_ALLOW" in refused.hint) is permitted


@pytest.mark.parametrize("url", ["https://user:hunter2@good.example/", "https://hunter2@good.example"])
def test_a_password_in_the_url_is_named_as_the_fault_and_not_repeated(url):
    with pytest.raises(AddressRefused, match="holds a user name or password") as caught:
        AddressGuard(["good.example"]).check_shape(url)
    assert "hunter2" not in caught.value.message + caught.value.hint


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_refused(rest):
    for url in (rest, f"http://{rest}", f"https://good.example{rest}"):
        try:
            target = AddressGuard().check_shape(url)
        except AddressRefused:
            continue
        assert target.scheme in {"http", "https"} and target.host.isascii() and target.path.startswith("/")


@pytest.mark.parametrize(
    ("url", "target", "origin"),
    [
        (
            "https://Hooks.Example.com",
            Target(scheme="https", host="hooks.example.com", port=443),
            "https://hooks.example.com",
        ),
        (
            "HTTP://hooks.example.com.:8080/a/b?c=d&e#f",
            Target(scheme="http", host="hooks.example.com", port=8080, path="/a/b", query="c=d&e"),
            "http://hooks.example.com:8080",
        ),
        (
            "https://hooks.example.com:443?x=/y",
            Target(scheme="https", host="hooks.example.com", port=443, query="x=/y"),
            "https://hooks.example.com",
        ),
        (
            f"http://[{PUBLIC_V6}]:/",
            Target(scheme="http", host=PUBLIC_V6, port=80, literal=True),
            f"http://[{PUBLIC_V6}]",
        ),
        (
            "http://134744072:81/",
            Target(scheme="http", host="8.8.8.8", port=81, literal=True),
            "http://8.8.8.8:81",
        ),
    ],
)
def test_a_good_url_is_taken_apart(url, target, origin):
    found = AddressGuard().check_shape(url)
    assert (found, found.origin) == (target, origin)


def test_a_target_is_shown_without_what_may_be_secret():
    target = AddressGuard().check_shape("https://hooks.example.com/services/T0/secret?token=secret")
    assert repr(target) == str(target) == "Target(https://hooks.example.com)"


async def test_all_addresses_are_checked_and_kept_in_order():
    answers = Answers([PUBLIC_V6, PUBLIC, PUBLIC_V6, "8.8.8.8"])
    checked = await AddressGuard(resolve=answers).resolve("https://hooks.example.com/x")
    assert checked.addresses == (PUBLIC_V6, PUBLIC, "8.8.8.8")
    assert answers.asked == [("hooks.example.com", 443)]


async def test_an_address_in_the_url_needs_nobody_to_resolve_it():
    answers = Answers(OSError("not to be asked"))
    checked = await AddressGuard(resolve=answers).resolve("http://0x08080808/")
    assert (checked.addresses, answers.asked) == (("8.8.8.8",), [])


@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1"],
        [PUBLIC, "10.0.0.1"],
        ["::1", PUBLIC],
        [PUBLIC, PUBLIC_V6, "fe80::1%eth0"],
        ["::ffff:8.8.8.8"],
        [PUBLIC, "not an address"],
    ],
)
async def test_one_bad_answer_among_good_ones_refuses_all(answers):
    with pytest.raises(AddressRefused) as caught:
        await AddressGuard(resolve=Answers(answers)).resolve("https://hooks.example.com/")
    assert caught.value.fault is AddressFault.RESTRICTED
    assert "hooks.example.com:443 in RUNWELL_CALLBACKS_ALLOW" in caught.value.hint


async def test_a_refusal_does_not_tell_strangers_the_inner_address():
    with pytest.raises(AddressRefused) as caught:
        await AddressGuard(resolve=Answers(["10.11.12.13"])).resolve("https://db.internal/")
    assert "10.11.12.13" not in caught.value.message + caught.value.hint
    assert "private network" in caught.value.message


async def test_a_name_that_is_bound_anew_is_refused_the_second_time():
    guard = AddressGuard(resolve=Answers([PUBLIC], ["127.0.0.1"]))
    assert (await guard.resolve("http://rebind.example/")).addresses == (PUBLIC,)
    with pytest.raises(AddressRefused) as caught:
        await guard.resolve("http://rebind.example/")
    assert caught.value.fault is AddressFault.RESTRICTED


@pytest.mark.parametrize(
    "answer", [[], socket.gaierror(socket.EAI_NONAME, "no such name"), UnicodeError("label too long")]
)
async def test_a_name_without_an_address_cannot_be_resolved(answer):
    with pytest.raises(AddressRefused) as caught:
        await AddressGuard(resolve=Answers(answer)).resolve("https://hooks.example.com/")
    assert caught.value.fault is AddressFault.UNRESOLVABLE


async def test_a_resolver_that_hangs_is_not_waited_for():
    async def hang(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return [PUBLIC]

    with pytest.raises(AddressRefused, match=r"within 0\.01 s") as caught:
        await AddressGuard(resolve=hang).resolve("https://hooks.example.com/", timeout=0.01)
    assert caught.value.fault is AddressFault.UNRESOLVABLE


async def test_the_system_is_asked_when_nothing_else_is_given():
    found = await AddressGuard(["localhost"]).resolve("http://localhost:8005/")
    assert set(found.addresses) <= {"127.0.0.1", "::1"} and found.addresses


@pytest.mark.parametrize(
    ("allow", "url"),
    [
        ("localhost", "http://localhost:1234/"),
        ("LOCALHOST.:8005", "http://localhost:8005/"),
        ("127.0.0.1:9000", "http://127.0.0.1:9000/"),
        ("127.0.0.1", "http://0x7f.1:1/"),
        ("10.0.0.5", "http://10.0.0.5/"),
        ("[fd00::1]:8080", "http://[fd00:0::1]:8080/"),
        ("[::1]", "https://[::1]/"),
        ("hooks.internal:443", "https://hooks.internal/"),
        ("bücher.internal", "https://bücher.internal/"),
        (" hooks.internal ", "https://hooks.internal:8443/"),
    ],
)
async def test_what_the_operator_lists_is_let_through(allow, url):
    checked = await AddressGuard([allow], Answers(["10.0.0.7", "::1"])).resolve(url)
    assert checked.addresses


@pytest.mark.parametrize(
    ("allow", "url"),
    [
        ("127.0.0.1:9000", "http://127.0.0.1:9001/"),
        ("127.0.0.1:9000", "http://127.0.0.2:9000/"),
        ("localhost", "http://127.0.0.1/"),
        ("127.0.0.1", "http://localhost/"),
        ("localhost", "http://a.localhost/"),
        ("hooks.internal:443", "http://hooks.internal/"),
        ("hooks.internal", "http://other.internal/"),
        ("hooks.internal", "http://x.hooks.internal/"),
        ("10.0.0.7", "http://hooks.internal/"),
        ("[::1]:80", "http://[::ffff:127.0.0.1]/"),
    ],
)
async def test_an_exception_is_for_nothing_else(allow, url):
    with pytest.raises(AddressRefused):
        await AddressGuard([allow], Answers(["10.0.0.7"])).resolve(url)


async def test_the_hint_is_the_entry_that_lets_it_through():
    with pytest.raises(AddressRefused) as caught:
        AddressGuard().check_shape("http://[fd00::1]:8080/")
    entry = caught.value.hint.split(" can list ")[1].split(" in ")[0]
    assert AddressGuard([entry]).check_shape("http://[fd00::1]:8080/").host == "fd00::1"


@pytest.mark.parametrize(
    ("entry", "allowed"),
    [
        ("Hooks.Internal", AllowedHost("hooks.internal")),
        ("hooks.internal:8080", AllowedHost("hooks.internal", 8080)),
        ("127.1:80", AllowedHost("127.0.0.1", 80)),
        ("[::1]", AllowedHost("::1")),
        ("[0::1]:65535", AllowedHost("::1", 65535)),
    ],
)
def test_an_entry_is_normalised(entry, allowed):
    assert parse_allowed(entry) == allowed


@pytest.mark.parametrize(
    "entry",
    [
        "", " ", "*", "*.internal", "10.0.0.0/8", "http://hooks.internal", "user@hooks.internal", "::1",
        "::1:8080", "[::1", "host:", "host:0", "host:65536", "host:http", "host:1:2", "host/path",
        "1.2.3.4.5", "two hosts", "a,b",
    ],
)  # fmt: skip
def test_an_entry_that_is_no_host_is_an_error_that_names_it(entry):
    with pytest.raises(ValueError, match="RUNWELL_CALLBACKS_ALLOW") as caught:
        AddressGuard([entry])
    assert repr(entry) in str(caught.value)
