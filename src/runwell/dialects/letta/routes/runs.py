"""/v1/runs: look, list, watch, delete."""

from typing import Annotated, Literal

from fastapi import Query, Request
from starlette.responses import Response

from runwell.dialects.exchange import Call, as_response
from runwell.dialects.letta import ids, reading, requests, steps
from runwell.dialects.letta.conversations import DEFAULT
from runwell.dialects.letta.endings import STOP_REASONS
from runwell.dialects.letta.errors import not_found
from runwell.dialects.letta.frames import View
from runwell.dialects.letta.letta import Letta, Reads, Writes, letta_of, run_id_of
from runwell.dialects.letta.listing import Wanted, runs_of, statuses_of
from runwell.dialects.letta.openapi import ANY, STREAM, Operation
from runwell.dialects.letta.paging import cut, page_of
from runwell.dialects.letta.routes.answers import answered
from runwell.dialects.letta.routes.parameters import (
    Cursor,
    Limit,
    Order,
    OrderBy,
    RunId,
    message_page,
    step_page,
)
from runwell.dialects.letta.runs import RunBody
from runwell.dialects.letta.status import ReadRun
from runwell.dialects.letta.steps import StepBody, UsageBody
from runwell.dialects.letta.streams import stream_of
from runwell.domain.errors import AgentNotFound, RunNotFound
from runwell.domain.run import Run
from runwell.engine import agents, control
from runwell.engine import read as engine_read

StopReason = Literal[STOP_REASONS]  # type: ignore[valid-type]


async def list_runs(
    request: Request,
    caller: Reads,
    agent_id: str | None = None,
    agent_ids: Annotated[list[str] | None, Query(deprecated=True)] = None,
    statuses: Annotated[list[str] | None, Query()] = None,
    background: bool | None = None,
    stop_reason: StopReason | None = None,
    conversation_id: str | None = None,
    before: Cursor = None,
    after: Cursor = None,
    limit: Annotated[int | None, Query(ge=1, le=1000)] = 100,
    order: Order = "desc",
    order_by: OrderBy = "created_at",
    active: bool = False,
    ascending: Annotated[bool, Query(deprecated=True)] = False,
) -> Response:
    """List runs.

    A cursor that is no run is passed over.
    """
    letta, owner = letta_of(request), caller.owner
    named = [agent_id] if agent_id is not None else agent_ids
    names = await _names(letta, owner, named) if named is not None else None
    thread = await _thread(owner, conversation_id, agent_id)
    chosen = statuses_of(statuses, active)
    if names == () or (conversation_id is not None and thread is None):
        return answered([])
    wanted = Wanted(names, chosen, stop_reason, background, thread)
    page = page_of(
        "asc" if ascending else order, limit,
        await _known(letta, owner, before), await _known(letta, owner, after),
    )  # fmt: skip
    found = await runs_of(letta.core, owner, wanted, page)
    return answered([await letta.render.run(run) for run in found])


async def list_active_runs(
    request: Request, caller: Reads, agent_id: str | None = None, background: bool | None = None
) -> Response:
    """List runs that have not ended."""
    letta, owner = letta_of(request), caller.owner
    names = await _names(letta, owner, [agent_id]) if agent_id is not None else None
    if names == ():
        return answered([])
    wanted = Wanted(names, statuses_of(None, True), None, background)
    found = await runs_of(letta.core, owner, wanted, page_of("desc", 100, None, None))
    return answered([await letta.render.run(run) for run in found])


async def retrieve_run(request: Request, run_id: RunId) -> Response:
    """Read a run."""
    return as_response(await ReadRun(letta_of(request))(Call.of(request, run_id)))


async def delete_run(request: Request, run_id: RunId, caller: Writes) -> Response:
    """Delete a run that has ended, with its log and its steps."""
    letta = letta_of(request)
    run = await _run(letta, caller.owner, run_id)
    shown = await letta.render.run(run)
    await control.delete(letta.core, caller.owner, run.id)
    return answered(shown)


async def list_run_messages(
    request: Request,
    run_id: RunId,
    caller: Reads,
    before: Cursor = None,
    after: Cursor = None,
    limit: Limit = 100,
    order: Order = "asc",
    order_by: OrderBy = "created_at",
) -> Response:
    """List a run's messages, those of its request first."""
    letta = letta_of(request)
    run = await _run(letta, caller.owner, run_id)
    page = message_page(order, limit, before, after)
    return answered(await reading.page_of_run(letta.core, run, page))


async def read_run_usage(request: Request, run_id: RunId, caller: Reads) -> Response:
    """Read what a run has consumed."""
    run = await _run(letta_of(request), caller.owner, run_id)
    return answered(steps.usage_of(run))


async def read_run_metrics(request: Request, run_id: RunId, caller: Reads) -> Response:
    """Read how long a run took."""
    letta = letta_of(request)
    try:
        run = await _run(letta, caller.owner, run_id)
    except RunNotFound as error:
        raise not_found(f"RunMetrics not found with id='['{run_id}']'") from error
    shown = await letta.render.run(run)
    return answered(
        {
            "id": shown.id,
            "organization_id": None,
            "agent_id": shown.agent_id,
            "project_id": None,
            "run_start_ns": run.created_at * 1_000,
            "run_ns": shown.total_duration_ns,
            "num_steps": len(await steps.turns_of(letta.core, run)),
            "tools_used": None,
            "template_id": None,
            "base_template_id": None,
        }
    )


async def list_run_steps(
    request: Request,
    run_id: RunId,
    caller: Reads,
    before: Cursor = None,
    after: Cursor = None,
    limit: Limit = 100,
    order: Order = "desc",
    order_by: OrderBy = "created_at",
) -> Response:
    """List a run's steps."""
    letta = letta_of(request)
    run = await _run(letta, caller.owner, run_id)
    page = step_page(order, limit, before, after)
    found = await steps.bodies_of(letta.core, run)
    known = {reading.bare(step) for step in found}
    for bare, given in ((page.before, before), (page.after, after)):
        if bare is not None and bare not in known:
            raise ids.StepNotFound(given or "")
    return answered(cut(found, reading.bare, page))


async def read_run_trace(
    request: Request, run_id: RunId, caller: Reads, limit: Annotated[int, Query(ge=1, le=5000)] = 1000
) -> Response:
    """Read a run as spans: itself and its steps, tools too."""
    letta = letta_of(request)
    run = await _run(letta, caller.owner, run_id)
    found = await letta.core.store.steps.of(run.id)
    return answered(steps.spans_of(run, found)[:limit])


async def stream_run(request: Request, run_id: RunId, caller: Reads) -> Response:
    """Watch a run, from its beginning or after a frame that was seen.

    Any run, also one that has ended or was not sent to be watched.
    """
    letta = letta_of(request)
    body = await request.body()
    run = await _run(letta, caller.owner, run_id)
    wanted = requests.parse(body, requests.RESUME, may_be_missing=True)
    view = View(max(wanted.starting_after, 0), True, wanted.include_pings is not False)
    return await stream_of(letta.services, caller, run, view)


async def _run(letta: Letta, owner: str, text: str) -> Run:
    return await engine_read.get(letta.core, owner, run_id_of(text))


async def _names(letta: Letta, owner: str, given: list[str]) -> tuple[str, ...]:
    """The names of the agents with these ids; unknown ones are left out."""
    names = []
    for text in given:
        id = ids.read(text)
        if id is None:
            continue
        try:
            names.append((await agents.agent_by_id(letta.core, owner, id)).name)
        except AgentNotFound:
            continue
    return tuple(names)


async def _thread(owner: str, conversation_id: str | None, agent_id: str | None) -> str | None:
    if conversation_id is None:
        return None
    if conversation_id == DEFAULT:
        agent = ids.read(agent_id) if agent_id is not None else None
        return ids.default_thread(owner, agent) if agent is not None else None
    return ids.read(conversation_id)


async def _known(letta: Letta, owner: str, cursor: str | None) -> str | None:
    """The run that a cursor names; None when there is none."""
    id = ids.read(cursor) if cursor is not None else None
    if id is None:
        return None
    try:
        return (await engine_read.get(letta.core, owner, id)).id
    except RunNotFound:
        return None


OPERATIONS = (
    Operation("GET", "/v1/runs/", list_runs, RunBody, many=True),
    Operation("GET", "/v1/runs/active", list_active_runs, RunBody, many=True),
    Operation("GET", "/v1/runs/{run_id}", retrieve_run, RunBody),
    Operation("DELETE", "/v1/runs/{run_id}", delete_run, RunBody),
    Operation("GET", "/v1/runs/{run_id}/messages", list_run_messages, ANY),
    Operation("GET", "/v1/runs/{run_id}/usage", read_run_usage, UsageBody),
    Operation("GET", "/v1/runs/{run_id}/metrics", read_run_metrics, ANY),
    Operation("GET", "/v1/runs/{run_id}/steps", list_run_steps, StepBody, many=True),
    Operation("GET", "/v1/runs/{run_id}/trace", read_run_trace, ANY),
    Operation(
        "POST", "/v1/runs/{run_id}/stream", stream_run, STREAM, body=requests.ResumeStream, streams=True
    ),
)
