"""The address guard: no caller makes this server post where only this server can reach.

A URL is checked twice. Its shape when it is given, without the network; its addresses before each
post. A name may resolve to one address now and to another a second later, so what is connected to
is an address that was checked, never the name again. One bad address among good ones refuses all:
which of them is tried is not ours to choose.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from typing import NamedTuple, NoReturn

import msgspec

from runwell.callbacks.addresses import Host, denied, parse_host
from runwell.domain.errors import AddressFault, AddressRefused

SETTING = "RUNWELL_CALLBACKS_ALLOW"
LONGEST_URL = 2048
"""Characters."""
RESOLVE_TIMEOUT = 5.0
"""Seconds."""

DEFAULT_PORTS = {"http": 80, "https": 443}

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""A name and a port in, its IP addresses out, the preferred one first. Raises `OSError`."""

_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*):(?P<slashes>//)?(?P<authority>[^/?#]*)(?P<path>[^?#]*)"
    r"(?:\?(?P<query>[^#]*))?(?:#.*)?\Z",
    re.IGNORECASE,
)
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{0,5}))?\Z")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where a URL points to. `host` is canonical, an IPv6 address without brackets; `literal` says
    that it is an address. `path` begins with a slash, `query` is without its question mark. Shown
    without both, which may be as secret as a password."""

    scheme: str
    host: str
    port: int
    path: str = "/"
    query: str = ""
    literal: bool = False

    @property
    def authority(self) -> str:
        """The `Host` header: without the port where it is the scheme's own."""
        if self.port == DEFAULT_PORTS[self.scheme]:
            return _bracketed(self.host)
        return f"{_bracketed(self.host)}:{self.port}"

    @property
    def origin(self) -> str:
        """What may be told of it: `https://example.com:8443`."""
        return f"{self.scheme}://{self.authority}"

    def at(self, address: str) -> str:
        """The URL with one of its addresses in the place of its name."""
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{_bracketed(address)}:{self.port}{self.path}{query}"

    def __repr__(self) -> str:
        return f"Target({self.origin})"


class CheckedTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A target and the addresses that may be connected to, the preferred one first; at least one."""

    target: Target
    addresses: tuple[str, ...]


class AllowedHost(NamedTuple):
    """What the operator lets through. `port` None: any."""

    name: str
    port: int | None = None


class AddressGuard:
    """`allow` are the operator's exceptions, `host[:port]`, from RUNWELL_CALLBACKS_ALLOW.

    An exception is for the host as URLs spell it: one for `localhost` is none for `127.0.0.1`, and
    one for an address is none for the names that resolve to it. Behind an allowed name any address
    is good. Raises `ValueError` for an entry that is no host.
    """

    def __init__(self, allow: Sequence[str] = (), resolve: Resolve | None = None) -> None:
        self._allowed = frozenset(map(parse_allowed, allow))
        self._resolve = resolve or resolve_by_system

    def check_shape(self, url: str) -> Target:
        """All that can be said about a URL without asking the network. Raises `AddressRefused`."""
        target, host = _parse(url)
        if self._allows(target):
            return target
        if host.own:
            raise AddressRefused(
                AddressFault.LOOPBACK,
                f"The callback URL points to this machine: {host.name[:80]!r}",
                _permission(target),
            )
        if host.address is not None and (what := denied(host.address)):
            raise _restricted(target, "is", what)
        return target

    async def resolve(self, url: str, timeout: float = RESOLVE_TIMEOUT) -> CheckedTarget:
        """Find the addresses of a URL and check every one, for a post that is made at once.

        `timeout` is in seconds. Raises `AddressRefused`; only UNRESOLVABLE may be another answer
        later.
        """
        target = self.check_shape(url)
        if target.literal:
            return CheckedTarget(target=target, addresses=(target.host,))
        answers = tuple(dict.fromkeys(await self._answers(target, timeout)))
        if not answers:
            raise _unresolvable(target, "has no address")
        if not self._allows(target):
            for answer in answers:
                if what := _denied_answer(answer):
                    raise _restricted(target, "resolves to", what)
        return CheckedTarget(target=target, addresses=answers)

    async def _answers(self, target: Target, timeout: float) -> Sequence[str]:
        try:
            async with asyncio.timeout(timeout):
                return await self._resolve(target.host, target.port)
        except TimeoutError as error:
            raise _unresolvable(target, f"was not resolved within {timeout:g} s") from error
        except (OSError, UnicodeError) as error:
            raise _unresolvable(target, "could not be resolved") from error

    def _allows(self, target: Target) -> bool:
        return not self._allowed.isdisjoint({AllowedHost(target.host), AllowedHost(target.host, target.port)})


async def resolve_by_system(host: str, port: int) -> list[str]:
    """Ask what the machine asks: hosts file, then DNS. Raises `OSError` for a name without address."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(where[0]) for _, _, _, _, where in found]


def parse_allowed(entry: str) -> AllowedHost:
    """One entry of RUNWELL_CALLBACKS_ALLOW: `host`, `host:port`, `[v6]` or `[v6]:port`.

    Raises `ValueError` with the entry and the fault.
    """
    text = entry.strip()
    found = _AUTHORITY.match(text)
    if found is None or found["port"] == "":
        raise ValueError(
            f"{SETTING}: {entry!r} is no host or host:port; IPv6 goes in brackets, as in [fd00::1]:8080"
        )
    try:
        host = parse_host(found["host"])
    except ValueError as error:
        raise ValueError(
            f"{SETTING}: the host of {entry!r} {error}; list hosts one by one, "
            "such as hooks.internal or 10.0.0.5:8080"
        ) from error
    if found["port"] is None:
        return AllowedHost(host.name)
    port = int(found["port"])
    if not 1 <= port <= 65535:
        raise ValueError(f"{SETTING}: {port} in {entry!r} is no port")
    return AllowedHost(host.name, port)


def _parse(url: str) -> tuple[Target, Host]:
    if len(url) > LONGEST_URL:
        _malformed(f"is longer than {LONGEST_URL} characters")
    if not url.isprintable() or " " in url or "\\" in url:
        # Readers of URLs drop, keep or turn each of these into something else.
        _malformed("holds whitespace, a backslash or an invisible character")
    found = _URL.match(url)
    scheme = found["scheme"].lower() if found else ""
    if found is None or scheme not in DEFAULT_PORTS:
        raise AddressRefused(
            AddressFault.SCHEME,
            "The callback URL does not begin with http:// or https://",
            "Give the whole URL, such as https://app.example.com/hooks.",
        )
    if found["slashes"] is None or not found["authority"]:
        _malformed("names no host")
    if "@" in found["authority"]:
        _malformed("holds a user name or password; the signature says who posts")
    parts = _AUTHORITY.match(found["authority"])
    if parts is None:
        _malformed("has a host and port that cannot be told apart")
    host, port = _host(parts["host"]), int(parts["port"] or DEFAULT_PORTS[scheme])
    if not 1 <= port <= 65535:
        _malformed(f"names port {port}, which is none")
    target = Target(
        scheme=scheme,
        host=host.name,
        port=port,
        path=found["path"] or "/",
        query=found["query"] or "",
        literal=host.address is not None,
    )
    return target, host


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _host(text: str) -> Host:
    try:
        return parse_host(text)
    except ValueError as error:
        raise AddressRefused(
            AddressFault.MALFORMED,
            f"The host of the callback URL {error}: {text[:80]!r}",
            "Give a name such as app.example.com, or a plain IP address.",
        ) from error


def _malformed(fault: str) -> NoReturn:
    raise AddressRefused(
        AddressFault.MALFORMED,
        f"The callback URL {fault}",
        "Give an absolute URL, percent-encoded where need be, such as https://app.example.com/hooks.",
    )


def _denied_answer(answer: str) -> str | None:
    try:
        return denied(ip_address(answer))
    except ValueError:
        return "something that is no IP address"


def _restricted(target: Target, how: str, what: str) -> AddressRefused:
    """Says what kind of address it is and not which: inner names are not looked up for strangers."""
    return AddressRefused(
        AddressFault.RESTRICTED,
        f"The host of the callback URL, {target.host[:80]!r}, {how} an address that is not posted to: {what}",
        _permission(target),
    )


def _unresolvable(target: Target, fault: str) -> AddressRefused:
    return AddressRefused(
        AddressFault.UNRESOLVABLE,
        f"The host of the callback URL, {target.host[:80]!r}, {fault}",
        "Check its spelling, and that the server's DNS knows the name.",
    )


def _permission(target: Target) -> str:
    return (
        "Give an address that is reachable from the public Internet. If this one is meant, an operator can "
        f"list {_bracketed(target.host)}:{target.port} in {SETTING}."
    )
