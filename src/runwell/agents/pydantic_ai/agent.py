"""Runs a `pydantic_ai.Agent` in a `Context`."""

import types
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from pydantic import PydanticUserError
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic_ai import Agent, Tool
from pydantic_ai.capabilities import ReinjectSystemPrompt
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import UsageLimits

from runwell.agents.errors import CannotLoad
from runwell.agents.model import ModelRunner
from runwell.agents.pydantic_ai.durable import Durable
from runwell.agents.pydantic_ai.failures import told_as_facts
from runwell.agents.pydantic_ai.history import history_of
from runwell.agents.pydantic_ai.models import opened_model
from runwell.agents.pydantic_ai.tools import tool_of
from runwell.domain.agent import AgentSpec
from runwell.domain.ids import id_of_name
from runwell.domain.json_gate import Json, JsonValue, encode
from runwell.domain.prompt import prompt_of
from runwell.ports.agent import Context, SyncContext

KIND = "pydantic_ai"


class PydanticAgent:
    """An `Agent` around the user's `pydantic_ai.Agent`. Takes a prompt; a `Context` is its deps."""

    def __init__(self, wrapped: Agent[Any, Any], *, name: str) -> None:
        if wrapped.deps_type not in (object, types.NoneType, Any, Context):
            raise CannotLoad(
                f"agent {name!r} wants deps of type {wrapped.deps_type!r}, and Runwell passes its Context",
                "Use deps_type=runwell.Context, or call runwell.agents.pydantic_ai.run_agent(agent, ctx, "
                "prompt, deps=…) in an @agent function.",
            )
        self.wrapped = wrapped
        self.blocking = False
        self.spec = AgentSpec(
            id=id_of_name(name),
            name=name,
            kind=KIND,
            output_schema=_output_schema(wrapped),
            description=wrapped.description or "",
        )

    def check_input(self, value: JsonValue) -> None:
        prompt_of(value)

    async def call(self, context: Context) -> Any:
        return await run_agent(self.wrapped, context, prompt_of(context.input), history=_history(context))

    def call_blocking(self, context: SyncContext) -> Any:
        raise TypeError(f"agent {self.spec.name!r} is async: call runs it")


async def run_agent(
    agent: Agent[Any, Any],
    context: Context,
    prompt: str | None,
    *,
    deps: Any = None,
    history: Sequence[ModelMessage] = (),
    model: Model | str | None = None,
    usage_limits: UsageLimits | None = None,
) -> Any:
    """Run `agent` with durable model requests and tool calls; returns its output.

    For `@agent` functions that need deps of their own (the run's context unless given). Raises
    `AgentFailed` for what the model's API refuses; what tools raise comes through.
    """
    durable = Durable(context)
    try:
        with told_as_facts():
            result = await agent.run(
                prompt,
                deps=context if deps is None else deps,
                message_history=list(history) or None,
                model=model,
                usage_limits=usage_limits,
                capabilities=[durable, ReinjectSystemPrompt()],
                infer_name=False,
            )
    except BaseException:
        # Task groups on the way wrap it or turn it into a cancellation; the worker must see it as it was.
        if durable.suspended is not None:
            raise durable.suspended from None
        raise
    return result.output


async def run_model_agent(runner: ModelRunner, context: Context) -> Any:
    """Run an agent that is a model and instructions. Its connections are closed when it ends."""
    definition = runner.definition
    settings = ModelSettings()
    if definition.temperature is not None:
        settings["temperature"] = definition.temperature
    if definition.max_tokens is not None:
        settings["max_tokens"] = definition.max_tokens
    with told_as_facts():
        tools: list[Tool[Any]] = [tool_of(runner.tools[name]) for name in definition.tools]
    async with AsyncExitStack() as stack:
        with told_as_facts():
            model = await stack.enter_async_context(opened_model(definition, runner.reach))
        agent = Agent(
            model,
            name=runner.spec.name,
            instructions=definition.instructions or None,
            model_settings=settings,
            tools=tools,
        )
        prompt = prompt_of(context.input)
        return await run_agent(agent, context, prompt, history=_history(context))


def _history(context: Context) -> list[ModelMessage]:
    """What was said in the thread before this run's own input, which is the last message."""
    return history_of(context.messages[:-1])


def _output_schema(agent: Agent[Any, Any]) -> Json | None:
    try:
        return encode(agent.output_json_schema())
    except (PydanticUserError, PydanticInvalidForJsonSchema):
        return None
