"""What may be posted to, and what a host means however it is spelled."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runwell.callbacks.addresses import denied, is_own, parse_host

DENIED = {
    "169.254.169.254": "metadata",
    "100.100.100.200": "metadata",
    "168.63.129.16": "metadata",
    "192.0.0.192": "metadata",
    "fd00:ec2::254": "metadata",
    "fd20:ce::254": "metadata",
    "0.0.0.0": "this machine",
    "0.1.2.3": "this machine",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "10.0.0.1": "private",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "100.64.0.1": "CGNAT",
    "100.127.255.255": "CGNAT",
    "169.254.170.2": "local link",
    "192.0.0.8": "protocols",
    "192.0.2.1": "documentation",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "192.88.99.1": "6to4",
    "198.18.0.1": "benchmarks",
    "198.19.255.255": "benchmarks",
    "224.0.0.1": "multicast",
    "239.255.255.255": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "broadcast",
    "::": "this machine",
    "::1": "loopback",
    "::7f00:1": "embeds",
    "::ffff:127.0.0.1": "embeds",
    "::ffff:8.8.8.8": "embeds",
    "::ffff:0:127.0.0.1": "embeds",
    "64:ff9b::7f00:1": "embeds",
    "64:ff9b:1::a00:1": "embeds",
    "2002:7f00:1::": "embeds",
    "2001:0:7f00:1::": "embeds",
    "2a00:1450::5efe:10.0.0.1": "embeds",
    "2a00:1450::200:5efe:10.0.0.1": "embeds",
    "100::1": "discard",
    "2001:2::1": "protocols",
    "2001:10::1": "protocols",
    "2001:20::1": "protocols",
    "2001:db8::1": "documentation",
    "3fff::1": "documentation",
    "3ffe::1": "6bone",
    "5f00::1": "segment routing",
    "fc00::1": "private",
    "fdff::1": "private",
    "fe80::1": "local link",
    "fe80::1%eth0": "local link",
    "2a00:1450::1%eth0": "local link",
    "fec0::1": "site-local",
    "ff02::1": "multicast",
    "4000::1": "reserved",
    "1::1": "reserved",
    "e000::1": "reserved",
}

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "93.184.215.14", "100.63.255.255", "100.128.0.0",
    "126.255.255.255", "128.0.0.1", "168.63.129.17", "169.253.255.255", "172.15.255.255", "172.32.0.0",
    "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
    "2001:4860:4860::8888", "2001:200::1", "2606:4700:4700::1111", "2a00:1450::1", "3ffd::1",
]  # fmt: skip


@pytest.mark.parametrize("text", DENIED)
def test_each_kind_of_inner_address_is_denied_by_its_name(text):
    what = denied(ip_address(text))
    assert what is not None and DENIED[text] in what


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_up_to_the_edges_of_the_list_are_not_denied(text):
    assert denied(ip_address(text)) is None


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_what_the_standard_library_calls_inner_is_denied_too(address):
    assert address.is_global or denied(address) is not None


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("0.0.0.0", True),
        ("::", True),
        ("::1", True),
        ("::ffff:127.0.0.1", False),
        ("0.0.0.1", False),
        ("10.0.0.1", False),
    ],
)
def test_loopback_and_unspecified_are_this_machine(text, own):
    assert is_own(ip_address(text)) is own


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0X7F.1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("0177.0.0.01", "127.0.0.1"),
        ("0x7f.0.0.0x1", "127.0.0.1"),
        ("0x0000000000007f.1", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("0x", "0.0.0.0"),
        ("0x.0x.0", "0.0.0.0"),
        ("4294967295", "255.255.255.255"),
        ("１２７.0.0.1", "127.0.0.1"),
        ("127。0．0｡1", "127.0.0.1"),
        ("①②⑦.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[0:0:0:0:0:FFFF:7F00:1]", "::ffff:7f00:1"),
        ("[::ffff:127.0.0.1]", "::ffff:7f00:1"),
    ],
)
def test_an_address_is_read_however_it_is_spelled(text, address):
    host = parse_host(text)
    assert host.address == ip_address(address)
    assert host.name == str(ip_address(address))


def spell(number: int, radix: int) -> str:
    return {8: f"0{number:o}", 10: str(number), 16: f"0x{number:X}"}[radix]


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 4),
    st.lists(st.sampled_from([8, 10, 16]), min_size=4, max_size=4),
    st.booleans(),
)
def test_every_spelling_of_an_ipv4_address_is_the_same_address(number, parts, radixes, dot):
    octets = list(number.to_bytes(4, "big"))
    numbers = [*octets[: parts - 1], int.from_bytes(octets[parts - 1 :], "big")]
    text = ".".join(spell(n, radix) for n, radix in zip(numbers, radixes, strict=False)) + "." * dot
    assert parse_host(text).address == IPv4Address(number)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("hooks_1.internal", "hooks_1.internal"),
        ("redis", "redis"),
        ("127.0.0.1.nip.io", "127.0.0.1.nip.io"),
        ("1.2.3.4x", "1.2.3.4x"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("ＥＸＡＭＰＬＥ．ｃｏｍ", "example.com"),
    ],
)
def test_a_name_is_made_canonical_and_has_no_address(text, name):
    host = parse_host(text)
    assert (host.name, host.address) == (name, None)


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "..", "a..b", "127.0.0.1..", "1..2", ".1", "256.0.0.1", "1.2.3.256", "1.2.3.4.5",
        "4294967296", "0x100000000",
        "1.16777216", "08.0.0.1", "1.2.3.09", "example.0x7f", "example.1", "0xg.1", "-1.0.0.1",
        "a" * 64, ".".join(["a" * 60] * 5), "-a.com", "a-.com", "exa mple.com", "exa%6dple.com", "ex@mple",
        "example.com／x", "[::1", "::1]", "[]", "[127.0.0.1]", "[::1%25eth0]", "[fe80::1%eth0]", "[::g]",
        "[1::2::3]", "[::1]x", "\ud800.com", "xn--\u0080", "9" * 5000, "0x" + "0" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_host_is_refused(text):
    with pytest.raises(ValueError, match=r"^(is|ends in) "):
        parse_host(text)


@given(st.text())
def test_any_text_is_a_host_or_a_value_error(text):
    try:
        host = parse_host(text)
    except ValueError:
        return
    assert host.name.isascii() and host.name == host.name.lower()
    assert isinstance(host.address, IPv4Address | IPv6Address | None)


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "LocalHost.",
        "a.localhost",
        "localhost.localdomain",
        "ip6-localhost",
        "ⓛocalhost",
        "127.1",
    ],
)
def test_names_of_this_machine_are_known_without_asking(name):
    assert parse_host(name).own


@pytest.mark.parametrize("name", ["localhost.example.com", "notlocalhost", "10.0.0.1", "[::ffff:127.0.0.1]"])
def test_what_only_looks_like_this_machine_is_for_the_other_checks(name):
    assert not parse_host(name).own
