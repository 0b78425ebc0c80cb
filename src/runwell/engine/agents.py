"""Agents: everybody's, made in code, and an owner's own, made through an API."""

import re
import secrets

from msgspec.structs import replace

from runwell.domain.agent import TEXT_INPUT, AgentSpec, ModelAgent, ServedBy, WorkflowAgent
from runwell.domain.errors import AgentNotFound, Conflict, InvalidInput
from runwell.domain.ids import new_id
from runwell.domain.json_gate import EMPTY
from runwell.engine.core import Core
from runwell.ports.store import RunFilter

MOST_COUNTED = 20
"""How many agents of one name are told apart by small numbers."""

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


async def agent_by_id(core: Core, owner: str, agent_id: str) -> AgentSpec:
    """Raises `AgentNotFound`."""
    spec = await core.store.agents.by_id(agent_id, owner)
    if spec is None:
        raise AgentNotFound(agent_id)
    return spec


async def make_agent(
    core: Core,
    owner: str,
    *,
    name: str,
    model: str | None,
    instructions: str,
    description: str = "",
    temperature: float | None = None,
    max_tokens: int | None = None,
    replaces: AgentSpec | None = None,
) -> AgentSpec:
    """An agent of an API in which names may repeat and models are called as their makers call them.

    `name` is made fit and unique. `model` is looked up in the settings; any name gets one, see
    `engine.models`. `replaces` keeps its id and its name.
    """
    now = core.clock.now()
    resolved = core.models.resolve(model, core.default_agent)
    definition = None
    if isinstance(resolved, ModelAgent):
        definition = replace(
            resolved,
            instructions=instructions,
            temperature=temperature if temperature is not None else resolved.temperature,
            max_tokens=max_tokens if max_tokens is not None else resolved.max_tokens,
        )
    spec = AgentSpec(
        id=replaces.id if replaces is not None else new_id(now),
        name=replaces.name if replaces is not None else await free_name(core, owner, name),
        kind="model",
        description=description,
        owner=owner,
        definition=definition,
        served_by=resolved.served_by if isinstance(resolved, ServedBy) else None,
        created_at=replaces.created_at if replaces is not None else now,
    )
    return await put_freely(core, owner, spec, name)


async def put_freely(core: Core, owner: str, spec: AgentSpec, wanted: str) -> AgentSpec:
    """Keep an agent under its name; when somebody was quicker to take that, under another like `wanted`."""
    while not await core.store.agents.put(spec, spec.created_at):
        spec = replace(spec, name=await free_name(core, owner, wanted))
    return spec


async def free_name(core: Core, owner: str, wanted: str) -> str:
    """`wanted` as a name of an agent, with a number behind it when it is taken.

    The name of an agent that was deleted is taken as long as there are runs of it: runs are listed and
    cancelled by the name, and those are not the new agent's.
    """
    fit = re.sub(r"[^A-Za-z0-9._-]+", "-", wanted).strip("-._")[:80] or "agent"
    name, count = fit, 1
    while await _taken(core, owner, name):
        count += 1
        # Counting on would ask a thousand times for the thousandth agent of a name.
        name = f"{fit}-{count}" if count <= MOST_COUNTED else f"{fit}-{secrets.token_hex(4)}"
    return name


async def _taken(core: Core, owner: str, name: str) -> bool:
    if await core.store.agents.get(name, owner) is not None:
        return True
    runs = await core.store.runs.page(owner, RunFilter(agent=name), before=None, after=None, limit=1)
    return bool(runs)


async def put_agent(
    core: Core, owner: str, name: str, definition: ModelAgent, description: str = ""
) -> tuple[AgentSpec, bool]:
    """Make or replace an owner's agent; True when it is new. Live runs keep the definition they began with.

    Raises `InvalidInput` for a name that cannot be one, `Conflict` for the name of a code agent.
    """
    check_model_key(core, definition)
    return await put_spec(core, owner, name, "model", description, definition=definition)


async def put_spec(
    core: Core,
    owner: str,
    name: str,
    kind: str,
    description: str,
    *,
    definition: ModelAgent | None = None,
    workflow: WorkflowAgent | None = None,
) -> tuple[AgentSpec, bool]:
    """Keep an agent under an owner's name. Raises as `put_agent` does for the name."""
    if not _NAME.match(name):
        raise InvalidInput("$.name", "must be 1 to 100 letters, digits, dots, dashes or underscores")
    existing = await core.store.agents.get(name, owner)
    if existing is not None and existing.owner is None:
        raise Conflict(f"{name!r} is an agent made in code", "Choose another name.")
    now = core.clock.now()
    spec = AgentSpec(
        id=existing.id if existing is not None else new_id(now),
        name=name,
        kind=kind,
        input_schema=TEXT_INPUT if workflow is None else EMPTY,
        description=description,
        owner=owner,
        definition=definition,
        workflow=workflow,
        created_at=existing.created_at if existing is not None else now,
    )
    if not await core.store.agents.put(spec, now):
        # Somebody made one of that name meanwhile: this one replaces it.
        return await put_spec(core, owner, name, kind, description, definition=definition, workflow=workflow)
    return spec, existing is None


def check_model_key(core: Core, definition: ModelAgent) -> None:
    """Raise `InvalidInput` for a key that agents made through an API may not read."""
    variable = definition.api_key_env
    if variable is not None and variable not in core.limits.model_keys:
        # Whoever names the address that a secret is sent to must not choose the secret.
        raise InvalidInput(
            "$.api_key_env",
            f"agents made through the API may not read the variable {variable[:80]!r}",
            "The operator allows it with RUNWELL_MODEL_KEYS.",
        )


async def delete_agent(core: Core, owner: str, name: str) -> None:
    """Raises `AgentNotFound`, and `Conflict` for a code agent."""
    if await core.store.agents.delete(name, owner):
        return
    spec = await get_agent(core, owner, name)
    raise Conflict(f"{spec.name!r} is an agent made in code", "Stop serving it instead.")
