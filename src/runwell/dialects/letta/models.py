"""Models on the wire: what the server is configured with, or its default agent. Never an empty list."""

import msgspec

from runwell.engine.core import Core

CONTEXT_WINDOW = 128_000


class ModelBody(msgspec.Struct, kw_only=True):
    model: str
    display_name: str
    model_endpoint_type: str = "openai"
    model_endpoint: str | None = None
    provider_name: str = "runwell"
    provider_category: str = "base"
    context_window: int = CONTEXT_WINDOW
    put_inner_thoughts_in_kwargs: bool = False
    handle: str
    max_tokens: int | None = None
    provider_type: str = "openai"
    name: str
    model_type: str = "llm"
    max_context_window: int = CONTEXT_WINDOW


def models_of(core: Core) -> list[ModelBody]:
    return [
        ModelBody(model=name.rpartition("/")[2], display_name=name, handle=name, name=name)
        for name in core.models.names(core.default_agent)
    ]
