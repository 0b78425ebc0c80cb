"""What a call can raise.

ApiError ............... the server answered with an error, or did not answer
├── NotFound ........... 404: no such run, agent, thread or key, or not yours
├── Conflict ........... 409: the request is right, the moment is not
├── Unauthenticated .... 401: no key, or a wrong one
├── RateLimited ........ 429
├── ServerUnavailable .. 502, 503, 504, for longer than the client's patience
└── ConnectionFailed ... no answer at all, for longer than the client's patience (status 0)
"""

from typing import Any

import msgspec


class ApiError(Exception):
    """`code` is stable and for machines; `message` and `hint` are for people.

    `details` are the further fields of the server's problem document, such as `path` or `run_id`.
    `retry_after` is in seconds, None when the server named no time.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        hint: str = "",
        *,
        details: dict[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{message} ({code})" if not hint else f"{message} ({code}). {hint}")
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.details = details or {}
        self.retry_after = retry_after


class NotFound(ApiError):
    pass


class Conflict(ApiError):
    pass


class Unauthenticated(ApiError):
    pass


class RateLimited(ApiError):
    pass


class ServerUnavailable(ApiError):
    pass


class ConnectionFailed(ApiError):
    """`sent` is False when the connection was never made, so nothing can have happened."""

    def __init__(self, base_url: str, why: str, *, sent: bool) -> None:
        what = "broke the connection" if sent else "cannot be reached"
        super().__init__(
            0,
            "connection_failed",
            f"{base_url} {what}: {why}",
            f"Is `runwell serve` running at {base_url}?",
        )
        self.sent = sent


_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthenticated,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
    502: ServerUnavailable,
    503: ServerUnavailable,
    504: ServerUnavailable,
}


def error_of(status: int, body: bytes, retry_after: float | None) -> ApiError:
    """The error behind an answer. Reads RFC 9457 problem documents; copes with anything else,
    because what answers may be a proxy."""
    make = _BY_STATUS.get(status, ApiError)
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = " ".join(body[:200].decode(errors="replace").split())
        return make(
            status,
            f"http_{status}",
            f"HTTP {status}: {said}" if said else f"HTTP {status}",
            retry_after=retry_after,
        )
    message = problem.get("detail") or problem.get("title") or f"HTTP {status}"
    details = {name: value for name, value in problem.items() if name not in _PROBLEM_FIELDS}
    return make(
        status,
        str(problem.get("code") or f"http_{status}"),
        str(message),
        str(problem.get("hint") or ""),
        details=details,
        retry_after=retry_after,
    )


_PROBLEM_FIELDS = frozenset({"type", "title", "status", "code", "detail", "hint"})
