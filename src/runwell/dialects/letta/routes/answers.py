"""JSON answers."""

from typing import Any

import msgspec
from starlette.responses import Response

from runwell.dialects.exchange import Reply, as_response
from runwell.dialects.letta.errors import JSON


def answered(body: Any) -> Response:
    """200 with this body."""
    return ready(msgspec.json.encode(body))


def ready(body: bytes) -> Response:
    return as_response(Reply(200, [JSON], body))
