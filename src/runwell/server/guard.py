"""Local mode's guard at the door: refuses before anything of the request is looked at."""

from functools import lru_cache

from starlette.types import Scope

from runwell.auth import local_mode
from runwell.domain.errors import Forbidden


class LocalGuard:
    """Remembers its latest verdicts: nearly all requests name the same host and the same origin."""

    def __init__(self, origins: frozenset[str]) -> None:
        self._origins = origins
        self._fault = lru_cache(maxsize=256)(self._judge_one)

    def check(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Raise `Forbidden` for a request that another machine or a foreign web page made."""
        if len(headers) == len(scope["headers"]):
            fault = self._fault(headers.get(b"host"), headers.get(b"origin"))
        else:
            fault = self._judge(*(_all(scope, name) for name in (b"host", b"origin")))
        if fault is not None:
            raise Forbidden(
                f"{fault}, and this server is in local mode",
                "Make a key with `runwell keys create` and start the server again to serve others.",
            )

    def _judge_one(self, host: bytes | None, origin: bytes | None) -> str | None:
        return self._judge([] if host is None else [host], [] if origin is None else [origin])

    def _judge(self, hosts: list[bytes], origins: list[bytes]) -> str | None:
        return local_mode.fault(
            [host.decode("latin-1") for host in hosts],
            [origin.decode("latin-1") for origin in origins],
            self._origins,
        )


def _all(scope: Scope, name: bytes) -> list[bytes]:
    """Every value of a header: some header of this request came twice."""
    return [value for header, value in scope["headers"] if header == name]
