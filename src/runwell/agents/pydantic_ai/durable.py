"""A capability that makes each model request and each tool call of an agent a durable step.

The step's value is the whole `ModelResponse`, as PydanticAI writes it to JSON. What the model streams
is said while the step runs; in a later attempt the stored response is handed over, and nothing is
said, because the log has it already.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import TypeAdapter
from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
)
from pydantic_ai.models import CompletedStreamedResponse, Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool, WrapperToolset

from runwell.agents.pydantic_ai.approval import ask_for
from runwell.agents.pydantic_ai.consumption import Consumed, of_failure, of_response
from runwell.agents.pydantic_ai.outcome import plain, raised_again, recorded, storable
from runwell.domain.run import NO_USAGE
from runwell.domain.step import StepKind
from runwell.ports.agent import Context, Suspended

T = TypeVar("T")

ANSWER = "runwell_answer"
"""Beside the fields of a stored response: a random word, the same in every later attempt."""

_RESPONSE: TypeAdapter[ModelResponse] = TypeAdapter(ModelResponse)


@dataclass
class Durable(AbstractCapability[Any]):
    """For one run. Innermost: retries and guards of the user's own capabilities stay around it."""

    context: Context
    suspended: Suspended | None = field(default=None, init=False)
    """What unwound the agent: task groups on its way out may have wrapped it."""
    answer: str = field(default="", init=False)
    """The newest model response, told apart from all others of the run."""

    @classmethod
    def get_serialization_name(cls) -> str | None:
        return None

    def get_ordering(self) -> CapabilityOrdering:
        return CapabilityOrdering(position="innermost")

    def get_wrapper_model(self, model: Model) -> Model:
        return DurableModel(model, self)

    def get_wrapper_toolset(self, toolset: AbstractToolset[Any]) -> AbstractToolset[Any]:
        return DurableTools(toolset, self)

    async def handle_deferred_tool_calls(
        self, ctx: RunContext[Any], *, requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        """Called outside of every step, once for all calls of a response that wait for a person."""
        return await self.noticed(ask_for(self.context, requests, self.answer))

    async def noticed(self, call: Awaitable[T]) -> T:
        """Await `call`, and remember what unwinds it."""
        try:
            return await call
        except Suspended as suspended:
            self.suspended = suspended
            raise


class DurableModel(WrapperModel):
    """Asks the wrapped model in a step named `model`; requests of an agent come one after another."""

    def __init__(self, wrapped: Model, durable: Durable) -> None:
        super().__init__(wrapped)
        self._durable = durable
        self._context = durable.context

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        step: Awaitable[Any] = self._context.step(
            "model", self._ask, messages, model_settings, model_request_parameters, kind=StepKind.MODEL
        )
        stored = await self._durable.noticed(step)
        self._durable.answer = stored[ANSWER]
        return _RESPONSE.validate_python({name: stored[name] for name in stored if name != ANSWER})

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncIterator[StreamedResponse]:
        """For agents with an event handler of their own: it sees the finished response as events."""
        response = await self.request(messages, model_settings, model_request_parameters)
        yield CompletedStreamedResponse(
            response, model_request_parameters=model_request_parameters, replay_events=True
        )

    async def _ask(
        self, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> Any:
        _, prepared = self.wrapped.prepare_request(settings, parameters)
        # In these modes the text is a JSON document: it is the run's output, not prose to read along.
        silent = prepared.output_mode in ("native", "prompted")
        stream: StreamedResponse | None = None
        # Before the request: if the process dies while the model answers, it was asked all the same.
        await self._context.usage(model_calls=1, model=self.wrapped.model_name, asked=self._asked())
        try:
            try:
                async with self.wrapped.request_stream(messages, settings, parameters) as stream:
                    async for event in stream:
                        await self._say(event, silent)
                    response = stream.get()
            except NotImplementedError:
                if stream is not None:
                    raise
                response = await self._ask_whole(messages, settings, parameters, silent)
        except (Exception, asyncio.CancelledError) as error:
            # What was streamed is paid for, however it ended.
            await self._count(of_failure(stream, error))
            raise
        await self._count(of_response(response))
        document = storable(_RESPONSE.dump_python(response, mode="json"))
        return {**document, ANSWER: secrets.token_hex(4)}

    async def _count(self, requests: list[Consumed]) -> None:
        """One was counted as it began; more of them come from a chain of models."""
        for number, (usage, model) in enumerate(requests):
            if number or usage != NO_USAGE:
                await self._context.usage(usage, model=model, asked=self._asked(), model_calls=min(number, 1))

    def _asked(self) -> str | None:
        """The configured name of the model. A chain has many, and says which one answered."""
        return None if self.wrapped.system.startswith("fallback:") else self.wrapped.model_id

    async def _ask_whole(
        self,
        messages: list[ModelMessage],
        settings: ModelSettings | None,
        parameters: ModelRequestParameters,
        silent: bool,
    ) -> ModelResponse:
        """For models that cannot stream."""
        response = await self.wrapped.request(messages, settings, parameters)
        for index, part in enumerate(response.parts):
            await self._say(PartStartEvent(index=index, part=part), silent)
        return response

    async def _say(self, event: ModelResponseStreamEvent, silent: bool) -> None:
        match event:
            case PartStartEvent(part=TextPart(content=str(text))) if text and not silent:
                await self._context.text(text)
            case PartDeltaEvent(delta=TextPartDelta(content_delta=str(text))) if text and not silent:
                await self._context.text(text)
            case PartStartEvent(part=ThinkingPart(content=str(text))) if text:
                await self._context.reasoning(text)
            case PartDeltaEvent(delta=ThinkingPartDelta(content_delta=str(text))) if text:
                await self._context.reasoning(text)
            case _:  # tool calls are said when they are made
                return


@dataclass
class DurableTools(WrapperToolset[Any]):
    """Calls each tool in a step of its own; the key is the call's id in the stored response.

    Ids repeat: some servers number the calls of each response anew, and a call that a person approved
    comes twice. So the response's own word and the number of the use belong to the key.
    """

    durable: Durable
    _uses: Counter[str] = field(default_factory=Counter)

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        context = self.durable.context
        call_id = ctx.tool_call_id or name
        key = f"{name}:{call_id}:{self.durable.answer}"
        self._uses[key] += 1
        if self._uses[key] > 1:
            key = f"{key}#{self._uses[key]}"

        async def call() -> Any:
            await context.tool_called(name, plain(tool_args), call_id=call_id)
            await context.usage(tool_calls=1)
            try:
                outcome = await recorded(
                    name, super(DurableTools, self).call_tool(name, tool_args, ctx, tool)
                )
            except Exception as error:
                await context.tool_returned(call_id, plain(str(error)), name=name, failed=True)
                raise
            await context.tool_returned(call_id, outcome.shown, name=name, failed=outcome.failed)
            return outcome.stored

        step: Awaitable[Any] = context.step(name, call, key=key, kind=StepKind.TOOL)
        return raised_again(await self.durable.noticed(step))
