"""Which model answers to which name: clients of other APIs name models as their makers do.

The operator's `[models.NAME]` tables say what a name means. A name that is not among them means the
first of them; where there is none at all, the default agent answers. So a list of models is never
empty, and a client that names a model always gets an answer.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from runwell.domain.agent import AgentSpec, ModelAgent, ServedBy
from runwell.domain.errors import AgentNotFound, Invalid


class _Table(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    model: str
    base_url: str | None = None
    api_key_env: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None


class Models:
    """The configured models by name, in the order of the settings: the first is the default."""

    def __init__(self, tables: Mapping[str, Any] | None = None) -> None:
        """Raises `Invalid` naming the table and the fault."""
        self._models = {name: _model(name, table) for name, table in (tables or {}).items()}

    def names(self, default: AgentSpec | None) -> list[str]:
        """What a client may choose from; the name of the default agent where nothing is configured."""
        if self._models:
            return list(self._models)
        return [default.name] if default is not None else []

    def resolve(self, name: str | None, default: AgentSpec | None) -> ModelAgent | ServedBy:
        """What runs for this name. Raises `AgentNotFound` for a server with neither model nor agent."""
        if self._models:
            known = self._models.get(name) if name is not None else None
            return known if known is not None else next(iter(self._models.values()))
        if default is None:
            raise AgentNotFound(name or "(the default one)")
        return ServedBy(default.name)


def _model(name: str, table: object) -> ModelAgent:
    try:
        read = msgspec.convert(table, _Table)
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(_Table))
        raise Invalid(f"[models.{name}]: {error}", f"It takes: {known}.") from error
    return ModelAgent(
        model=read.model,
        base_url=read.base_url,
        api_key_env=read.api_key_env,
        temperature=read.temperature,
        max_tokens=read.max_tokens,
    )
