"""The agents that this process can run: those in code, and those made of a model and instructions."""

from collections.abc import Iterable

import msgspec

from runwell.agents.errors import CannotLoad
from runwell.agents.model import ModelRunner
from runwell.agents.python import PythonAgent
from runwell.domain.agent import AgentSpec, ModelAgent
from runwell.domain.json_gate import Json
from runwell.ports.agent import Agent


class Catalog:
    """An `AgentCatalog`. The first agent that is no tool is the default, and first in `specs`.

    Raises `CannotLoad` for two agents of one name, and for a model agent whose tool is not there.
    """

    def __init__(self, agents: Iterable[Agent]) -> None:
        given = list(agents)
        self._tools = {
            one.spec.name: one for one in given if isinstance(one, PythonAgent) and one.spec.kind == "tool"
        }
        self._agents: dict[str, Agent] = {}
        for one in given:
            name = one.spec.name
            if name in self._agents:
                raise CannotLoad(
                    f"two agents are named {name!r}", "Rename one of them; names are how clients call them."
                )
            self._agents[name] = self._with_tools(one) if isinstance(one, ModelRunner) else one
        # Once: every submit asks for the first.
        self._specs = sorted(
            (one.spec for one in self._agents.values()), key=lambda spec: spec.kind == "tool"
        )

    def find(self, name: str, definition: Json | None) -> Agent | None:
        """The agent to run. A definition is frozen on its run, so it goes before the name."""
        if definition is None:
            return self._agents.get(name)
        served_by = msgspec.json.decode(definition).get("served_by")
        if served_by is not None:
            return self._agents.get(served_by)
        return ModelRunner(name, msgspec.json.decode(definition, type=ModelAgent), tools=self._tools)

    @property
    def specs(self) -> list[AgentSpec]:
        """All of them, tools last: a request that names no agent means the first."""
        return self._specs

    def _with_tools(self, agent: ModelRunner) -> ModelRunner:
        for tool in agent.definition.tools:
            if tool not in self._tools:
                known = ", ".join(self._tools) or "there is none"
                raise CannotLoad(
                    f"agent {agent.spec.name!r} uses the tool {tool!r}, which is not served",
                    f'Serve a function with @agent(kind="tool", name={tool!r}); tools now: {known}.',
                )
        return agent.with_tools(self._tools)
