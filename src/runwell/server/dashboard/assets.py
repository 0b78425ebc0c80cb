"""The files that the pages are made of: packed, kept in memory, under an address that names their state."""

import gzip
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from starlette.exceptions import HTTPException

from runwell.dialects.exchange import Call, Headers, Reply

MEDIA_TYPES = {
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
}
# The address changes with the content, so a browser need never ask again.
_KEPT = (b"cache-control", b"public, max-age=31536000, immutable")


class Asset(NamedTuple):
    media_type: bytes
    packed: bytes


class Assets:
    """Every file of the folder `assets`, by its path below it. Licences and notes are not served."""

    def __init__(self) -> None:
        self.files = _all()
        digest = hashlib.sha256()
        for name, asset in self.files.items():
            digest.update(name.encode() + b"\0" + asset.packed)
        self.build = digest.hexdigest()[:12]
        """Names this set of files: a page and its modules are always of one build."""

    def url(self, name: str) -> str:
        """Raises `KeyError` for a file that is not there."""
        self.files[name]
        return f"/ui/assets/{self.build}/{name}"

    async def serve(self, call: Call) -> Reply:
        """A file of this build. 404 for another one's: half a page of each would be worse."""
        build, _, name = call.scope["path"].removeprefix("/ui/assets/").partition("/")
        asset = self.files.get(name) if build == self.build else None
        if asset is None:
            raise HTTPException(404)
        headers: Headers = [(b"content-type", asset.media_type), _KEPT, (b"vary", b"accept-encoding")]
        if not _unpacks(call.headers.get(b"accept-encoding", b"")):
            return Reply(200, headers, gzip.decompress(asset.packed))
        return Reply(200, [*headers, (b"content-encoding", b"gzip")], asset.packed)


def _unpacks(accepted: bytes) -> bool:
    """Whether gzip is among what an `Accept-Encoding` names, and not as what it does not want."""
    for each in accepted.replace(b" ", b"").lower().split(b","):
        name, _, quality = each.partition(b";q=")
        if name == b"gzip":
            return not quality or bool(quality.strip(b"0."))
    return False


@cache
def _all() -> dict[str, Asset]:
    return dict(sorted(_read(files("runwell.server.dashboard").joinpath("assets"), "")))


def _read(folder: Traversable, prefix: str) -> Iterator[tuple[str, Asset]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _read(entry, f"{prefix}{entry.name}/")
            continue
        name = entry.name.removesuffix(".gz")
        media_type = MEDIA_TYPES.get("." + name.rpartition(".")[2])
        if media_type is not None:
            body = entry.read_bytes()
            # Without a time inside, so that the same files are the same build everywhere.
            packed = body if name != entry.name else gzip.compress(body, 9, mtime=0)
            yield prefix + name, Asset(media_type, packed)
