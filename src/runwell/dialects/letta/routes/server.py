"""/v1/health and /v1/models: what clients ask of the server itself."""

from fastapi import Request
from starlette.responses import Response

from runwell.dialects.letta.letta import Reads, letta_of
from runwell.dialects.letta.models import ModelBody, models_of
from runwell.dialects.letta.openapi import ANY, Operation
from runwell.dialects.letta.routes.answers import answered

SPEAKS = "0.16.8"
"""The release of Letta's server whose API this is: clients read it as the server's version."""


async def check_health(request: Request) -> Response:
    """Say that the server is there. Wants no credential."""
    return answered({"version": SPEAKS, "status": "ok"})


async def list_models(request: Request, caller: Reads) -> Response:
    """List the models that an agent can be made with. Any other name means the first of them."""
    return answered(models_of(letta_of(request).core))


async def list_embedding_models(request: Request, caller: Reads) -> Response:
    """List embedding models: there is none."""
    return answered([])


OPERATIONS = (
    Operation("GET", "/v1/health/", check_health, ANY, tag="server"),
    Operation("GET", "/v1/models/", list_models, ModelBody, many=True, tag="server"),
    Operation("GET", "/v1/models/embedding", list_embedding_models, ANY, tag="server"),
)
