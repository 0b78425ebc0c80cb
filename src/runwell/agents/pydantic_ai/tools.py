"""Functions decorated with `@agent(kind="tool")`, as tools of a model."""

import asyncio
from typing import Any

from pydantic_ai import RunContext, Tool
from pydantic_ai.exceptions import ModelRetry, UserError

from runwell.agents.python import PythonAgent
from runwell.domain.errors import InvalidInput
from runwell.ports.agent import Context


def tool_of(function: PythonAgent[..., Any]) -> Tool[Any]:
    """A tool with the function's name, description and schema. Wrong arguments go back to the model."""
    spec = function.spec
    if function.blocking and function.signature.takes_context:
        raise UserError(
            f"tool {spec.name!r} is a plain function that takes a context: make it `async def`, "
            "or leave the context out"
        )

    async def call(ctx: RunContext[Context], /, **arguments: Any) -> Any:
        try:
            inputs = function.signature.arguments(arguments)
        except InvalidInput as error:
            raise ModelRetry(error.message) from error
        if function.blocking:
            return await asyncio.to_thread(function.function, **inputs)
        return await function.call_with(ctx.deps, inputs)

    schema = function.signature.object_schema()
    return Tool.from_schema(call, spec.name, spec.description or None, schema, takes_ctx=True)
