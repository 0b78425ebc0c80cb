"""What the server knows of an agent: enough to list it, check an input and run it."""

import msgspec

from runwell.domain.instant import Instant
from runwell.domain.json_gate import Json

TEXT_INPUT = Json(b'{"type":"string"}')
"""The schema of an agent that takes a plain prompt."""


class ModelAgent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An agent without code: a model and instructions.

    `model` is a provider-prefixed name (`openai:gpt-5`, `anthropic:…`) or any name when `base_url`
    points at an OpenAI-compatible server. `api_key_env` names the environment variable that holds
    the key: the key itself is never stored. `tools` are names of agents served with kind `tool`.
    """

    model: str
    instructions: str = ""
    base_url: str | None = None
    api_key_env: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    tools: tuple[str, ...] = ()


class ServedBy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The other kind of definition: an agent made through an API where no model is configured. The
    agent in code of this name answers for it."""

    served_by: str


class AgentSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An agent's public face. `kind` names the adapter; `owner` None is everybody's (made in code).

    `retries` is how often an exception is tried again; a lost worker always is. `timeout` (s) and
    `concurrency` (runs at once) are this agent's defaults; None is no limit. With `served_by` it has no
    code and no model of its own: the agent in code of that name answers.
    """

    id: str
    name: str
    kind: str
    input_schema: Json = TEXT_INPUT
    output_schema: Json | None = None
    description: str = ""
    retries: int = 0
    timeout: float | None = None
    concurrency: int | None = None
    owner: str | None = None
    definition: ModelAgent | None = None
    served_by: str | None = None
    created_at: Instant = 0
