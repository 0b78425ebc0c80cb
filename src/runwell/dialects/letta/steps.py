"""Steps: the turns of an agent. A step of ours of the kinds model and code is one of Letta's; a tool's
step belongs to the turn that called it, and what a run inherited is the earlier run's."""

from typing import Any, assert_never

import msgspec

from runwell.dialects.letta import ids
from runwell.dialects.letta.endings import stop_reason_of
from runwell.dialects.letta.ids import StepNotFound
from runwell.dialects.letta.origin import origin_of
from runwell.dialects.letta.runs import agent_of
from runwell.dialects.letta.times import iso, nanoseconds
from runwell.domain.ids import derived_id, spell_uuid
from runwell.domain.json_gate import decode
from runwell.domain.run import Run, RunStatus
from runwell.domain.step import Step, StepKind, StepStatus
from runwell.engine.core import Core

PROVIDER = "runwell"


class StepBody(msgspec.Struct, kw_only=True):
    id: str
    origin: str | None = None
    organization_id: str | None = None
    provider_id: str | None = None
    run_id: str
    agent_id: str
    provider_name: str = PROVIDER
    provider_category: str = "base"
    model: str | None
    model_handle: str | None
    model_endpoint: str | None
    context_window_limit: int | None = None
    completion_tokens: int
    prompt_tokens: int
    total_tokens: int
    cached_input_tokens: int | None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None
    completion_tokens_details: dict[str, int] | None
    prompt_tokens_details: dict[str, int] | None
    stop_reason: str | None
    tags: list[str] = []
    tid: str | None = None
    trace_id: str | None = None
    request_id: str | None = None
    messages: list[None] = []
    feedback: str | None = None
    project_id: str | None = None
    error_type: str | None
    error_data: dict[str, Any] | None
    status: str


class StepMetrics(msgspec.Struct, kw_only=True):
    id: str
    organization_id: str | None = None
    provider_id: str | None = None
    run_id: str
    agent_id: str
    step_start_ns: int
    llm_request_start_ns: int | None
    llm_request_ns: int | None
    tool_execution_ns: int | None
    step_ns: int | None
    base_template_id: str | None = None
    template_id: str | None = None
    project_id: str | None = None


class ProviderTrace(msgspec.Struct, kw_only=True):
    """What the model answered, as it was remembered; requests are not kept."""

    id: str
    request_json: dict[str, Any]
    response_json: dict[str, Any]
    step_id: str
    agent_id: str
    run_id: str
    call_type: str = "agent_step"
    source: str = PROVIDER
    created_at: str | None


class UsageBody(msgspec.Struct, kw_only=True):
    completion_tokens: int
    prompt_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, int] | None
    completion_tokens_details: dict[str, int] | None


async def turns_of(core: Core, run: Run) -> list[Step]:
    """The run's own steps that this API shows, in the order of their first start."""
    return [step for step in await core.store.steps.of(run.id) if is_turn(step)]


def is_turn(step: Step) -> bool:
    return step.kind is not StepKind.TOOL and not step.inherited


async def find(core: Core, owner: str, id: str, given: str) -> tuple[Run, Step]:
    """The step with this id (bare). Raises `StepNotFound`, which names it as it was `given`."""
    run = await ids.run_of(core, owner, id)
    number = ids.place_of(id).number
    for step in await turns_of(core, run) if run is not None else ():
        if ids.step_number(step.key) == number and run is not None:
            return run, step
    raise StepNotFound(given)


async def bodies_of(core: Core, run: Run) -> list[StepBody]:
    agent = ids.agent_id(await agent_of(core, run, origin_of(run)))
    steps = await turns_of(core, run)
    return [body_of(run, step, agent, last=step is steps[-1]) for step in steps]


def body_of(run: Run, step: Step, agent: str, *, last: bool) -> StepBody:
    used, model = step.usage, _model(run)
    return StepBody(
        id=ids.step_id(run.id, step.key),
        run_id=ids.run_id(run.id),
        agent_id=agent,
        model=model.get("model"),
        model_handle=model.get("model"),
        model_endpoint=model.get("base_url"),
        completion_tokens=used.output_tokens,
        prompt_tokens=used.input_tokens,
        total_tokens=used.input_tokens + used.output_tokens,
        cached_input_tokens=used.cached_tokens or None,
        reasoning_tokens=used.reasoning_tokens or None,
        completion_tokens_details=_reasoning(used.reasoning_tokens),
        prompt_tokens_details=_cached(used.cached_tokens),
        stop_reason=stop_reason_of(run) if last else None,
        error_type=step.error.code if step.error is not None else None,
        error_data=None
        if step.error is None
        else {"message": step.error.message, "traceback": step.error.trace, "details": None},
        status=_status(run, step),
    )


def usage_of(run: Run) -> UsageBody:
    used = run.usage
    return UsageBody(
        completion_tokens=used.output_tokens,
        prompt_tokens=used.input_tokens,
        total_tokens=used.input_tokens + used.output_tokens,
        prompt_tokens_details=_cached(used.cached_tokens),
        completion_tokens_details=_reasoning(used.reasoning_tokens),
    )


async def metrics_of(core: Core, run: Run, step: Step) -> StepMetrics:
    took = nanoseconds(step.started_at, step.finished_at)
    model = step.kind is StepKind.MODEL
    return StepMetrics(
        id=ids.step_id(run.id, step.key),
        run_id=ids.run_id(run.id),
        agent_id=ids.agent_id(await agent_of(core, run, origin_of(run))),
        step_start_ns=step.started_at * 1_000,
        llm_request_start_ns=step.started_at * 1_000 if model else None,
        llm_request_ns=took if model else None,
        tool_execution_ns=None if model else took,
        step_ns=took,
    )


async def trace_of(core: Core, run: Run, step: Step) -> ProviderTrace | None:
    """None for what is no request to a model, or has not been answered."""
    if step.kind is not StepKind.MODEL or step.output is None:
        return None
    output = decode(step.output)
    spelled = ids.step_id(run.id, step.key)
    return ProviderTrace(
        id=f"provider_trace-{spell_uuid(derived_id(run.id, 'trace', step.key))}",
        request_json={},
        response_json=output if isinstance(output, dict) else {"output": output},
        step_id=spelled,
        agent_id=ids.agent_id(await agent_of(core, run, origin_of(run))),
        run_id=ids.run_id(run.id),
        created_at=iso(step.finished_at),
    )


def spans_of(run: Run, steps: list[Step]) -> list[dict[str, Any]]:
    """The run and its steps, tools too, as spans of a trace."""
    root = spell_uuid(run.id)
    ended = run.finished_at
    spans = [_span(run, "agent_step", root, None, run.created_at, ended, run.status.value)]
    spans += [
        {
            **_span(
                run, step.name, _span_id(run, step.key),
                _span_id(run, step.parent) if step.parent is not None else root,
                step.started_at, step.finished_at, step.status.value,
            ),
            "kind": step.kind.value,
        }
        for step in steps
    ]  # fmt: skip
    return spans


def _span(
    run: Run, name: str, id: str, parent: str | None, start: int, end: int | None, status: str
) -> dict[str, Any]:
    return {
        "trace_id": spell_uuid(run.id),
        "span_id": id,
        "parent_span_id": parent,
        "span_name": name,
        "run_id": ids.run_id(run.id),
        "timestamp": iso(start),
        "start_time_unix_nano": start * 1_000,
        "duration_ns": nanoseconds(start, end),
        "status_code": status,
    }


def _span_id(run: Run, key: str) -> str:
    return ids.step_id(run.id, key).removeprefix("step-")


def _status(run: Run, step: Step) -> str:
    """A step that nobody works on any more ended as its run did."""
    match step.status:
        case StepStatus.FINISHED:
            return "success"
        case StepStatus.FAILED:
            return "failed"
        case StepStatus.RUNNING:
            if run.status is RunStatus.CANCELLED:
                return "cancelled"
            return "failed" if run.final else "pending"
    assert_never(step.status)


def _model(run: Run) -> dict[str, Any]:
    """The definition that is frozen on the run of an agent without code."""
    definition: dict[str, Any] = decode(run.definition) if run.definition is not None else {}
    return definition


def _cached(tokens: int) -> dict[str, int] | None:
    return {"cached_tokens": tokens, "cache_read_tokens": tokens} if tokens else None


def _reasoning(tokens: int) -> dict[str, int] | None:
    return {"reasoning_tokens": tokens} if tokens else None
