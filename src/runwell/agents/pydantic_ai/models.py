"""From an agent's definition to a model that can be asked."""

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import Any

import httpx2
from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from pydantic_ai.exceptions import UserError
from pydantic_ai.models import Model, infer_model
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers import Provider, infer_provider_class
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from runwell.agents.pydantic_ai.reaching import check_reach, checked_client
from runwell.domain.agent import ModelAgent
from runwell.ports.agent import Reach

PROVIDER = "openai-compatible"
MAX_RETRIES = 2
"""The client's own default, for connections, 408, 409, 429 and 5xx; written down so that it stays."""
TIMEOUT = httpx2.Timeout(300.0, connect=10.0, pool=10.0)
"""Seconds. A model may think for minutes before its next word."""
NO_KEY = "none"


@asynccontextmanager
async def opened_model(definition: ModelAgent, reach: Reach | None = None) -> AsyncIterator[Model]:
    """The model, with connections of its own that are closed at the end. `reach` finds the addresses of
    one that is `public_only`.

    Raises `UserError` for an unknown provider, a missing key and an address that may not be reached.
    """
    key = _key(definition)
    if definition.base_url is not None:
        if definition.public_only:
            reach = await check_reach(definition.base_url, reach)
            http_client = checked_client(reach, verify=_trusted(), timeout=TIMEOUT)
        else:
            http_client = DefaultAsyncHttpxClient(verify=_trusted(), timeout=TIMEOUT)
        async with _compatible(definition.model, definition.base_url, key, http_client) as model:
            yield model
        return
    if key is None:
        inferred = infer_model(definition.model)
    else:
        inferred = infer_model(definition.model, provider_factory=partial(_provider, key=key))
    async with inferred as model:
        yield model


def _key(definition: ModelAgent) -> str | None:
    name = definition.api_key_env
    if name is None:
        return None
    key = os.environ.get(name)
    if not key:
        raise UserError(f"the environment variable {name}, which holds the key of this model, is not set")
    return key


@asynccontextmanager
async def _compatible(
    name: str, base_url: str, key: str | None, http_client: httpx2.AsyncClient
) -> AsyncIterator[Model]:
    # The key is never left out: the client would send OPENAI_API_KEY to whatever base_url names.
    client = AsyncOpenAI(
        base_url=base_url,
        api_key=key or NO_KEY,
        max_retries=MAX_RETRIES,
        timeout=TIMEOUT,
        http_client=http_client,
    )
    for prefix in ("openai:", "openai-chat:"):
        name = name.removeprefix(prefix)
    async with client:
        yield OpenAIChatModel(name, provider=OpenAICompatibleProvider(PROVIDER, openai_client=client))


@cache
def _trusted() -> ssl.SSLContext:
    """Reading all certificates takes longer than a short run: they are read once."""
    return httpx2.create_ssl_context()


def _provider(name: str, *, key: str) -> Provider[Any]:
    return infer_provider_class(name)(api_key=key)  # type: ignore[call-arg]
