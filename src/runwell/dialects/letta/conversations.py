"""Conversations: threads of one agent, in which one run works at a time."""

from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from runwell.dialects.letta import agents, ids
from runwell.dialects.letta.agents import Known
from runwell.dialects.letta.documents import everything
from runwell.dialects.letta.errors import invalid_argument, malformed_path_id, not_found
from runwell.dialects.letta.requests import CreateConversation, UpdateConversation
from runwell.dialects.letta.times import iso
from runwell.domain import json_gate
from runwell.domain.errors import InvalidId, ThreadNotFound
from runwell.domain.ids import parse_id
from runwell.domain.instant import Instant
from runwell.domain.json_gate import Json
from runwell.engine import threads
from runwell.engine.core import Core

SPACE = "letta.conversations"
DEFAULT = "default"
NO_AGENT = "Agent not found"
AGENT_PREFIX = "agent-"


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of a conversation, by its thread's id. `agent_id` is bare."""

    agent_id: str
    created_at: Instant
    updated_at: Instant
    last_message_at: Instant | None = None
    summary: str | None = None
    description: str | None = None
    model: str | None = None
    model_settings: dict[str, Any] | None = None
    context_window_limit: int | None = None
    hidden: bool | None = None
    archived_at: Instant | None = None


class Conversation(msgspec.Struct, kw_only=True):
    created_by_id: str
    last_updated_by_id: str
    created_at: str | None
    updated_at: str | None
    id: str
    agent_id: str
    summary: str | None
    description: str | None
    in_context_message_ids: list[str] = []
    isolated_block_ids: list[str] = []
    model: str | None
    model_settings: dict[str, Any] | None
    context_window_limit: int | None
    last_message_at: str | None
    archived: bool
    archived_at: str | None


_KEPT = msgspec.json.Decoder(Kept)


async def create(core: Core, owner: str, agent_id: str, wanted: CreateConversation) -> tuple[str, Kept]:
    """Raises a refusal (404) for an unknown agent."""
    await agents.find(core, owner, agent_id)
    now = core.clock.now()
    kept = Kept(
        agent_id=agent_id,
        created_at=now,
        updated_at=now,
        summary=wanted.summary,
        description=wanted.description,
        model=wanted.model,
        model_settings=wanted.model_settings,
        context_window_limit=wanted.context_window_limit,
        hidden=wanted.hidden,
    )
    thread = await threads.create(core, owner, title=wanted.summary)
    # A kill here leaves an empty thread that no conversation shows.
    await _put(core, owner, thread.id, kept)
    return thread.id, kept


async def find(core: Core, owner: str, thread_id: str) -> Kept:
    """Raises a refusal (404)."""
    document = await core.store.documents.get(owner, SPACE, thread_id)
    if document is None:
        raise not_found(f"Conversation not found with id='['{ids.conversation_id(thread_id)}']'")
    return _KEPT.decode(document)


async def update(core: Core, owner: str, thread_id: str, wanted: UpdateConversation) -> Kept:
    kept = await find(core, owner, thread_id)
    now = core.clock.now()
    changed = {
        name: value
        for name in ("summary", "description", "model", "model_settings", "context_window_limit", "hidden")
        if (value := getattr(wanted, name)) is not UNSET
    }
    if wanted.archived is not UNSET:
        changed["archived_at"] = (kept.archived_at or now) if wanted.archived else None
    kept = msgspec.structs.replace(kept, **changed, updated_at=now)
    await _put(core, owner, thread_id, kept)
    return kept


async def touch(core: Core, owner: str, thread_id: str) -> None:
    """A message came in. One that is deleted at this moment is left alone: the run is there already."""
    document = await core.store.documents.get(owner, SPACE, thread_id)
    if document is None:
        return
    kept = msgspec.structs.replace(_KEPT.decode(document), last_message_at=core.clock.now())
    await _put(core, owner, thread_id, kept)


async def delete(core: Core, owner: str, thread_id: str) -> None:
    """With its thread; its runs stay. Raises a refusal (404), and `ThreadBusy` while a run works in it."""
    await find(core, owner, thread_id)
    # A kill between the two leaves a document without a thread, which the next delete removes.
    with suppress(ThreadNotFound):
        await threads.delete(core, owner, thread_id)
    await core.store.documents.delete(owner, SPACE, thread_id)


async def all_of(core: Core, owner: str, agent_id: str | None, search: str | None) -> list[tuple[str, Kept]]:
    """Those of the agent, with `search` in their summary; oldest first. Hidden ones are not listed."""
    found = [(id, _KEPT.decode(document)) async for id, document in everything(core, owner, SPACE)]
    found.reverse()
    return [
        (id, kept)
        for id, kept in found
        if (agent_id is None or kept.agent_id == agent_id)
        and (search is None or search.lower() in (kept.summary or "").lower())
        and not kept.hidden
    ]


async def _put(core: Core, owner: str, thread_id: str, kept: Kept) -> None:
    document: Json = json_gate.encode(msgspec.to_builtins(kept))
    await core.store.documents.put(owner, SPACE, thread_id, document, core.clock.now())


class Place(NamedTuple):
    """Where a request talks: an agent, in one of its conversations or outside them."""

    agent: Known
    thread_id: str
    conversation: bool

    @property
    def name(self) -> str:
        """As errors name it."""
        if self.conversation:
            return f"conversation {ids.conversation_id(self.thread_id)}"
        return f"agent {ids.agent_id(self.agent.spec.id)}"


async def place_of(core: Core, owner: str, text: str, agent_id: str | None) -> Place:
    """What the path's conversation is: `conv-…`, `default` with an agent's id, or an agent's id alone.

    Raises `Faulty` (422) for anything else, a refusal (404) for what is not there.
    """
    if text == DEFAULT:
        if agent_id is None:
            raise invalid_argument("agent_id is required when using 'default' conversation")
        return await agent_place(core, owner, _agent(agent_id))
    try:
        id = parse_id(text)
    except InvalidId as error:
        raise malformed_path_id("conversation_id", text) from error
    if text.startswith(AGENT_PREFIX):
        return await agent_place(core, owner, id)
    kept = await find(core, owner, id)
    return Place(await agents.find(core, owner, kept.agent_id, NO_AGENT), id, True)


async def agent_place(core: Core, owner: str, agent_id: str) -> Place:
    """Outside all conversations. Raises a refusal (404)."""
    known = await agents.find(core, owner, agent_id, NO_AGENT)
    return Place(known, ids.default_thread(owner, agent_id), False)


def _agent(text: str) -> str:
    try:
        return parse_id(text)
    except InvalidId as error:
        raise malformed_path_id("agent_id", text) from error


def body_of(owner: str, thread_id: str, kept: Kept) -> Conversation:
    actor = ids.user_id(owner)
    return Conversation(
        created_by_id=actor,
        last_updated_by_id=actor,
        created_at=iso(kept.created_at),
        updated_at=iso(kept.updated_at),
        id=ids.conversation_id(thread_id),
        agent_id=ids.agent_id(kept.agent_id),
        summary=kept.summary,
        description=kept.description,
        model=kept.model,
        model_settings={"provider_type": "openai", **kept.model_settings} if kept.model_settings else None,
        context_window_limit=kept.context_window_limit,
        last_message_at=iso(kept.last_message_at),
        archived=kept.archived_at is not None,
        archived_at=iso(kept.archived_at),
    )
