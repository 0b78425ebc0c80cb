"""/v1/steps: the turns of agents."""

from fastapi import Request
from starlette.responses import Response

from runwell.dialects.letta import ids, reading, steps
from runwell.dialects.letta.errors import Faulty
from runwell.dialects.letta.letta import Letta, Reads, letta_of, path_id
from runwell.dialects.letta.openapi import ANY, Operation
from runwell.dialects.letta.origin import origin_of
from runwell.dialects.letta.paging import cut
from runwell.dialects.letta.routes.answers import answered
from runwell.dialects.letta.routes.parameters import (
    Cursor,
    Limit,
    Order,
    OrderBy,
    StepId,
    message_page,
    step_page,
)
from runwell.dialects.letta.runs import agent_of
from runwell.dialects.letta.steps import ProviderTrace, StepBody, StepMetrics
from runwell.domain.errors import AgentNotFound
from runwell.domain.instant import Instant, from_iso
from runwell.domain.run import Run
from runwell.domain.step import Step
from runwell.engine import agents
from runwell.ports.store import RunFilter


async def list_steps(
    request: Request,
    caller: Reads,
    before: Cursor = None,
    after: Cursor = None,
    limit: Limit = 50,
    order: Order = "desc",
    order_by: OrderBy = "created_at",
    start_date: str | None = None,
    end_date: str | None = None,
    model: str | None = None,
    agent_id: str | None = None,
) -> Response:
    """List steps of all runs. The dates are those of the runs."""
    letta = letta_of(request)
    name: str | None = None
    if agent_id is not None:
        id = ids.read(agent_id)
        try:
            name = (await agents.agent_by_id(letta.core, caller.owner, id or "")).name
        except AgentNotFound:
            return answered([])
    where = RunFilter(agent=name, since=_time("start_date", start_date), until=_time("end_date", end_date))
    page = step_page(order, limit, before, after)
    return answered(await reading.page_of_steps(letta.core, caller.owner, where, page, model))


async def retrieve_step(request: Request, step_id: StepId, caller: Reads) -> Response:
    """Read a step."""
    letta, run, step = await _found(request, step_id, caller.owner)
    agent = ids.agent_id(await agent_of(letta.core, run, origin_of(run)))
    last = (await steps.turns_of(letta.core, run))[-1].key == step.key
    return answered(steps.body_of(run, step, agent, last=last))


async def read_step_metrics(request: Request, step_id: StepId, caller: Reads) -> Response:
    """Read how long a step took."""
    letta, run, step = await _found(request, step_id, caller.owner)
    return answered(await steps.metrics_of(letta.core, run, step))


async def read_step_trace(request: Request, step_id: StepId, caller: Reads) -> Response:
    """Read what the model answered in a step."""
    letta, run, step = await _found(request, step_id, caller.owner)
    return answered(await steps.trace_of(letta.core, run, step))


async def list_step_messages(
    request: Request,
    step_id: StepId,
    caller: Reads,
    before: Cursor = None,
    after: Cursor = None,
    limit: Limit = 100,
    order: Order = "asc",
    order_by: OrderBy = "created_at",
) -> Response:
    """List what was said in a step."""
    letta, run, step = await _found(request, step_id, caller.owner)
    spelled = ids.step_id(run.id, step.key)
    told = [each for each in await reading.run_messages(letta.core, run) if each.step_id == spelled]
    return answered(cut(told, reading.bare, message_page(order, limit, before, after)))


async def _found(request: Request, step_id: str, owner: str) -> tuple[Letta, Run, Step]:
    letta = letta_of(request)
    return letta, *await steps.find(letta.core, owner, path_id("step_id", step_id), step_id)


def _time(name: str, text: str | None) -> Instant | None:
    if text is None:
        return None
    try:
        return from_iso(text)
    except ValueError as error:
        fault = {"type": "datetime_parsing", "loc": ("query", name), "msg": str(error), "input": text[:80]}
        raise Faulty([fault]) from error


_ONE = "/v1/steps/{step_id}"
OPERATIONS = (
    Operation("GET", "/v1/steps/", list_steps, StepBody, many=True, tag="steps"),
    Operation("GET", _ONE, retrieve_step, StepBody, tag="steps"),
    Operation("GET", f"{_ONE}/metrics", read_step_metrics, StepMetrics, tag="steps"),
    Operation("GET", f"{_ONE}/trace", read_step_trace, ProviderTrace, tag="steps"),
    Operation("GET", f"{_ONE}/messages", list_step_messages, ANY, tag="steps"),
)
