"""Whole pages: a nonce, a policy and a template. What is put into a template is escaped here."""

import secrets
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from typing import NamedTuple

import msgspec

from runwell.dialects.exchange import Headers, Reply
from runwell.server.dashboard.assets import Assets


class Place(NamedTuple):
    """An entry of the navigation. `key` is the letter that follows `g` on the keyboard."""

    path: str
    icon: str
    name: str
    key: str
    admin: bool = False


PLACES = (
    Place("/ui/", "runs", "Runs", "r"),
    Place("/ui/agents", "agents", "Agents", "a"),
    Place("/ui/threads", "threads", "Threads", "t"),
    Place("/ui/schedules", "schedules", "Schedules", "s"),
    Place("/ui/callbacks", "callbacks", "Callbacks", "c"),
    Place("/ui/workers", "workers", "Workers", "w", admin=True),
    Place("/ui/keys", "keys", "Keys", "k", admin=True),
    Place("/ui/users", "users", "Users", "u", admin=True),
)


class Shown(NamedTuple):
    """What a page of the dashboard is made of. `main` and `who` are HTML, `seed` is JSON."""

    title: str
    main: str
    who: str
    seed: bytes
    admin: bool
    current: str


class Pages:
    def __init__(self, assets: Assets) -> None:
        self._assets = assets
        folder = files("runwell.server.dashboard").joinpath("templates")
        self._page, self._plain, self._sign_in, self._symbols = (
            folder.joinpath(f"{name}.html").read_text(encoding="utf-8")
            for name in ("page", "plain", "sign_in", "symbols")
        )

    def page(self, status: int, shown: Shown, headers: Iterable[tuple[bytes, bytes]] = ()) -> Reply:
        """The shell around `shown.main`, with its scripts."""
        links = (_link(place, shown.current) for place in PLACES if shown.admin or not place.admin)
        values = {
            "main": shown.main,
            "who": shown.who,
            "links": "\n".join(links),
            "seed": _inert(shown.seed),
            "script": self._assets.url("app.js"),
        }
        return self._reply(status, self._page, shown.title, values, headers)

    def plain(self, status: int, title: str, main: str, headers: Headers | None = None) -> Reply:
        """A page without navigation and scripts. `main` is HTML."""
        return self._reply(status, self._plain, title, {"main": main}, headers or ())

    def sign_in(self, status: int, following: str, email: str = "", fault: str = "", hint: str = "") -> Reply:
        """The form; `fault` says why it is shown again."""
        told = f'<div class="fault" role="alert"><p>{escape(fault)}</p><p>{escape(hint)}</p></div>'
        values = {
            "fault": told if fault else "",
            "next": escape(following),
            "email": escape(email),
            "email_focus": "" if email else " autofocus",
            "password_focus": " autofocus" if email else "",
        }
        return self.plain(status, "Sign in", _fill(self._sign_in, values))

    def _reply(
        self,
        status: int,
        template: str,
        title: str,
        values: dict[str, str],
        headers: Iterable[tuple[bytes, bytes]],
    ) -> Reply:
        nonce = secrets.token_urlsafe(16)
        named = {
            **values,
            "title": escape(title),
            "icon": self._assets.url("icon.svg"),
            "style": self._assets.url("style.css"),
            "symbols": self._symbols,
            "nonce": nonce,
        }
        body = _fill(template, named).encode()
        return Reply(status, [*_headers(nonce), *headers], body)


def _headers(nonce: str) -> Headers:
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types dompurify runwell-chart; "
        "report-uri /ui/csp-reports"
    )
    return [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", policy.encode()),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ]


def _fill(template: str, values: dict[str, str]) -> str:
    """Each `{name}` of the template once: what a value brings in is not looked at again."""
    parts = template.split("{")
    filled = [parts[0]]
    for part in parts[1:]:
        name, closed, rest = part.partition("}")
        filled.append(values[name] + rest if closed and name in values else "{" + part)
    return "".join(filled)


def _inert(seed: bytes) -> str:
    """JSON that cannot end the element it stands in."""
    return seed.decode().replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _link(place: Place, current: str) -> str:
    here = ' aria-current="page"' if place.path == current else ""
    return (
        f'<li><a href="{place.path}" data-key="{place.key}"{here}>'
        f'<svg aria-hidden="true"><use href="#i-{place.icon}"></use></svg><span>{place.name}</span></a></li>'
    )


def seed_of(**values: object) -> bytes:
    """What a page begins with. A `msgspec.Raw` goes in as it is."""
    return msgspec.json.encode(values)
