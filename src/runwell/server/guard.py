"""Local mode's guard at the door: refuses before anything of the request is looked at."""

from functools import lru_cache

from starlette.types import Scope

from runwell.auth import local_mode
from runwell.domain.errors import Forbidden

_HEADERS = (b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode")


class LocalGuard:
    """Remembers its latest verdicts: nearly all requests name the same host and the same origin."""

    def __init__(self, origins: frozenset[str]) -> None:
        self._origins = origins
        self._fault = lru_cache(maxsize=256)(self._judge_one)
        self._own = lru_cache(maxsize=256)(local_mode.is_loopback_address)

    def check(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Raise `Forbidden` for a request that another machine or a foreign web page made."""
        client = scope.get("client")
        # Nobody else can connect, but a proxy on this machine may bring others, under a Host of its own.
        if client is not None and not self._own(client[0]):
            fault: str | None = f"A proxy says that {client[0][:100]!r} asks, which is not this machine"
        elif len(headers) == len(scope["headers"]):
            fault = self._fault(*(headers.get(name) for name in _HEADERS))
        else:
            fault = self._judge(*(_all(scope, name) for name in _HEADERS))
        if fault is not None:
            raise Forbidden(
                f"{fault}, and this server is in local mode",
                "Make a key with `runwell keys create` and start the server again to serve others.",
            )

    def _judge_one(self, *values: bytes | None) -> str | None:
        return self._judge(*([] if value is None else [value] for value in values))

    def _judge(self, *values: list[bytes]) -> str | None:
        hosts, origins, sites, modes = ([each.decode("latin-1") for each in given] for given in values)
        return local_mode.fault(hosts, origins, self._origins, sites, modes)


def _all(scope: Scope, name: bytes) -> list[bytes]:
    """Every value of a header: some header of this request came twice."""
    return [value for header, value in scope["headers"] if header == name]
