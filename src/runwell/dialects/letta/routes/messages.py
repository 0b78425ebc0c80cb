"""/v1/agents/{agent_id}/messages: talk to an agent."""

from fastapi import Request
from starlette.responses import Response

from runwell.dialects.exchange import Call
from runwell.dialects.letta import cancelling, conversations, ids, reading, requests, sending
from runwell.dialects.letta.conversations import Place
from runwell.dialects.letta.frames import View
from runwell.dialects.letta.letta import Letta, Reads, Writes, letta_of, path_id
from runwell.dialects.letta.messages import LettaResponse
from runwell.dialects.letta.openapi import ANY, STREAM, Operation
from runwell.dialects.letta.routes.answers import answered, ready
from runwell.dialects.letta.routes.parameters import (
    AgentId,
    Cursor,
    Limit,
    Order,
    OrderBy,
    Types,
    message_page,
)
from runwell.dialects.letta.runs import RunBody
from runwell.dialects.letta.sending import Sending
from runwell.dialects.letta.streams import stream_of
from runwell.domain.errors import AgentNotFound
from runwell.domain.principal import Principal
from runwell.domain.run import Run
from runwell.engine import agents as engine_agents


async def send_message(request: Request, agent_id: AgentId, caller: Writes) -> Response:
    """Send messages and wait for the answer; with `streaming`, watch it come."""
    letta, place, body = await _asked(request, agent_id, caller)
    wanted = requests.parse(body, requests.SEND)
    how = sending.options_of(wanted, "send_message", streaming=False)
    streamed = wanted.streaming is True
    if streamed:
        how = how._replace(run_type="send_message_streaming")
    run = await sending.send(letta.core, caller.owner, place, wanted, how)
    if streamed:
        return await watched(letta, caller, run, how)
    return ready(await sending.answered(letta, Call.of(request), run))


async def send_message_async(request: Request, agent_id: AgentId, caller: Writes) -> Response:
    """Send messages and get the run at once; `callback_url` is told when it has ended."""
    letta, place, body = await _asked(request, agent_id, caller)
    wanted = requests.parse(body, requests.SEND_ASYNC)
    how = Sending("send_message_async", background=True, callback_url=wanted.callback_url, may_be_empty=True)
    run = await sending.send(letta.core, caller.owner, place, wanted, how)
    return answered(await letta.render.run(run))


async def send_message_streaming(request: Request, agent_id: AgentId, caller: Writes) -> Response:
    """Send messages and watch the answer come.

    The run goes on when nobody watches any more. In the background its frames are numbered.
    """
    letta, place, body = await _asked(request, agent_id, caller)
    wanted = requests.parse(body, requests.SEND)
    how = sending.options_of(wanted, "send_message_streaming", streaming=True)
    run = await sending.send(letta.core, caller.owner, place, wanted, how)
    return await watched(letta, caller, run, how)


async def cancel_message(request: Request, agent_id: AgentId, caller: Writes) -> Response:
    """Cancel runs: those that are named, or all of the agent that have not ended."""
    letta, id = letta_of(request), path_id("agent_id", agent_id)
    wanted = requests.parse(await request.body(), requests.CANCEL, may_be_missing=True)
    if wanted.run_ids is not None:
        return answered(await cancelling.cancel(letta.core, caller.owner, wanted.run_ids))
    try:
        name = (await engine_agents.agent_by_id(letta.core, caller.owner, id)).name
    except AgentNotFound:
        name = ""  # no run is its own
    where = cancelling.active(name, None)
    what = f"agent {ids.agent_id(id)}"
    return answered(await cancelling.cancel_active(letta.core, caller.owner, where, what))


async def list_messages(
    request: Request,
    agent_id: AgentId,
    caller: Reads,
    before: Cursor = None,
    after: Cursor = None,
    limit: Limit = 100,
    order: Order = "desc",
    order_by: OrderBy = "created_at",
    conversation_id: str | None = None,
    include_return_message_types: Types = None,
) -> Response:
    """List what was said to an agent and by it, outside its conversations or in one of them."""
    letta, id = letta_of(request), path_id("agent_id", agent_id)
    place = await _place(letta, caller.owner, id, conversation_id)
    page = message_page(order, limit, before, after)
    shown = frozenset(include_return_message_types) if include_return_message_types else None
    return answered(await reading.page_of_place(letta.core, caller.owner, place, page, shown))


async def watched(letta: Letta, caller: Principal, run: Run, how: Sending) -> Response:
    """The stream of a run that was just sent. Foreground frames have no numbers."""
    return await stream_of(letta.services, caller, run, View(0, how.background, how.pings))


async def _asked(request: Request, agent_id: str, caller: Principal) -> tuple[Letta, Place, bytes]:
    letta, id = letta_of(request), path_id("agent_id", agent_id)
    return letta, await conversations.agent_place(letta.core, caller.owner, id), await request.body()


async def _place(letta: Letta, owner: str, agent_id: str, conversation_id: str | None) -> Place:
    if conversation_id is None:
        return await conversations.agent_place(letta.core, owner, agent_id)
    return await conversations.place_of(letta.core, owner, conversation_id, ids.agent_id(agent_id))


OPERATIONS = (
    Operation(
        "POST", "/v1/agents/{agent_id}/messages", send_message, LettaResponse,
        body=requests.SendMessages, streams=True, tag="messages",
    ),
    Operation(
        "POST", "/v1/agents/{agent_id}/messages/async", send_message_async, RunBody,
        body=requests.SendAsync, tag="messages",
    ),
    Operation(
        "POST", "/v1/agents/{agent_id}/messages/stream", send_message_streaming, STREAM,
        body=requests.SendMessages, streams=True, tag="messages",
    ),
    Operation(
        "POST", "/v1/agents/{agent_id}/messages/cancel", cancel_message, ANY,
        body=requests.CancelRuns, tag="messages",
    ),
    Operation("GET", "/v1/agents/{agent_id}/messages", list_messages, ANY, tag="messages"),
)  # fmt: skip
