"""What the server is and has: liveness, models, tools."""

from runwell.dialects.exchange import Call, Reply
from runwell.dialects.hardwire import bodies
from runwell.dialects.hardwire.errors import NO_TOOL, Failed, invalid
from runwell.dialects.hardwire.hardwire import Asked, Hardwire, json_reply
from runwell.dialects.hardwire.requests import query_of, uuid_of
from runwell.domain.agent import AgentSpec, ModelAgent
from runwell.engine import agents

OWN = "runwell"
"""The provider of what this server itself answers with."""


class ServerRoutes:
    def __init__(self, hardwire: Hardwire) -> None:
        self._core = hardwire.core
        self._wire = hardwire.wire

    async def liveness(self, call: Call) -> Reply:
        """Say that the server is there. Open to everybody."""
        return json_reply(self._wire.liveness(self._core.clock.now()))

    async def list_models(self, asked: Asked) -> Reply:
        """List what `modelId` may name. Any other name means the default agent."""
        names = self._core.models.names(self._core.default_agent)
        return json_reply(self._wire.models([self._model(name) for name in names]))

    async def list_tools(self, asked: Asked) -> Reply:
        """List the tools that steps can use."""
        return json_reply(self._wire.tools(await self._tools(asked)))

    async def search_tools(self, asked: Asked) -> Reply:
        """Find tools by what their name or description contains."""
        wanted = query_of(asked.call).get("q", "").strip().casefold()
        if not wanted:
            raise invalid("search tools", ['"query.q" is required'])
        found = [
            tool for tool in await self._tools(asked)
            if wanted in tool.name.casefold() or wanted in tool.description.casefold()
        ]  # fmt: skip
        return json_reply(self._wire.tools(found))

    async def get_tool(self, asked: Asked) -> Reply:
        """Read a tool, by its name or by its id."""
        wanted = asked.ids["toolId"]
        id = uuid_of(wanted)
        for tool in await self._tools(asked):
            if wanted == tool.name or id == tool.id:
                return json_reply(self._wire.tool(tool))
        raise Failed(NO_TOOL)

    async def _tools(self, asked: Asked) -> list[AgentSpec]:
        return [
            spec for spec in await agents.all_agents(self._core, asked.visit.owner) if spec.kind == "tool"
        ]

    def _model(self, name: str) -> bodies.Model:
        made = self._core.models.resolve(name, self._core.default_agent)
        provider, _, rest = made.model.partition(":") if isinstance(made, ModelAgent) else (OWN, "", "x")
        return bodies.Model(id=name, name=name, provider=provider if rest else OWN)
