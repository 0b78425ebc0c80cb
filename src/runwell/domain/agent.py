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
    `inline`: it came with the request of one run and is nobody's by name. `public_only`: whoever named
    `base_url` may not make the server reach its own network, so each connection's address is checked.
    """

    model: str
    instructions: str = ""
    base_url: str | None = None
    api_key_env: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    tools: tuple[str, ...] = ()
    inline: bool = False
    public_only: bool = False


class WorkflowStep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a workflow: what is to be done, by whom, and after which others.

    `agent` names who does it; without one it is `model`, else the workflow's own, else the agent that
    answers where a request names none. `model` beside `agent` is that agent as it was when the workflow
    was made. `tools` go to the model. `depends_on` None takes its place from the order of the steps, see
    `domain.workflow`.
    """

    id: str
    name: str
    prompt: str = ""
    agent: str | None = None
    model: ModelAgent | None = None
    tools: tuple[str, ...] = ()
    depends_on: tuple[str, ...] | None = None


class WorkflowAgent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An agent made of steps. `model` does those that name neither an agent nor a model."""

    steps: tuple[WorkflowStep, ...]
    model: ModelAgent | None = None


class ServedBy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The other kind of definition: an agent made through an API where no model is configured. The
    agent in code of this name answers for it."""

    served_by: str


class Refused(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request that nothing here can run, in an API that says so by a failed run and not by an error.

    The run fails as soon as it is claimed, with this sentence; `reason` is a `Reason`.
    """

    refused: str
    reason: str = "error"


Definition = ModelAgent | WorkflowAgent | ServedBy | Refused
"""What can be frozen on a run."""


def read_definition(definition: Json) -> Definition:
    """The definition behind a run's bytes. Raises `msgspec.ValidationError` for what is none."""
    fields = msgspec.json.decode(definition)
    kind: type[Definition] = ModelAgent
    if "served_by" in fields:
        kind = ServedBy
    elif "refused" in fields:
        kind = Refused
    elif "steps" in fields:
        kind = WorkflowAgent
    return msgspec.convert(fields, kind)


class AgentSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An agent's public face. `kind` names the adapter; `owner` None is everybody's (made in code).

    `retries` is how often an exception is tried again; a lost worker always is. `timeout` (s) and
    `concurrency` (runs at once) are this agent's defaults; None is no limit. With `served_by` it has no
    code and no model of its own: the agent in code of that name answers. `workflow` are its steps.
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
    workflow: WorkflowAgent | None = None
    created_at: Instant = 0
