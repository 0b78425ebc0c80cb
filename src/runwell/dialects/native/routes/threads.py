"""/threads: the messages that several runs share."""

from typing import Annotated

from fastapi import Path, Query, Request
from msgspec import UNSET
from starlette.responses import Response

from runwell.dialects.exchange import Reply, as_response
from runwell.dialects.native import bodies, requests
from runwell.dialects.native.events import LAST_SEQ
from runwell.dialects.native.native import ReadsRuns, WritesRuns, native_of
from runwell.dialects.native.openapi import Answer, Operation
from runwell.domain import json_gate
from runwell.domain.ids import parse_id
from runwell.engine import threads

ThreadId = Annotated[
    str,
    Path(
        description="The thread's id, in any dialect's spelling",
        json_schema_extra={"pattern": bodies.ANY_SPELLING},
    ),
]
Limit = Annotated[int, Query(ge=1, le=100)]


async def create_thread(request: Request, caller: WritesRuns) -> Response:
    """Make a thread."""
    native = native_of(request)
    wanted = requests.parse(await request.body() or b"{}", requests.CREATE_THREAD)
    json_gate.check(wanted.title, "$.title")
    thread = await threads.create(
        native.core,
        caller.owner,
        id=parse_id(wanted.id) if wanted.id is not None else None,
        title=wanted.title,
        metadata=wanted.metadata,
    )
    return as_response(native.render.json(201, native.render.thread(thread)))


async def list_threads(
    request: Request,
    caller: ReadsRuns,
    limit: Limit = 20,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before")] = None,
) -> Response:
    """List threads, newest first."""
    native = native_of(request)
    before = requests.read_cursor(cursor)
    found = await threads.page(native.core, caller.owner, before=before, limit=limit + 1)
    shown = found[:limit]
    body = bodies.ThreadPage(
        threads=[native.render.thread(thread) for thread in shown],
        next_cursor=requests.cursor_of(shown[-1].id) if len(found) > limit else None,
    )
    return as_response(native.render.json(200, body))


async def get_thread(request: Request, thread_id: ThreadId, caller: ReadsRuns) -> Response:
    """Read a thread."""
    native = native_of(request)
    thread = await threads.get(native.core, caller.owner, parse_id(thread_id))
    return as_response(native.render.json(200, native.render.thread(thread)))


async def update_thread(request: Request, thread_id: ThreadId, caller: WritesRuns) -> Response:
    """Change a thread's title or metadata."""
    native = native_of(request)
    wanted = requests.parse(await request.body(), requests.UPDATE_THREAD)
    title = None if wanted.title is UNSET else wanted.title
    json_gate.check(title, "$.title")
    thread = await threads.update(
        native.core,
        caller.owner,
        parse_id(thread_id),
        title=title,
        metadata=None if wanted.metadata is UNSET else wanted.metadata,
    )
    return as_response(native.render.json(200, native.render.thread(thread)))


async def delete_thread(request: Request, thread_id: ThreadId, caller: WritesRuns) -> Response:
    """Delete a thread and its messages. Its runs stay."""
    native = native_of(request)
    await threads.delete(native.core, caller.owner, parse_id(thread_id))
    return as_response(Reply(204, []))


async def list_messages(
    request: Request,
    thread_id: ThreadId,
    caller: ReadsRuns,
    after: Annotated[int, Query(ge=0, le=LAST_SEQ, description="Messages after this position")] = 0,
    limit: Limit = 100,
) -> Response:
    """List a thread's messages, oldest first."""
    native = native_of(request)
    found = await threads.messages(
        native.core, caller.owner, parse_id(thread_id), after=after, limit=limit + 1
    )
    shown = found[:limit]
    body = bodies.MessagePage(
        messages=[native.render.message(message) for message in shown],
        next_after=shown[-1].position if len(found) > limit else None,
    )
    return as_response(native.render.json(200, body))


async def add_message(request: Request, thread_id: ThreadId, caller: WritesRuns) -> Response:
    """Add a message to a thread, without a run."""
    native = native_of(request)
    wanted = requests.parse(await request.body(), requests.ADD_MESSAGE)
    message = await threads.append(
        native.core, caller.owner, parse_id(thread_id), wanted.role, wanted.content
    )
    return as_response(native.render.json(201, native.render.message(message)))


OPERATIONS = (
    Operation(
        "POST", "/threads", create_thread, (Answer(201, "The thread.", bodies.Thread),),
        "threads", requests.CreateThread, (404,), {"title": "Tides"},
    ),
    Operation("GET", "/threads", list_threads, (Answer(200, "A page.", bodies.ThreadPage),), "threads"),
    Operation(
        "GET", "/threads/{thread_id}", get_thread, (Answer(200, "The thread.", bodies.Thread),),
        "threads", None, (404,),
    ),
    Operation(
        "PATCH", "/threads/{thread_id}", update_thread, (Answer(200, "The thread.", bodies.Thread),),
        "threads", requests.UpdateThread, (404,), {"title": "Tides and moons"},
    ),
    Operation(
        "DELETE", "/threads/{thread_id}", delete_thread, (Answer(204, "Deleted."),),
        "threads", None, (404, 409),
    ),
    Operation(
        "GET", "/threads/{thread_id}/messages", list_messages,
        (Answer(200, "A page.", bodies.MessagePage),), "threads", None, (404,),
    ),
    Operation(
        "POST", "/threads/{thread_id}/messages", add_message,
        (Answer(201, "The message.", bodies.Message),),
        "threads", requests.AddMessage, (404,), {"role": "user", "content": "Hello"},
    ),
)  # fmt: skip
