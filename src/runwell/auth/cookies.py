"""The cookie that holds a session's token: writing `Set-Cookie`, reading `Cookie`. Pure.

Over TLS the name begins with `__Host-`: browsers then take it only with `Secure`, `Path=/` and no
domain, so that neither a neighbouring host nor a page without TLS can plant one.
"""

import re

NAME = "runwell_session"
LONGEST = 512
"""Characters; a longer value is no token."""

_TOKEN = re.compile(r"[!#-+\--:<-\[\]-~]*\Z")
"""What may stand in a cookie's value (RFC 6265, section 4.1.1)."""
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")


def name_of(name: str = NAME, *, secure: bool) -> str:
    """The name that the browser sees. `secure`: the request came over TLS."""
    return f"__Host-{name}" if secure else name


def set_cookie(token: str, *, secure: bool, max_age: int | None, name: str = NAME) -> str:
    """The value of a `Set-Cookie` header. `max_age` is in seconds; None ends with the browser.

    Raises `ValueError` for a name or token that would break the header; it does not hold the token.
    """
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is no name for a cookie")
    if not _TOKEN.match(token) or len(token) > LONGEST:
        raise ValueError("this token cannot stand in a cookie")
    parts = [f"{name_of(name, secure=secure)}={token}", "Path=/", "HttpOnly", "SameSite=Lax"]
    if max_age is not None:
        parts.append(f"Max-Age={max_age}")
    if secure:
        parts.append("Secure")
    return "; ".join(parts)


def end_cookie(*, secure: bool, name: str = NAME) -> str:
    """The value of a `Set-Cookie` header that makes the browser forget it."""
    return set_cookie("", secure=secure, max_age=0, name=name)


def token_of(header: str | None, *, secure: bool, name: str = NAME) -> str | None:
    """The token in a `Cookie` header: that of the first cookie of the name. None when there is none,
    or none that could be a token.

    Over TLS only the `__Host-` one counts.
    """
    wanted = name_of(name, secure=secure)
    for pair in (header or "").split(";"):
        found, equals, value = pair.partition("=")
        if equals and found.strip(" \t") == wanted:
            token = _unquoted(value.strip(" \t"))
            return token if 0 < len(token) <= LONGEST and _TOKEN.match(token) else None
    return None


def _unquoted(value: str) -> str:
    quoted = len(value) >= 2 and value[0] == value[-1] == '"'
    return value[1:-1] if quoted else value
