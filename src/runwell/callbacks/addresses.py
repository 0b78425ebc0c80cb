"""Which IP addresses may be posted to, and which host a piece of a URL means. Pure.

The list says what is refused, network by network. `ipaddress.is_global` is not asked: it calls
several addresses global that carry or reach a private one (6to4, NAT64, Azure's metadata service).
An IPv6 address that holds an IPv4 one is refused whatever it holds, so nothing is unwrapped here.

Hosts are read as browsers read them (WHATWG URL, "host parsing"): a resolver of the system would
take `127.1`, `0x7f000001` and `2130706433` for 127.0.0.1, so they have to be that here too.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

import idna

Address = IPv4Address | IPv6Address

_METADATA = "the metadata service of a cloud"
_LOOPBACK = "this machine (loopback)"
_PRIVATE = "a private network"
_LINK = "the local link"
_RESERVED = "a reserved range"
_MULTICAST = "a multicast group"
_EXAMPLES = "a range for documentation"
_EMBEDDED = "an IPv6 range that embeds IPv4 addresses"

DENIED_V4: tuple[tuple[IPv4Network, str], ...] = (
    (IPv4Network("169.254.169.254/32"), _METADATA),  # AWS, Azure, Google, Oracle, DigitalOcean
    (IPv4Network("100.100.100.200/32"), _METADATA),  # Alibaba
    (IPv4Network("168.63.129.16/32"), _METADATA),  # Azure's wire server: looks public, and is not
    (IPv4Network("192.0.0.192/32"), _METADATA),  # Oracle, the classic one
    (IPv4Network("0.0.0.0/8"), "this network, which reaches this machine"),
    (IPv4Network("10.0.0.0/8"), _PRIVATE),
    (IPv4Network("100.64.0.0/10"), "a provider's shared network (CGNAT)"),
    (IPv4Network("127.0.0.0/8"), _LOOPBACK),
    (IPv4Network("169.254.0.0/16"), _LINK),
    (IPv4Network("172.16.0.0/12"), _PRIVATE),
    (IPv4Network("192.0.0.0/24"), "a range for protocols"),
    (IPv4Network("192.0.2.0/24"), _EXAMPLES),
    (IPv4Network("192.88.99.0/24"), "the retired 6to4 relays"),
    (IPv4Network("192.168.0.0/16"), _PRIVATE),
    (IPv4Network("198.18.0.0/15"), "a range for benchmarks"),
    (IPv4Network("198.51.100.0/24"), _EXAMPLES),
    (IPv4Network("203.0.113.0/24"), _EXAMPLES),
    (IPv4Network("224.0.0.0/4"), _MULTICAST),
    (IPv4Network("255.255.255.255/32"), "the broadcast address"),
    (IPv4Network("240.0.0.0/4"), _RESERVED),
)
"""The first network that holds an address is the one that is named."""

GLOBAL_V6 = IPv6Network("2000::/3")
"""All that is handed out for public use. Everything else is refused, known to the list below or not."""

DENIED_V6: tuple[tuple[IPv6Network, str], ...] = (
    (IPv6Network("fd00:ec2::254/128"), _METADATA),  # AWS
    (IPv6Network("fd20:ce::254/128"), _METADATA),  # Google
    (IPv6Network("fd00:c1::a9fe:a9fe/128"), _METADATA),  # Oracle
    (IPv6Network("::/128"), "the unspecified address, which reaches this machine"),
    (IPv6Network("::1/128"), _LOOPBACK),
    (IPv6Network("::/96"), _EMBEDDED),  # IPv4-compatible
    (IPv6Network("::ffff:0:0/96"), _EMBEDDED),  # IPv4-mapped
    (IPv6Network("::ffff:0:0:0/96"), _EMBEDDED),  # IPv4-translated
    (IPv6Network("64:ff9b::/96"), _EMBEDDED),  # NAT64
    (IPv6Network("64:ff9b:1::/48"), _EMBEDDED),  # NAT64 of one network
    (IPv6Network("100::/64"), "the discard prefix"),
    (IPv6Network("2001::/32"), _EMBEDDED),  # Teredo
    (IPv6Network("2001::/23"), "a range for protocols"),  # benchmarks, ORCHID, anycast services
    (IPv6Network("2001:db8::/32"), _EXAMPLES),
    (IPv6Network("2002::/16"), _EMBEDDED),  # 6to4
    (IPv6Network("3ffe::/16"), "the retired 6bone"),
    (IPv6Network("3fff::/20"), _EXAMPLES),
    (IPv6Network("5f00::/16"), "a range for segment routing"),
    (IPv6Network("fc00::/7"), _PRIVATE),
    (IPv6Network("fe80::/10"), _LINK),
    (IPv6Network("fec0::/10"), "a site-local network"),
    (IPv6Network("ff00::/8"), _MULTICAST),
)

_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})
"""What stands before an IPv4 address in the lower half of an ISATAP address, under any prefix."""

_OWN_V6 = frozenset({IPv6Address("::"), IPv6Address("::1")})
_OWN_NAMES = frozenset(
    {
        "localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback",
        "localhost.localdomain", "localhost4.localdomain4", "localhost6.localdomain6",
    }
)  # fmt: skip

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+)\]\Z")
_DIGITS = {8: re.compile(r"[0-7]+\Z"), 10: re.compile(r"[0-9]+\Z"), 16: re.compile(r"[0-9a-fA-F]+\Z")}
_LONGEST_NAME = 253


class Host(NamedTuple):
    """`name` is canonical: lower case, ASCII, no dot at the end, an address in its usual spelling and
    without brackets. `address` is None for what has to be resolved."""

    name: str
    address: Address | None = None

    @property
    def own(self) -> bool:
        """Whether it says that it is this machine, without being resolved."""
        if self.address is not None:
            return is_own(self.address)
        return self.name in _OWN_NAMES or self.name.endswith(".localhost")


def denied(address: Address) -> str | None:
    """What an address is that must not be posted to, in a few words; None when it may be."""
    if isinstance(address, IPv4Address):
        return next((what for network, what in DENIED_V4 if address in network), None)
    if address.scope_id is not None:
        return _LINK
    for network, what in DENIED_V6:
        if address in network:
            return what
    if address not in GLOBAL_V6:
        return _RESERVED
    return _EMBEDDED if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP else None


def is_own(address: Address) -> bool:
    """Whether it is loopback or the unspecified address, which connects to loopback."""
    if isinstance(address, IPv4Address):
        return address.is_loopback or address.is_unspecified
    # Not asked of `ipaddress`, whose later versions look into IPv4-mapped addresses.
    return address in _OWN_V6


def parse_host(text: str) -> Host:
    """Read a host as it stands in a URL: a name, an IPv4 address in any spelling, `[IPv6]`.

    Raises `ValueError` with the fault, a phrase that goes after the host.
    """
    if text.startswith("["):
        return _bracketed(text)
    if not text.isascii():
        text = _to_ascii(text)
    name = text.lower().removesuffix(".")
    if not name:
        raise ValueError("is empty")
    labels = name.split(".")
    if _numeric(labels[-1]):
        address = _ipv4(labels)
        return Host(str(address), address)
    if len(name) > _LONGEST_NAME or not all(map(_LABEL.match, labels)):
        raise ValueError("is no name that a host can have")
    return Host(name)


def _bracketed(text: str) -> Host:
    found = _BRACKETED.match(text)
    try:
        # The pattern has no "%": a zone means something on one machine only.
        address = IPv6Address(found[1]) if found else None
    except AddressValueError:
        address = None
    if address is None:
        raise ValueError("is no IPv6 address in brackets")
    return Host(str(address), address)


def _to_ascii(text: str) -> str:
    """Full-width digits, circled letters and foreign dots become what they look like; then Punycode."""
    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except UnicodeError as error:
        raise ValueError("is no name that a host can have") from error


def _numeric(label: str) -> bool:
    """Whether a host that ends in this label is an IPv4 address or nothing at all."""
    return bool(_DIGITS[10].match(label)) or _number(label) is not None


def _ipv4(parts: list[str]) -> IPv4Address:
    """One to four numbers; the last one fills all bytes that the others leave."""
    numbers = [number for number in map(_number, parts) if number is not None]
    last = 256 ** (5 - len(parts)) if len(parts) <= 4 else 0
    if len(numbers) < len(parts) or max(numbers[:-1], default=0) > 255 or numbers[-1] >= last:
        raise ValueError("ends in a number and is no IPv4 address")
    return IPv4Address(sum(n << 8 * (3 - at) for at, n in enumerate(numbers[:-1])) + numbers[-1])


def _number(text: str) -> int | None:
    """Decimal, octal after a 0, hexadecimal after 0x (a bare 0x is 0); None for what is no number."""
    if not text:
        return None
    radix = 10
    if text.startswith(("0x", "0X")):
        text, radix = text[2:], 16
    elif len(text) > 1 and text.startswith("0"):
        text, radix = text[1:], 8
    if not text:
        return 0
    # No address needs this many digits, and Python refuses to read thousands of them.
    return int(text, radix) if _DIGITS[radix].match(text) and len(text) < 300 else None
