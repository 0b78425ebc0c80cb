"""Agents without code: a model and instructions, from the API or from `[agents.NAME]` in runwell.toml.

The model is reached through the pydantic_ai adapter, which is imported at the first run: a server
without such agents does not need the extra.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from runwell.agents.errors import CannotLoad
from runwell.agents.python import PythonAgent
from runwell.agents.python.function import NAME
from runwell.domain.agent import AgentSpec, ModelAgent
from runwell.domain.ids import id_of_name
from runwell.domain.json_gate import JsonValue
from runwell.domain.prompt import prompt_of
from runwell.domain.run import Reason
from runwell.ports.agent import AgentFailed, Context, Reach, SyncContext

KIND = "model"

Tools = Mapping[str, PythonAgent[..., Any]]


class ModelRunner:
    """An `Agent` made of a `ModelAgent`. `tools` are the functions served with kind `tool`, by name.
    `reach` finds the addresses for a definition that is `public_only`; without it such a one fails."""

    def __init__(
        self,
        name: str,
        definition: ModelAgent,
        *,
        description: str = "",
        timeout: float | None = None,
        concurrency: int | None = None,
        tools: Tools | None = None,
        reach: Reach | None = None,
    ) -> None:
        self.definition = definition
        self.reach = reach
        self.tools: Tools = tools or {}
        self.spec = AgentSpec(
            id=id_of_name(name),
            name=name,
            kind=KIND,
            description=description,
            timeout=timeout,
            concurrency=concurrency,
            definition=definition,
        )
        self.blocking = False

    def with_tools(self, tools: Tools) -> "ModelRunner":
        """The same agent, knowing which tools there are."""
        spec = self.spec
        return ModelRunner(
            spec.name,
            self.definition,
            description=spec.description,
            timeout=spec.timeout,
            concurrency=spec.concurrency,
            tools=tools,
        )

    def check_input(self, value: JsonValue) -> None:
        prompt_of(value)

    async def call(self, context: Context) -> Any:
        missing = [name for name in self.definition.tools if name not in self.tools]
        if missing:
            raise AgentFailed(
                Reason.ERROR,
                f"agent {self.spec.name!r} uses tools that this worker does not serve: {', '.join(missing)}; "
                'serve functions of these names with @agent(kind="tool")',
            )
        try:
            from runwell.agents.pydantic_ai import run_model_agent
        except ModuleNotFoundError as error:
            raise AgentFailed(
                Reason.ERROR,
                f"agent {self.spec.name!r} needs a model, and {error.name} is not installed: "
                "pip install 'runwell[pydantic-ai]'",
            ) from error
        return await run_model_agent(self, context)

    def call_blocking(self, context: SyncContext) -> Any:
        raise TypeError(f"agent {self.spec.name!r} is async: call runs it")


class _Table(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[agents.NAME]` in runwell.toml. `timeout` is in seconds, `concurrency` runs at once."""

    model: str
    instructions: str = ""
    description: str = ""
    base_url: str | None = None
    api_key_env: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    tools: tuple[str, ...] = ()
    timeout: float | None = None
    concurrency: int | None = None


def model_agents(config: Mapping[str, Any]) -> list[ModelRunner]:
    """The agents of a parsed runwell.toml, but for those of steps.

    Raises `CannotLoad` naming the table and the fault.
    """
    tables = config.get("agents", {})
    if not isinstance(tables, Mapping):
        raise CannotLoad("[agents] must be a table of tables", "Write [agents.NAME] with a model.")
    return [_model_agent(name, table) for name, table in tables.items() if not is_workflow(table)]


def is_workflow(table: object) -> bool:
    """Whether an `[agents.NAME]` table has steps: `workflow.table` reads those."""
    return isinstance(table, Mapping) and "steps" in table


def _model_agent(name: str, table: object) -> ModelRunner:
    if not NAME.match(name):
        raise CannotLoad(f"[agents.{name}]: {name!r} is no name for an agent", "Use letters, digits, _ . -")
    try:
        read = msgspec.convert(table, _Table)
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(_Table))
        raise CannotLoad(f"[agents.{name}]: {error}", f"It takes: {known}.") from error
    definition = ModelAgent(
        model=read.model,
        instructions=read.instructions,
        base_url=read.base_url,
        api_key_env=read.api_key_env,
        temperature=read.temperature,
        max_tokens=read.max_tokens,
        tools=read.tools,
    )
    return ModelRunner(
        name,
        definition,
        description=read.description,
        timeout=read.timeout,
        concurrency=read.concurrency,
    )
