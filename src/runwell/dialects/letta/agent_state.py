"""AgentState on the wire: the fields of Letta's server, in its order, nulls where we have nothing."""

from typing import Any

import msgspec

from runwell.dialects.letta import ids
from runwell.dialects.letta.agents import Block, Known
from runwell.dialects.letta.times import iso

AGENT_TYPE = "letta_v1_agent"
AGENT_TYPES = frozenset(
    {
        "memgpt_agent", "memgpt_v2_agent", "letta_v1_agent", "react_agent", "workflow_agent",
        "split_thread_agent", "sleeptime_agent", "voice_convo_agent", "voice_sleeptime_agent",
    }
)  # fmt: skip
CONTEXT_WINDOW = 128_000
"""What is told where nothing is known: clients want a number."""
BLOCK_LIMIT = 100_000


class LlmConfig(msgspec.Struct, kw_only=True):
    model: str
    display_name: str | None = None
    model_endpoint_type: str = "openai"
    model_endpoint: str | None = None
    provider_name: str = "runwell"
    provider_category: str = "base"
    model_wrapper: None = None
    context_window: int = CONTEXT_WINDOW
    put_inner_thoughts_in_kwargs: bool = False
    handle: str
    temperature: float | None = None
    max_tokens: int | None = None
    enable_reasoner: bool = False
    reasoning_effort: None = None
    max_reasoning_tokens: int = 0
    effort: None = None
    frequency_penalty: None = None
    compatibility_type: None = None
    verbosity: None = None
    tier: None = None
    parallel_tool_calls: bool = False
    response_format: None = None
    strict: bool = False
    return_logprobs: bool = False
    top_logprobs: None = None
    return_token_ids: bool = False
    tool_call_parser: None = None


class BlockBody(msgspec.Struct, kw_only=True):
    value: str
    limit: int
    project_id: None = None
    template_name: None = None
    is_template: bool = False
    template_id: None = None
    base_template_id: None = None
    deployment_id: None = None
    entity_id: None = None
    preserve_on_migration: bool = False
    label: str
    read_only: bool
    description: str | None
    metadata: dict[str, Any]
    hidden: None = None
    id: str
    created_by_id: None = None
    last_updated_by_id: None = None
    tags: list[str]


class Memory(msgspec.Struct, kw_only=True):
    agent_type: str
    git_enabled: bool = False
    blocks: list[BlockBody]
    file_blocks: list[None] = []
    prompt_template: str = ""


class AgentState(msgspec.Struct, kw_only=True):
    created_by_id: str | None
    last_updated_by_id: str | None
    created_at: str | None
    updated_at: str | None
    id: str
    name: str
    tool_rules: list[None] = []
    message_ids: list[str] = []
    system: str
    agent_type: str
    llm_config: LlmConfig
    embedding_config: None = None
    model: str
    embedding: None = None
    model_settings: dict[str, Any] | None
    compaction_settings: None = None
    response_format: None = None
    description: str | None
    metadata: dict[str, Any] | None
    memory: Memory
    blocks: list[BlockBody]
    tools: list[None] = []
    sources: list[None] = []
    tags: list[str]
    tool_exec_environment_variables: list[None] = []
    secrets: list[None] = []
    project_id: None = None
    template_id: None = None
    base_template_id: None = None
    deployment_id: None = None
    entity_id: None = None
    identity_ids: list[None] = []
    identities: list[None] = []
    pending_approval: None = None
    message_buffer_autoclear: bool = False
    enable_sleeptime: None = None
    multi_agent_group: None = None
    managed_group: None = None
    last_run_completion: None = None
    last_run_duration_ms: None = None
    last_stop_reason: None = None
    timezone: str = "UTC"
    max_files_open: int = 10
    per_file_view_window_char_limit: int = 25_000
    hidden: bool | None


def state_of(known: Known) -> AgentState:
    spec, kept = known.spec, known.kept
    definition = spec.definition
    actor = ids.user_id(spec.owner) if spec.owner is not None else None
    instructions = definition.instructions if definition is not None else ""
    handle = handle_of(known)
    blocks = [_block(block) for block in kept.blocks] if kept is not None else []
    agent_type = _type(kept.agent_type if kept is not None else None)
    return AgentState(
        created_by_id=actor,
        last_updated_by_id=actor,
        created_at=iso(spec.created_at) if spec.created_at else None,
        updated_at=iso(kept.updated_at) if kept is not None else None,
        id=ids.agent_id(spec.id),
        name=known.name,
        system=kept.system if kept is not None else instructions,
        agent_type=agent_type,
        llm_config=LlmConfig(
            model=handle.rpartition("/")[2],
            handle=handle,
            context_window=(kept.context_window if kept is not None else None) or CONTEXT_WINDOW,
            temperature=definition.temperature if definition is not None else None,
            max_tokens=definition.max_tokens if definition is not None else None,
        ),
        model=handle,
        model_settings=_settings(kept.model_settings if kept is not None else None),
        description=kept.description if kept is not None else spec.description or None,
        metadata=kept.metadata if kept is not None else None,
        memory=Memory(agent_type=agent_type, blocks=blocks),
        blocks=blocks,
        tags=list(known.tags),
        timezone=(kept.timezone if kept is not None else None) or "UTC",
        hidden=kept.hidden if kept is not None else None,
    )


def handle_of(known: Known) -> str:
    """The model as it was asked for; of an agent in code its own name."""
    if known.kept is not None and known.kept.model is not None:
        return known.kept.model
    definition = known.spec.definition
    return definition.model if definition is not None else known.spec.served_by or known.spec.name


def _type(given: str | None) -> str:
    return given if given in AGENT_TYPES else AGENT_TYPE


def _settings(given: dict[str, Any] | None) -> dict[str, Any] | None:
    """Clients tell the kinds of settings apart by the provider."""
    return None if given is None else {"provider_type": "openai", **given}


def _block(block: Block) -> BlockBody:
    return BlockBody(
        value=block.value,
        limit=block.limit if block.limit is not None else BLOCK_LIMIT,
        label=block.label,
        read_only=block.read_only,
        description=block.description,
        metadata=block.metadata,
        id=block.id,
        tags=block.tags,
    )
