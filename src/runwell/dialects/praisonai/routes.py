"""The endpoints. Each is: parse, verb, render."""

from typing import Annotated

from fastapi import Header, Query, Request
from starlette.responses import Response

from runwell.dialects.exchange import Call, Reply, as_response
from runwell.dialects.praisonai import bodies, stream, submit
from runwell.dialects.praisonai.errors import JSON, VARY, BadStatus, JobComplete, JobNotComplete
from runwell.dialects.praisonai.jobs import Jobs, base_of, caller_of, jobs_of
from runwell.dialects.praisonai.load import Load
from runwell.dialects.praisonai.requests import JobSubmitRequest, session_label
from runwell.dialects.praisonai.words import JobStatus, job_status, run_statuses
from runwell.domain.errors import IllegalTransition, RunNotFound
from runwell.domain.principal import Scope
from runwell.domain.run import Run
from runwell.engine import control
from runwell.ports.store import RunFilter
from runwell.stream.poll import wait_until
from runwell.stream.presence import Attended

CANCEL_WAIT = 6.0
"""Seconds that a cancelled agent has to let go: the grace, and one for the commit."""
LAST_OFFSET = 2**62
"""Further pages are as empty as this one, and a database can count to it."""


class ReadJob:
    """GET /api/v1/runs/{job_id}, the route that is asked most. Served without the framework, but for web
    pages: whether those may read it is the app's to say."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def __call__(self, call: Call) -> Reply | None:
        if b"origin" in call.headers:
            return None
        caller = await self._jobs.admit(call.headers, Scope.RUNS_READ)
        reply = await self._jobs.status_reply(await self._jobs.find(caller.owner, call.param))
        reply.headers.append(VARY)
        return reply


async def submit_job(
    request: Request,
    body: JobSubmitRequest,
    idempotency_key: Annotated[str | None, Header(alias="Idempotency-Key")] = None,
) -> Response:
    """Submit a job.

    It is queued and durable when the answer comes. A known idempotency key answers with the job it
    made; `Idempotency-Mismatch: true` says that this was for another body.
    """
    base = base_of(request.scope, request.headers.get("host", ""))
    owner = caller_of(request).owner
    return as_response(await submit.submit_job(jobs_of(request), owner, body, idempotency_key, base))


async def list_jobs(
    request: Request,
    status: Annotated[str | None, Query(description="Filter by status")] = None,
    session_id: Annotated[str | None, Query(description="Filter by session ID")] = None,
    page: Annotated[int, Query(ge=1, description="Page number")] = 1,
    page_size: Annotated[int, Query(ge=1, le=100, description="Jobs per page")] = 20,
) -> Response:
    """List jobs, newest first. Runs that were made through other APIs are among them."""
    jobs, owner = jobs_of(request), caller_of(request).owner
    where = RunFilter(
        statuses=run_statuses(_status(status)) if status else frozenset(),
        label=session_label(session_id) if session_id else None,
    )
    runs, offset = jobs.core.store.runs, min((page - 1) * page_size, LAST_OFFSET)
    found = await runs.page(owner, where, before=None, after=None, limit=page_size, offset=offset)
    total = await runs.count(owner, where)
    listed = [await jobs.status_body(run) for run in found]
    return as_response(jobs.render.json(200, bodies.JobListResponse(listed, total, page, page_size)))


async def get_job_status(request: Request, job_id: str) -> Response:
    """Read a job: its status, its progress and its times."""
    jobs = jobs_of(request)
    return as_response(await jobs.status_reply(await jobs.find(caller_of(request).owner, job_id)))


async def get_job_result(request: Request, job_id: str) -> Response:
    """Read the result of a job that has ended, however it did."""
    jobs = jobs_of(request)
    run = await jobs.find(caller_of(request).owner, job_id)
    if not run.final:
        raise JobNotComplete(job_status(run.status))
    return as_response(jobs.render.result(run))


async def stream_job(request: Request, job_id: str) -> Response:
    """Watch a job by server-sent events, from its beginning.

    A viewer that comes back with `Last-Event-ID` sees what it has not seen.
    """
    call = Call.of(request, job_id)
    return as_response(await stream.watch(jobs_of(request), caller_of(request), job_id, call))


async def cancel_job(request: Request, job_id: str) -> Response:
    """Cancel a job.

    200: it is cancelled. 202: its agent does not let go yet; it will be cut off.
    """
    jobs, owner = jobs_of(request), caller_of(request).owner
    run = await jobs.find(owner, job_id)
    if not run.final:
        try:
            run = await control.cancel(jobs.core, owner, run.id, by=owner)
        except IllegalTransition:
            run = await jobs.find(owner, job_id)
        except RunNotFound:
            await jobs.find(owner, job_id)
        else:
            run = await _end_of(jobs, request, run)
            return as_response(await jobs.status_reply(run, 200 if run.final else 202))
    raise JobComplete(job_status(run.status))


async def _end_of(jobs: Jobs, request: Request, run: Run) -> Run:
    """The run when its attempt has let go, or as it is when the wait is over."""
    if run.final:
        return run
    core, closing = jobs.core, jobs.services.closing
    async with Attended(request.receive, closing, closing.polls):
        return await wait_until(
            core.store, core.signals, run.id, run.owner, lambda run: run.final, CANCEL_WAIT
        )
    return run


async def delete_job(request: Request, job_id: str) -> Response:
    """Delete a job that has ended, and free its idempotency key."""
    jobs, owner = jobs_of(request), caller_of(request).owner
    run = await jobs.find(owner, job_id)
    await control.delete(jobs.core, owner, run.id)
    return as_response(Reply(204, [JSON]))  # the original names a type for nothing, too


async def health_check(request: Request) -> Response:
    """The server is there, and its store answers. Open to everybody."""
    load: Load = request.app.state.load
    return as_response(await load.health())


async def get_stats(request: Request) -> Response:
    """How many jobs the caller has, and how much the server has to do."""
    load: Load = request.app.state.load
    return as_response(await load.stats(caller_of(request).owner))


def _status(text: str) -> JobStatus:
    try:
        return JobStatus(text)
    except ValueError as error:
        valid = [str(status) for status in JobStatus]
        raise BadStatus(f"Invalid status: {text[:200]}. Valid values: {valid}") from error
