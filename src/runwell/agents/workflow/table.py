"""Workflows of runwell.toml: `[agents.NAME]` with `[[agents.NAME.steps]]`."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from runwell.agents.errors import CannotLoad
from runwell.agents.model import is_workflow
from runwell.agents.python.function import check_settings
from runwell.agents.workflow.runner import WorkflowRunner
from runwell.domain.agent import ModelAgent, WorkflowAgent, WorkflowStep
from runwell.domain.errors import Invalid
from runwell.domain.workflow import check_workflow


class _StepTable(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`name` defaults to the id. `model` asks another model with the settings of the workflow's."""

    id: str
    name: str | None = None
    prompt: str = ""
    agent: str | None = None
    model: str | None = None
    tools: tuple[str, ...] = ()
    depends_on: tuple[str, ...] | None = None


class _Table(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`timeout` is in seconds, `concurrency` runs at once; the model does steps that name nobody."""

    steps: tuple[_StepTable, ...]
    description: str = ""
    retries: int = 0
    timeout: float | None = None
    concurrency: int | None = None
    model: str | None = None
    instructions: str = ""
    base_url: str | None = None
    api_key_env: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None


def workflow_agents(config: Mapping[str, Any]) -> list[WorkflowRunner]:
    """The workflows of a parsed runwell.toml. Raises `CannotLoad` naming the table and the fault."""
    tables = config.get("agents", {})
    return [_workflow(name, table) for name, table in tables.items() if is_workflow(table)]


def _workflow(name: str, table: object) -> WorkflowRunner:
    place = f"[agents.{name}]"
    try:
        read = msgspec.convert(table, _Table)
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(_Table))
        of_steps = ", ".join(field.name for field in msgspec.structs.fields(_StepTable))
        raise CannotLoad(f"{place}: {error}", f"It takes: {known}; a step: {of_steps}.") from error
    _check_settings(read, place)
    definition = _definition(read, place)
    try:
        check_settings(name, read.retries, read.timeout, read.concurrency)
        check_workflow(definition)
    except Invalid as error:
        raise CannotLoad(f"{place}: {error.message}", error.hint) from error
    except ValueError as error:
        raise CannotLoad(f"{place}: {error}", "Correct the setting, or leave it out.") from error
    return WorkflowRunner(
        name,
        definition,
        description=read.description,
        retries=read.retries,
        timeout=read.timeout,
        concurrency=read.concurrency,
    )


def _check_settings(read: _Table, place: str) -> None:
    """A setting that no model would get is refused: it would be forgotten in silence."""
    if read.model is not None or any(step.model is not None for step in read.steps):
        return
    for name in ("instructions", "base_url", "api_key_env", "temperature", "max_tokens"):
        if getattr(read, name) not in ("", None):
            raise CannotLoad(f"{place}: {name} is for a model, and none is named", "Name a `model`.")


def _definition(read: _Table, place: str) -> WorkflowAgent:
    settings = ModelAgent(
        model=read.model or "",
        instructions=read.instructions,
        base_url=read.base_url,
        api_key_env=read.api_key_env,
        temperature=read.temperature,
        max_tokens=read.max_tokens,
    )
    return WorkflowAgent(
        steps=tuple(_step(step, settings, place) for step in read.steps),
        model=settings if read.model else None,
    )


def _step(read: _StepTable, settings: ModelAgent, place: str) -> WorkflowStep:
    if read.agent is not None and read.model is not None:
        raise CannotLoad(f"{place}: step {read.id!r} names an agent and a model", "Leave one of them out.")
    return WorkflowStep(
        id=read.id,
        name=read.id if read.name is None else read.name,
        prompt=read.prompt,
        agent=read.agent,
        model=None if read.model is None else replace(settings, model=read.model),
        tools=read.tools,
        depends_on=read.depends_on,
    )
