"""Agents: everybody's, made in code, and an owner's own, made through an API."""

import re

from runwell.domain.agent import AgentSpec, ModelAgent
from runwell.domain.errors import AgentNotFound, Conflict, InvalidInput
from runwell.domain.ids import new_id
from runwell.engine.core import Core

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")


async def all_agents(core: Core, owner: str) -> list[AgentSpec]:
    return await core.store.agents.all(owner)


async def get_agent(core: Core, owner: str, name: str) -> AgentSpec:
    """Raises `AgentNotFound`."""
    spec = await core.store.agents.get(name, owner)
    if spec is None:
        known = await core.store.agents.all(owner)
        raise AgentNotFound(name, tuple(each.name for each in known))
    return spec


async def put_agent(
    core: Core, owner: str, name: str, definition: ModelAgent, description: str = ""
) -> tuple[AgentSpec, bool]:
    """Make or replace an owner's agent; True when it is new. Live runs keep the definition they began with.

    Raises `InvalidInput` for a name that cannot be one, `Conflict` for the name of a code agent.
    """
    if not _NAME.match(name):
        raise InvalidInput("$.name", "must be 1 to 100 letters, digits, dots, dashes or underscores")
    variable = definition.api_key_env
    if variable is not None and variable not in core.limits.model_keys:
        # Whoever names the address that a secret is sent to must not choose the secret.
        raise InvalidInput(
            "$.api_key_env",
            f"agents made through the API may not read the variable {variable[:80]!r}",
            "The operator allows it with RUNWELL_MODEL_KEYS.",
        )
    existing = await core.store.agents.get(name, owner)
    if existing is not None and existing.owner is None:
        raise Conflict(f"{name!r} is an agent made in code", "Choose another name.")
    now = core.clock.now()
    spec = AgentSpec(
        id=existing.id if existing is not None else new_id(now),
        name=name,
        kind="model",
        description=description,
        owner=owner,
        definition=definition,
        created_at=existing.created_at if existing is not None else now,
    )
    await core.store.agents.put(spec, now)
    return spec, existing is None


async def delete_agent(core: Core, owner: str, name: str) -> None:
    """Raises `AgentNotFound`, and `Conflict` for a code agent."""
    if await core.store.agents.delete(name, owner):
        return
    spec = await get_agent(core, owner, name)
    raise Conflict(f"{spec.name!r} is an agent made in code", "Stop serving it instead.")
