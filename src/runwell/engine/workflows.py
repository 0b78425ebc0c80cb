"""Workflows made through an API: checked, and frozen with all that a worker needs to do their steps."""

from collections.abc import Mapping

from msgspec.structs import replace

from runwell.domain.agent import AgentSpec, ModelAgent, WorkflowAgent, WorkflowStep
from runwell.domain.errors import AgentNotFound, InvalidInput
from runwell.domain.ids import new_id
from runwell.domain.json_gate import EMPTY
from runwell.domain.workflow import check_workflow
from runwell.engine.agents import check_model_key, free_name, put_freely, put_spec
from runwell.engine.core import Core

KIND = "workflow"


async def put_workflow(
    core: Core, owner: str, name: str, workflow: WorkflowAgent, description: str = ""
) -> tuple[AgentSpec, bool]:
    """Make or replace an owner's workflow; True when it is new. Live runs keep the steps they began with.

    Raises `InvalidInput` for a name or steps that cannot be, `Conflict` for the name of a code agent.
    """
    frozen = await frozen_workflow(core, owner, workflow)
    return await put_spec(core, owner, name, KIND, description, workflow=frozen)


async def make_workflow(
    core: Core,
    owner: str,
    *,
    name: str,
    workflow: WorkflowAgent,
    description: str = "",
    replaces: AgentSpec | None = None,
) -> AgentSpec:
    """A workflow of an API in which names may repeat: `name` is made fit and unique.

    `replaces` keeps its id and its name. Raises `InvalidInput` for steps that cannot be.
    """
    frozen = await frozen_workflow(core, owner, workflow)
    now = core.clock.now()
    spec = AgentSpec(
        id=replaces.id if replaces is not None else new_id(now),
        name=replaces.name if replaces is not None else await free_name(core, owner, name),
        kind=KIND,
        input_schema=EMPTY,
        description=description,
        owner=owner,
        workflow=frozen,
        created_at=replaces.created_at if replaces is not None else now,
    )
    return await put_freely(core, owner, spec, name)


async def frozen_workflow(core: Core, owner: str, workflow: WorkflowAgent) -> WorkflowAgent:
    """The workflow as a run carries it: each step names an agent in code, or has its model.

    An agent of the owner's own is frozen into the step. A step that names nobody is done by the
    workflow's model, else by the first of the operator's models, else by the default agent. Raises
    `InvalidInput` with the path: `$.steps[2].agent`.
    """
    check_workflow(workflow)
    if workflow.model is not None:
        check_model_key(core, workflow.model)
    known = {spec.name: spec for spec in await core.store.agents.all(owner)}
    otherwise = _otherwise(core, workflow)
    steps = []
    for place, step in enumerate(workflow.steps):
        path = f"$.steps[{place}]"
        frozen = _frozen_step(core, step, known, otherwise, path)
        _check_tools(frozen, known, path)
        steps.append(frozen)
    return replace(workflow, steps=tuple(steps))


def _otherwise(core: Core, workflow: WorkflowAgent) -> ModelAgent | str | None:
    """Who does what names nobody: a model, an agent in code by its name, or nobody."""
    if workflow.model is not None:
        return workflow.model
    specs = core.catalog.specs if core.catalog is not None else []
    default = next((spec for spec in specs if spec.workflow is None and spec.kind != "tool"), None)
    try:
        resolved = core.models.resolve(None, default)
    except AgentNotFound:
        return None
    return resolved if isinstance(resolved, ModelAgent) else resolved.served_by


def _frozen_step(
    core: Core,
    step: WorkflowStep,
    known: Mapping[str, AgentSpec],
    otherwise: ModelAgent | str | None,
    path: str,
) -> WorkflowStep:
    if step.model is not None:
        if step.agent is not None:
            raise InvalidInput(path, "names an agent and a model", "Leave one of them out.")
        check_model_key(core, step.model)
        return step
    if step.agent is not None:
        return _with_agent(step, step.agent, known, path)
    match otherwise:
        case ModelAgent():
            return replace(step, model=otherwise)
        case str():
            return replace(step, agent=otherwise)
        case None:
            raise InvalidInput(
                path,
                "names neither an agent nor a model, and this server has no default for it",
                "Give the step an `agent`, or the workflow a `model`.",
            )


def _with_agent(step: WorkflowStep, name: str, known: Mapping[str, AgentSpec], path: str) -> WorkflowStep:
    spec = known.get(name)
    if spec is None:
        names = ", ".join(sorted(known)) or "there is none"
        raise InvalidInput(f"{path}.agent", f"there is no agent {name[:80]!r}", f"Agents: {names}.")
    if spec.workflow is not None:
        raise InvalidInput(f"{path}.agent", f"{name!r} is a workflow itself", "Put its steps into this one.")
    if spec.owner is None:
        return step
    if spec.served_by is not None:
        return _with_agent(replace(step, agent=spec.served_by), spec.served_by, known, path)
    return replace(step, model=spec.definition)


def _check_tools(step: WorkflowStep, known: Mapping[str, AgentSpec], path: str) -> None:
    if step.tools and step.model is None:
        raise InvalidInput(
            f"{path}.tools",
            f"the agent {step.agent!r} does this step, and brings its own tools",
            "Tools are for steps that a model does: leave them out, or name a `model`.",
        )
    tools = {name for name, spec in known.items() if spec.kind == "tool"}
    for number, tool in enumerate(step.tools):
        if tool not in tools:
            names = ", ".join(sorted(tools)) or "there is none"
            raise InvalidInput(
                f"{path}.tools[{number}]", f"there is no tool {tool[:80]!r}", f"Tools now: {names}."
            )
