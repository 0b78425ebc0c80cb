"""/runs: submit, look, watch, answer, cancel, retry, delete."""

from typing import Annotated

from fastapi import Path, Query, Request
from starlette.responses import Response

from runwell.dialects.exchange import Call, Reply, as_response
from runwell.dialects.native import bodies, events, requests
from runwell.dialects.native.native import (
    AllOwners,
    OfOwner,
    ReadsRuns,
    WritesRuns,
    mount_of,
    native_of,
    whose,
)
from runwell.dialects.native.openapi import Answer, Operation, header
from runwell.dialects.native.overview import LONGEST_TEXT
from runwell.dialects.native.responses import PRIVATE
from runwell.dialects.native.status import ReadRun
from runwell.dialects.native.submit import LONGEST_KEY, PostRun, accepted
from runwell.domain.ids import parse_id
from runwell.domain.run import RunStatus
from runwell.engine import control, read

RunId = Annotated[
    str,
    Path(
        description="The run's id, in any dialect's spelling",
        json_schema_extra={"pattern": bodies.ANY_SPELLING},
    ),
]
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before")]
Time = Annotated[
    str | None, Query(description="RFC 3339, with an offset", json_schema_extra={"format": "date-time"})
]


async def create_run(request: Request) -> Response:
    """Submit a run.

    It is queued and durable when the answer comes. Sent again with the same `Idempotency-Key` and
    body it is the same run and the same answer.
    """
    return as_response(await PostRun(native_of(request))(Call.of(request)))


async def list_runs(
    request: Request,
    caller: ReadsRuns,
    status: Annotated[list[RunStatus], Query(description="Any of these")] = [],  # noqa: B006
    agent: Annotated[str | None, Query()] = None,
    thread_id: Annotated[str | None, Query(json_schema_extra={"pattern": bodies.ANY_SPELLING})] = None,
    text: Annotated[
        str | None,
        Query(max_length=LONGEST_TEXT, description="Words of the error; the last may be only begun"),
    ] = None,
    since: Time = None,
    until: Time = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    owner: OfOwner = None,
    all_owners: AllOwners = False,
    output: Annotated[bool, Query(description="false: a `preview` of each output in its place")] = True,
) -> Response:
    """List runs, newest first.

    `text` finds failed runs by the words of their errors. With `owner` or `all_owners` each says whose it
    is, and others' come without `output`, `preview`, `question` and `metadata`. Outputs may be long.
    """
    native, mount = native_of(request), mount_of(request)
    where = requests.run_filter(
        "query.", status=status, agent=agent, thread_id=thread_id, text=text, since=since, until=until
    )
    owned_by, before = whose(caller, owner, all_owners=all_owners), requests.read_cursor(cursor)
    brief = not output or owned_by not in (None, caller.owner)  # others' outputs are not shown
    # One more than asked for tells whether there is another page.
    runs = await read.page(native.core, owned_by, where, before=before, limit=limit + 1, brief=brief)
    shown, named, me = runs[:limit], all_owners or owner is not None, caller.owner
    body = bodies.RunPage(
        runs=[
            native.render.listed(run, await native.position(run), mount, me, named=named, output=output)
            for run in shown
        ],
        next_cursor=requests.cursor_of(shown[-1].id) if len(runs) > limit else None,
    )
    return as_response(native.render.json(200, body, [PRIVATE]))


async def watch_runs(
    request: Request, caller: ReadsRuns, owner: OfOwner = None, all_owners: AllOwners = False
) -> Response:
    """Be told which runs come and change.

    A stream of server-sent events, at most four a second: `changed` with the ids in `runs`, no more than
    a hundred, and whether there were `more`. It says what to look at again, and no more than that. What
    changes while nobody listens is not told later: whoever connects, or connects again, lists the runs
    once, when the first bytes have come.
    """
    owned_by = whose(caller, owner, all_owners=all_owners)
    return events.watch_changes(native_of(request), request.scope, caller, owned_by)


async def get_run(request: Request, run_id: RunId) -> Response:
    """Read a run.

    `If-None-Match` with the last `ETag` answers 304 while nothing has changed. `Prefer: wait=N`
    holds the answer back until the run has ended, or with `If-None-Match` until anything changes,
    for at most N seconds.
    """
    return as_response(await ReadRun(native_of(request))(Call.of(request, run_id)))


async def list_events(
    request: Request,
    run_id: RunId,
    caller: ReadsRuns,
    after: Annotated[int, Query(ge=0, le=events.LAST_SEQ, description="Events after this number")] = 0,
    limit: Annotated[int, Query(ge=1, le=events.MOST_EVENTS)] = 200,
) -> Response:
    """Read a run's log, or watch it grow.

    With `Accept: text/event-stream` everything after the cursor is sent as it happens, until the
    run has ended. The number of an event is its `id`; `Last-Event-ID` goes on after it and wins
    over `after`. 204: the run has ended and there is nothing after the cursor.
    """
    native = native_of(request)
    streamed = await events.WatchRun(native)(Call.of(request, run_id))
    if streamed is not None:
        return as_response(streamed)
    return as_response(await events.page(native, caller.owner, parse_id(run_id), after, limit))


async def list_steps(request: Request, run_id: RunId, caller: ReadsRuns) -> Response:
    """List a run's steps, in the order they were first started."""
    native = native_of(request)
    steps = await read.steps(native.core, caller.owner, parse_id(run_id))
    body = bodies.StepList([native.render.step(step) for step in steps])
    return as_response(native.render.json(200, body, [PRIVATE]))


async def cancel_run(request: Request, run_id: RunId, caller: WritesRuns) -> Response:
    """Cancel a run.

    202: it is being stopped. 200: it is cancelled, now or already.
    """
    native = native_of(request)
    run = await control.cancel(native.core, caller.owner, parse_id(run_id), by=caller.owner)
    status = 200 if run.status is RunStatus.CANCELLED else 202
    return as_response(await native.run_reply(status, run, mount_of(request)))


async def answer_run(request: Request, run_id: RunId, caller: WritesRuns) -> Response:
    """Answer a run that waits."""
    native = native_of(request)
    given = requests.parse(await request.body(), requests.ANSWER_RUN)
    run = await control.answer(native.core, caller.owner, parse_id(run_id), given.answer, given.key)
    return as_response(await native.run_reply(202, run, mount_of(request)))


async def retry_run(request: Request, run_id: RunId, caller: WritesRuns) -> Response:
    """Retry a run that has ended.

    Final is final: this makes a new run of the same request, which need not repeat the steps that
    finished and the answers that were given.
    """
    native = native_of(request)
    added = await control.retry(native.core, caller.owner, parse_id(run_id))
    return as_response(accepted(native, added.run, mount_of(request)))


async def delete_run(request: Request, run_id: RunId, caller: WritesRuns) -> Response:
    """Delete a run that has ended, with its log and its steps."""
    native = native_of(request)
    await control.delete(native.core, caller.owner, parse_id(run_id))
    return as_response(Reply(204, []))


_PREFER = header("Prefer", "`wait=N`: wait up to N seconds, at most 60", {"type": "string"})
_IDEMPOTENCY_KEY = header(
    "Idempotency-Key",
    "Makes a repeated request the same run; unique per owner",
    {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
)
_IF_NONE_MATCH = header("If-None-Match", "The ETag of an earlier answer", {"type": "string"})
_LAST_EVENT_ID = header("Last-Event-ID", "The number of the last event seen", {"type": "string"})
_SUBMITTED = ("Location", "Idempotent-Replayed", "Preference-Applied")
_SEEN = ("ETag", "Retry-After")
_CHANGES = {
    "text/event-stream": {
        "schema": {"type": "string"},
        "example": 'event: changed\ndata: {"runs":["run_01a2cc7a7f9b4f6d8c30e3a4b16e5d01"],"more":false}\n\n',
    }
}
_STREAM = {
    "text/event-stream": {
        "schema": {"type": "string"},
        "example": 'id: 1\nevent: run.created\ndata: {"seq":1,"at":"2026-11-22T22:28:00.000123Z",'
        '"type":"run.created","data":{"agent":"researcher","input":"tides"}}\n\n',
    }
}
_EXAMPLE = {"agent": "researcher", "input": "How do tides work?", "metadata": {"team": "sea"}}

OPERATIONS = (
    Operation(
        "POST", "/runs", create_run,
        (
            Answer(202, "Queued.", bodies.Submitted, _SUBMITTED),
            Answer(200, "Ended within the wait.", bodies.Run, (*_SUBMITTED, "ETag")),
        ),
        "runs", requests.SubmitRun, (404, 409), _EXAMPLE, (_IDEMPOTENCY_KEY, _PREFER),
    ),
    Operation("GET", "/runs", list_runs, (Answer(200, "A page.", bodies.RunPage),), "runs"),
    Operation(
        "GET", "/runs/changes", watch_runs, (Answer(200, "The stream.", None, (), _CHANGES),), "runs"
    ),
    Operation(
        "GET", "/runs/{run_id}", get_run,
        (
            Answer(200, "The run.", bodies.Run, (*_SEEN, "Preference-Applied")),
            Answer(304, "It is as `If-None-Match` says.", None, (*_SEEN, "Preference-Applied")),
        ),
        "runs", None, (404,), None, (_IF_NONE_MATCH, _PREFER),
    ),
    Operation(
        "GET", "/runs/{run_id}/events", list_events,
        (
            Answer(200, "A page, or the stream.", bodies.EventPage, (), _STREAM),
            Answer(204, "Nothing will follow the cursor."),
        ),
        "runs", None, (404, 410), None, (_LAST_EVENT_ID,),
    ),
    Operation(
        "GET", "/runs/{run_id}/steps", list_steps,
        (Answer(200, "The steps.", bodies.StepList),), "runs", None, (404,),
    ),
    Operation(
        "POST", "/runs/{run_id}/cancel", cancel_run,
        (
            Answer(202, "It is being stopped.", bodies.Run, _SEEN),
            Answer(200, "It is cancelled.", bodies.Run, ("ETag",)),
        ),
        "runs", None, (404, 409),
    ),
    Operation(
        "POST", "/runs/{run_id}/answer", answer_run,
        (Answer(202, "It is queued again.", bodies.Run, _SEEN),),
        "runs", requests.AnswerRun, (404, 409), {"answer": "yes", "key": "ask"},
    ),
    Operation(
        "POST", "/runs/{run_id}/retry", retry_run,
        (Answer(202, "The new run is queued.", bodies.Submitted, ("Location",)),),
        "runs", None, (404, 409, 410),
    ),
    Operation("DELETE", "/runs/{run_id}", delete_run, (Answer(204, "Deleted."),), "runs", None, (404, 409)),
)  # fmt: skip
