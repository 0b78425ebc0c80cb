"""/docs: the API's documentation as a page, and /openapi.json behind it. Works without a network."""

import gzip
from importlib.resources import files
from typing import Any

import msgspec
from starlette.exceptions import HTTPException

from runwell.dialects.dialect import Dialect
from runwell.dialects.exchange import Call, Headers, Reply
from runwell.server import health

_ASSETS = {
    "swagger-ui-bundle.js": b"text/javascript; charset=utf-8",
    "swagger-ui.css": b"text/css; charset=utf-8",
    "start.js": b"text/javascript; charset=utf-8",
}
GZIP = b"\x1f\x8b"
"""What packed files begin with."""
_PAGE_HEADERS: Headers = [
    (b"content-type", b"text/html; charset=utf-8"),
    # The page may ask this server and nobody else; its style sheet has pictures inside.
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
]
_PAGE = b"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Runwell API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/assets/start.js"></script>
</body>
</html>
"""


class Docs:
    """The page and its files."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    async def page(self, call: Call) -> Reply:
        return Reply(200, _PAGE_HEADERS, _PAGE)

    async def asset(self, call: Call) -> Reply:
        media_type = _ASSETS.get(call.param)
        if media_type is None:
            raise HTTPException(404)
        headers = [(b"content-type", media_type), (b"cache-control", b"public, max-age=3600")]
        body = self._read(call.param)
        if not body.startswith(GZIP):
            return Reply(200, headers, body)
        headers.append((b"vary", b"accept-encoding"))
        if b"gzip" not in call.headers.get(b"accept-encoding", b""):
            return Reply(200, headers, gzip.decompress(body))
        return Reply(200, [*headers, (b"content-encoding", b"gzip")], body)

    def _read(self, name: str) -> bytes:
        # Read when first asked for, and kept: files of the package do not change.
        if name not in self._files:
            folder = files("runwell.server").joinpath("assets", "swagger-ui")
            packed = folder.joinpath(f"{name}.gz")
            self._files[name] = (packed if packed.is_file() else folder.joinpath(name)).read_bytes()
        return self._files[name]


class OpenApi:
    """A dialect's document, made when it is first asked for. The native one at the root has the
    server's own routes too."""

    def __init__(self, dialect: Dialect, prefix: str, *, with_server: bool = False) -> None:
        self._dialect = dialect
        self._prefix = prefix
        self._with_server = with_server
        self._bytes: bytes | None = None

    async def __call__(self, call: Call) -> Reply:
        if self._bytes is None:
            self._bytes = msgspec.json.encode(self.document())
        return Reply(200, [(b"content-type", b"application/json")], self._bytes)

    def document(self) -> dict[str, Any]:
        document = dict(self._dialect.app.openapi())
        if self._prefix:
            document["servers"] = [{"url": self._prefix}]
        if self._with_server:
            document["paths"] = {**document["paths"], **health.documented()}
        return document
