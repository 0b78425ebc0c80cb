"""The agents that this process can run: those in code, those of a model, and those made of steps."""

from collections.abc import Iterable
from typing import assert_never

from runwell.agents.errors import CannotLoad
from runwell.agents.model import ModelRunner
from runwell.agents.python import PythonAgent
from runwell.agents.refusal import RefusingAgent
from runwell.agents.workflow.cast import Crew
from runwell.agents.workflow.runner import WorkflowRunner
from runwell.domain.agent import AgentSpec, ModelAgent, Refused, ServedBy, WorkflowAgent, read_definition
from runwell.domain.json_gate import Json
from runwell.ports.agent import Agent, Reach


class Catalog:
    """An `AgentCatalog`. The first agent that is no tool is the default, and first in `specs`.

    Raises `CannotLoad` for two agents of one name, for a model agent whose tool is not there, and for a
    workflow with a step that nobody here can do.
    """

    def __init__(self, agents: Iterable[Agent], reach: Reach | None = None) -> None:
        """`reach` is for agents made through the API, see `ModelRunner`."""
        given = list(agents)
        self._reach = reach
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
        self._crew = self._form_crew()
        for name, one in self._agents.items():
            if isinstance(one, WorkflowRunner):
                self._agents[name] = one.joined(self._crew)
        # Once: every submit asks for the first.
        self._specs = sorted(
            (one.spec for one in self._agents.values()), key=lambda spec: spec.kind == "tool"
        )

    def find(self, name: str, definition: Json | None) -> Agent | None:
        """The agent to run. A definition is frozen on its run, so it goes before the name."""
        if definition is None:
            return self._agents.get(name)
        match read_definition(definition):
            case ServedBy(served_by=served_by):
                return self._agents.get(served_by)
            case Refused() as refused:
                return RefusingAgent(name, refused)
            case ModelAgent() as made:
                return ModelRunner(name, made, tools=self._tools, reach=self._reach)
            case WorkflowAgent() as steps:
                return WorkflowRunner(name, steps, crew=self._crew)
            case never:
                assert_never(never)

    @property
    def specs(self) -> list[AgentSpec]:
        """All of them, tools last: a request that names no agent means the first."""
        return self._specs

    def _form_crew(self) -> Crew:
        """Who can do a workflow's steps: all but other workflows."""
        agents = {name: one for name, one in self._agents.items() if not isinstance(one, WorkflowRunner)}
        default = next((name for name, one in agents.items() if one.spec.kind != "tool"), None)
        return Crew(agents, self._tools, default, frozenset(self._agents.keys() - agents.keys()), self._reach)

    def _with_tools(self, agent: ModelRunner) -> ModelRunner:
        for tool in agent.definition.tools:
            if tool not in self._tools:
                known = ", ".join(self._tools) or "there is none"
                raise CannotLoad(
                    f"agent {agent.spec.name!r} uses the tool {tool!r}, which is not served",
                    f'Serve a function with @agent(kind="tool", name={tool!r}); tools now: {known}.',
                )
        return agent.with_tools(self._tools)
