"""Agents: ordinary agents of the server, with what only Letta's clients know kept beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from runwell.dialects.letta import ids
from runwell.dialects.letta.documents import everything
from runwell.dialects.letta.errors import invalid_argument, not_found
from runwell.dialects.letta.requests import BlockIn, CreateAgent, UpdateAgent
from runwell.domain import json_gate
from runwell.domain.agent import AgentSpec
from runwell.domain.errors import AgentNotFound, ThreadBusy, ThreadNotFound
from runwell.domain.ids import derived_id, spell_uuid
from runwell.domain.instant import Instant
from runwell.engine import agents, threads
from runwell.engine.core import Core

SPACE = "letta.agents"
DEFAULT_NAME = "agent"
TOOL = "tool"


class Block(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    label: str
    value: str
    description: str | None = None
    limit: int | None = None
    read_only: bool = False
    metadata: dict[str, Any] = {}
    tags: list[str] = []


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept beside an agent. `name` is the display name, `model` the handle that was asked for."""

    name: str
    model: str | None = None
    system: str = ""
    blocks: tuple[Block, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] | None = None
    description: str | None = None
    model_settings: dict[str, Any] | None = None
    context_window: int | None = None
    agent_type: str | None = None
    timezone: str | None = None
    hidden: bool | None = None
    updated_at: Instant = 0


@dataclass(frozen=True, slots=True)
class Known:
    """An agent and what is kept beside it; None for one that was not made through this API."""

    spec: AgentSpec
    kept: Kept | None

    @property
    def name(self) -> str:
        return self.kept.name if self.kept is not None else self.spec.name

    @property
    def tags(self) -> tuple[str, ...]:
        return self.kept.tags if self.kept is not None else ()


_KEPT = msgspec.json.Decoder(Kept)


async def create(core: Core, owner: str, wanted: CreateAgent) -> Known:
    name = wanted.name or DEFAULT_NAME
    model = wanted.model or _handle(wanted.llm_config)
    blocks = tuple(
        _block(owner, name, place, block) for place, block in enumerate(wanted.memory_blocks or ())
    )
    kept = Kept(
        name=name,
        model=model,
        system=wanted.system or "",
        blocks=blocks,
        tags=tuple(dict.fromkeys(wanted.tags or ())),
        metadata=wanted.metadata,
        description=wanted.description,
        model_settings=wanted.model_settings,
        context_window=wanted.context_window_limit,
        agent_type=wanted.agent_type,
        timezone=wanted.timezone,
        hidden=wanted.hidden,
        updated_at=core.clock.now(),
    )
    return await _put(core, owner, kept, None)


async def update(core: Core, owner: str, agent_id: str, wanted: UpdateAgent) -> Known:
    """Raises a refusal (404) for an unknown agent, (400) for one made in code."""
    known = await find(core, owner, agent_id)
    if known.spec.owner is None:
        raise invalid_argument(f"Agent {known.name} is made in code. Change it there.")
    kept = known.kept or Kept(name=known.spec.name, system=_instructions_of(known.spec))
    given = {
        "name": wanted.name,
        "model": wanted.model or _handle(wanted.llm_config),
        "system": wanted.system,
        "tags": tuple(dict.fromkeys(wanted.tags)) if wanted.tags is not None else None,
        "metadata": wanted.metadata,
        "description": wanted.description,
        "model_settings": wanted.model_settings,
        "context_window": wanted.context_window_limit,
        "timezone": wanted.timezone,
        "hidden": wanted.hidden,
    }
    changed = {name: value for name, value in given.items() if value is not None}
    kept = msgspec.structs.replace(kept, **changed, updated_at=core.clock.now())
    return await _put(core, owner, kept, known.spec)


async def _put(core: Core, owner: str, kept: Kept, replaces: AgentSpec | None) -> Known:
    settings = kept.model_settings or {}
    temperature, most = settings.get("temperature"), settings.get("max_output_tokens")
    spec = await agents.make_agent(
        core,
        owner,
        name=kept.name,
        model=kept.model,
        instructions=instructions(kept),
        description=kept.description or "",
        temperature=float(temperature) if isinstance(temperature, int | float) else None,
        max_tokens=most if isinstance(most, int) and most > 0 else None,
        replaces=replaces,
    )
    # A kill here leaves an agent without what is kept beside it: it works, and is shown by its own name.
    document = json_gate.encode(msgspec.to_builtins(kept))
    await core.store.documents.put(owner, SPACE, spec.id, document, core.clock.now())
    return Known(spec, kept)


async def find(core: Core, owner: str, agent_id: str, sentence: str | None = None) -> Known:
    """Raises a refusal (404), which says `sentence`."""
    try:
        spec = await agents.agent_by_id(core, owner, agent_id)
    except AgentNotFound as error:
        raise not_found(sentence or f"Agent with ID {ids.agent_id(agent_id)} not found") from error
    document = await core.store.documents.get(owner, SPACE, agent_id)
    return Known(spec, _KEPT.decode(document) if document is not None else None)


async def all_of(core: Core, owner: str) -> list[Known]:
    """The oldest first; those in code come before all others, by name."""
    kept = {id: document async for id, document in everything(core, owner, SPACE)}
    found = [
        Known(spec, _KEPT.decode(kept[spec.id]) if spec.id in kept else None)
        for spec in await agents.all_agents(core, owner)
        if spec.kind != TOOL
    ]
    return sorted(found, key=lambda known: (known.spec.created_at, known.spec.id))


async def delete(core: Core, owner: str, agent_id: str) -> None:
    """Its default thread goes with it; its runs and its conversations stay. Raises a refusal (404) for
    an unknown agent, (400) for one made in code."""
    known = await find(core, owner, agent_id)
    if known.spec.owner is None:
        raise invalid_argument(f"Agent {known.name} is made in code. Stop serving it instead.")
    await agents.delete_agent(core, owner, known.spec.name)
    await core.store.documents.delete(owner, SPACE, agent_id)
    try:
        await threads.delete(core, owner, ids.default_thread(owner, agent_id))
    except (ThreadNotFound, ThreadBusy):
        return  # nothing was ever said to it, or a run still works there and keeps its thread


def chosen(
    found: Sequence[Known], name: str | None, query: str | None, tags: set[str], every: bool
) -> list[Known]:
    """Those with this display name, with `query` in it, and with any of the tags, or all."""
    kept = [known for known in found if name is None or known.name == name]
    if query:
        kept = [known for known in kept if query.lower() in known.name.lower()]
    if tags:
        kept = [known for known in kept if (tags <= set(known.tags) if every else tags & set(known.tags))]
    return kept


def instructions(kept: Kept) -> str:
    """What the model is told: the system prompt, and the memory blocks below it."""
    if not kept.blocks:
        return kept.system
    blocks = "\n".join(
        "\n".join(
            line for line in (f"<{block.label}>", block.description, block.value, f"</{block.label}>") if line
        )
        for block in kept.blocks
    )
    return f"{kept.system}\n\n<memory_blocks>\n{blocks}\n</memory_blocks>".strip()


def _instructions_of(spec: AgentSpec) -> str:
    return spec.definition.instructions if spec.definition is not None else ""


def _block(owner: str, agent: str, place: int, block: BlockIn) -> Block:
    return Block(
        id=f"block-{spell_uuid(derived_id('letta.block', owner, agent, place, block.label))}",
        label=block.label,
        value=block.value,
        description=block.description,
        limit=block.limit,
        read_only=bool(block.read_only),
        metadata=block.metadata or {},
        tags=block.tags or [],
    )


def _handle(llm_config: dict[str, Any] | None) -> str | None:
    """The model of the deprecated way to name one."""
    if llm_config is None:
        return None
    value = llm_config.get("handle") or llm_config.get("model")
    return value if isinstance(value, str) else None
