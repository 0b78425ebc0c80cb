"""/v1/conversations: threads of an agent, and what is said in them."""

from typing import Annotated, Literal

from fastapi import Query, Request
from starlette.responses import Response

from runwell.dialects.exchange import Call
from runwell.dialects.letta import cancelling, conversations, ids, reading, requests, sending
from runwell.dialects.letta.conversations import Conversation, Kept, Place, body_of
from runwell.dialects.letta.errors import invalid_argument, malformed, not_found
from runwell.dialects.letta.frames import View
from runwell.dialects.letta.letta import Letta, Reads, Writes, letta_of, path_id
from runwell.dialects.letta.messages import LettaResponse
from runwell.dialects.letta.openapi import ANY, STREAM, Operation
from runwell.dialects.letta.paging import cut, page_of
from runwell.dialects.letta.requests import ResumeStream
from runwell.dialects.letta.routes.answers import answered, ready
from runwell.dialects.letta.routes.messages import watched
from runwell.dialects.letta.routes.parameters import (
    ConversationId,
    Cursor,
    Limit,
    Order,
    OrderBy,
    Types,
    message_page,
)
from runwell.dialects.letta.streams import stream_of
from runwell.domain.run import Run
from runwell.engine import read

LAST_MESSAGE = ("last_message_at", "last_run_completion")


async def create_conversation(
    request: Request, caller: Writes, agent_id: Annotated[str, Query()]
) -> Response:
    """Begin a conversation with an agent."""
    letta = letta_of(request)
    wanted = requests.parse(await request.body(), requests.CREATE_CONVERSATION, may_be_missing=True)
    agent = _agent(agent_id)
    thread, kept = await conversations.create(letta.core, caller.owner, agent, wanted)
    return answered(body_of(caller.owner, thread, kept))


async def list_conversations(
    request: Request,
    caller: Reads,
    agent_id: str | None = None,
    limit: Limit = 50,
    after: Cursor = None,
    before: Cursor = None,
    summary_search: str | None = None,
    archive_status: Literal["unarchived", "archived", "all"] = "unarchived",
    order: Order = "desc",
    order_by: Literal["created_at", "last_run_completion", "last_message_at"] = "created_at",
) -> Response:
    """List conversations."""
    letta = letta_of(request)
    agent = ids.read(agent_id) or "" if agent_id is not None else None
    found = await conversations.all_of(letta.core, caller.owner, agent, summary_search)
    kept = [each for each in found if _listed(each[1], archive_status)]
    if order_by in LAST_MESSAGE:
        kept.sort(key=lambda each: each[1].last_message_at or each[1].created_at)
    page = page_of(
        order, limit,
        ids.read(before) if before is not None else None,
        ids.read(after) if after is not None else None,
    )  # fmt: skip
    return answered([body_of(caller.owner, *each) for each in cut(kept, lambda each: each[0], page)])


async def retrieve_conversation(request: Request, conversation_id: ConversationId, caller: Reads) -> Response:
    """Read a conversation."""
    letta, id = letta_of(request), path_id("conversation_id", conversation_id)
    return answered(body_of(caller.owner, id, await conversations.find(letta.core, caller.owner, id)))


async def update_conversation(request: Request, conversation_id: ConversationId, caller: Writes) -> Response:
    """Change a conversation."""
    letta, id = letta_of(request), path_id("conversation_id", conversation_id)
    wanted = requests.parse(await request.body(), requests.UPDATE_CONVERSATION)
    kept = await conversations.update(letta.core, caller.owner, id, wanted)
    return answered(body_of(caller.owner, id, kept))


async def delete_conversation(request: Request, conversation_id: ConversationId, caller: Writes) -> Response:
    """Delete a conversation in which no run works. Its runs stay."""
    letta, id = letta_of(request), path_id("conversation_id", conversation_id)
    await conversations.delete(letta.core, caller.owner, id)
    return answered(None)


async def send_conversation_message(
    request: Request, conversation_id: ConversationId, caller: Writes
) -> Response:
    """Send messages and watch the answer come; without `streaming`, wait for it.

    One run at a time. Sent again in the background under the same `otid`, it is the same run.
    """
    letta = letta_of(request)
    wanted = requests.parse(await request.body(), requests.SEND_TO_CONVERSATION)
    place = await conversations.place_of(letta.core, caller.owner, conversation_id, wanted.agent_id)
    how = sending.options_of(wanted, "send_conversation_message", streaming=True)
    run = await sending.send(letta.core, caller.owner, place, wanted, how)
    if wanted.streaming is not False:
        return await watched(letta, caller, run, how)
    return ready(await sending.answered(letta, Call.of(request), run))


async def list_conversation_messages(
    request: Request,
    conversation_id: ConversationId,
    caller: Reads,
    agent_id: str | None = None,
    before: Cursor = None,
    after: Cursor = None,
    limit: Limit = 100,
    order: Order = "desc",
    order_by: OrderBy = "created_at",
    include_return_message_types: Types = None,
) -> Response:
    """List what was said in a conversation."""
    letta = letta_of(request)
    place = await conversations.place_of(letta.core, caller.owner, conversation_id, agent_id)
    page = message_page(order, limit, before, after)
    shown = frozenset(include_return_message_types) if include_return_message_types else None
    return answered(await reading.page_of_place(letta.core, caller.owner, place, page, shown))


async def stream_conversation(request: Request, conversation_id: ConversationId, caller: Reads) -> Response:
    """Watch a run of a conversation: the one named, the one sent under an `otid`, or the active one."""
    letta = letta_of(request)
    wanted = requests.parse(await request.body(), requests.RESUME, may_be_missing=True)
    place = await conversations.place_of(letta.core, caller.owner, conversation_id, wanted.agent_id)
    run = await _watched(letta, caller.owner, place, wanted)
    view = View(max(wanted.starting_after, 0), True, wanted.include_pings is not False)
    return await stream_of(letta.services, caller, run, view)


async def cancel_conversation(
    request: Request, conversation_id: ConversationId, caller: Writes, agent_id: str | None = None
) -> Response:
    """Cancel what works or waits for its turn in a conversation."""
    letta = letta_of(request)
    place = await conversations.place_of(letta.core, caller.owner, conversation_id, agent_id)
    where = cancelling.active(None, place.thread_id)
    return answered(await cancelling.cancel_active(letta.core, caller.owner, where, place.name))


async def _watched(letta: Letta, owner: str, place: Place, wanted: ResumeStream) -> Run:
    core = letta.core
    if wanted.run_id is not None:
        id = ids.read(wanted.run_id)
        if id is None:
            raise malformed("run", wanted.run_id, "run")
        return await read.get(core, owner, id)
    if wanted.otid is not None:
        run = await core.store.runs.earlier(owner, sending.named_by(place, wanted.otid))
        if run is None:
            raise not_found(
                f"No run found for otid={wanted.otid[:80]}. The run may have expired or never existed."
            )
        return run
    where = cancelling.active(None, place.thread_id)
    found = await read.page(core, owner, where, limit=1)
    if not found:
        raise invalid_argument("No active runs found for this conversation.")
    return found[0]


def _agent(text: str) -> str:
    return path_id("agent_id", text)


def _listed(kept: Kept, archive_status: str) -> bool:
    return archive_status == "all" or (kept.archived_at is not None) == (archive_status == "archived")


_TAG = "conversations"
_ONE = "/v1/conversations/{conversation_id}"
OPERATIONS = (
    Operation(
        "POST", "/v1/conversations/", create_conversation, Conversation,
        body=requests.CreateConversation, tag=_TAG,
    ),
    Operation("GET", "/v1/conversations/", list_conversations, Conversation, many=True, tag=_TAG),
    Operation("GET", _ONE, retrieve_conversation, Conversation, tag=_TAG),
    Operation("PATCH", _ONE, update_conversation, Conversation, body=requests.UpdateConversation, tag=_TAG),
    Operation("DELETE", _ONE, delete_conversation, ANY, tag=_TAG),
    Operation(
        "POST", f"{_ONE}/messages", send_conversation_message, LettaResponse,
        body=requests.SendToConversation, streams=True, tag=_TAG,
    ),
    Operation("GET", f"{_ONE}/messages", list_conversation_messages, ANY, tag=_TAG),
    Operation(
        "POST", f"{_ONE}/stream", stream_conversation, STREAM, body=requests.ResumeStream,
        streams=True, tag=_TAG,
    ),
    Operation("POST", f"{_ONE}/cancel", cancel_conversation, ANY, tag=_TAG),
)  # fmt: skip
