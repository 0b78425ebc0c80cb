"""A workflow as an `Agent`."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from runwell.agents.errors import CannotLoad
from runwell.agents.workflow.cast import Crew, Miscast, cast
from runwell.agents.workflow.driver import Driver
from runwell.agents.workflow.inputs import input_of
from runwell.domain.agent import AgentSpec, WorkflowAgent
from runwell.domain.ids import id_of_name
from runwell.domain.json_gate import EMPTY, Json, JsonValue
from runwell.domain.run import Reason
from runwell.domain.workflow import needs_of
from runwell.ports.agent import Agent, AgentFailed, Context, SyncContext

KIND = "workflow"


class WorkflowRunner:
    """An `Agent` made of a `WorkflowAgent` that `check_workflow` passed.

    `own` are agents that it brings along, by the id of the step they do; `crew` are those served here.
    """

    def __init__(
        self,
        name: str,
        definition: WorkflowAgent,
        *,
        description: str = "",
        retries: int = 0,
        timeout: float | None = None,
        concurrency: int | None = None,
        own: Mapping[str, Agent] | None = None,
        crew: Crew | None = None,
    ) -> None:
        self.name = name
        self.definition = definition
        self.description = description
        self.retries = retries
        self.timeout = timeout
        self.concurrency = concurrency
        self.own: Mapping[str, Agent] = own or {}
        self.crew = crew if crew is not None else Crew()
        self.blocking = False

    def __repr__(self) -> str:
        return f"<workflow {self.name!r} of {len(self.definition.steps)} steps>"

    @cached_property
    def spec(self) -> AgentSpec:
        """Also the moment to look at the types of the agents it brings along: raises what they raise."""
        for agent in self.own.values():
            _ = agent.spec
        return AgentSpec(
            id=id_of_name(self.name),
            name=self.name,
            kind=KIND,
            input_schema=self._input_schema(),
            description=self.description,
            retries=self.retries,
            timeout=self.timeout,
            concurrency=self.concurrency,
            workflow=self.definition,
        )

    def joined(self, crew: Crew) -> "WorkflowRunner":
        """The same agent, knowing who does its steps. Raises `CannotLoad` when somebody is missing."""
        joined = WorkflowRunner(
            self.name,
            self.definition,
            description=self.description,
            retries=self.retries,
            timeout=self.timeout,
            concurrency=self.concurrency,
            own=self.own,
            crew=crew,
        )
        try:
            cast(self.definition, self.own, crew)
        except Miscast as miscast:
            raise CannotLoad(f"workflow {self.name!r}: {miscast.fault}", miscast.hint) from miscast
        return joined

    def check_input(self, value: JsonValue) -> None:
        """Raise what the first steps would raise, those that wait for no other."""
        try:
            agents = cast(self.definition, self.own, self.crew)
        except Miscast:
            return  # whoever runs it may have them all
        needs = needs_of(self.definition)
        for step in self.definition.steps:
            if not needs[step.id]:
                agents[step.id].check_input(input_of(step, agents[step.id], value, ()))

    async def call(self, context: Context) -> Any:
        try:
            agents = cast(self.definition, self.own, self.crew)
        except Miscast as miscast:
            raise AgentFailed(Reason.ERROR, f"{miscast.fault}; {miscast.hint}") from miscast
        return await Driver(context, self.definition, agents).run()

    def call_blocking(self, context: SyncContext) -> Any:
        raise TypeError(f"agent {self.name!r} is async: call runs it")

    def _input_schema(self) -> Json:
        """That of the one first step, when it passes the run's input on as it is; else anything goes."""
        needs = needs_of(self.definition)
        first = [step for step in self.definition.steps if not needs[step.id]]
        if len(first) > 1 or first[0].prompt:
            return EMPTY
        try:
            return cast(self.definition, self.own, self.crew)[first[0].id].spec.input_schema
        except Miscast:
            return EMPTY  # not joined yet, or frozen on a run whose agents are served elsewhere
