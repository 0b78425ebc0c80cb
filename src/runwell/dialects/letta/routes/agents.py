"""/v1/agents: make, look, change, delete."""

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from runwell.dialects.letta import agents, ids, requests
from runwell.dialects.letta.agent_state import AgentState, state_of
from runwell.dialects.letta.letta import Reads, WritesAgents, letta_of, path_id
from runwell.dialects.letta.openapi import ANY, Operation
from runwell.dialects.letta.paging import cut, page_of
from runwell.dialects.letta.routes.answers import answered
from runwell.dialects.letta.routes.parameters import AgentId, Cursor, Limit, Order


async def create_agent(request: Request, caller: WritesAgents) -> Response:
    """Make an agent: a model, a system prompt, memory blocks."""
    letta = letta_of(request)
    wanted = requests.parse(await request.body(), requests.CREATE_AGENT, may_be_missing=True)
    return answered(state_of(await agents.create(letta.core, caller.owner, wanted)))


async def list_agents(
    request: Request,
    caller: Reads,
    name: str | None = None,
    tags: Annotated[list[str] | None, Query()] = None,
    match_all_tags: bool = False,
    query_text: str | None = None,
    before: Cursor = None,
    after: Cursor = None,
    limit: Limit = 50,
    order: Order = "desc",
    ascending: Annotated[bool, Query(deprecated=True)] = False,
) -> Response:
    """List agents, the server's own in code among them."""
    letta = letta_of(request)
    found = await agents.all_of(letta.core, caller.owner)
    kept = agents.chosen(found, name, query_text, set(tags or ()), match_all_tags)
    page = page_of(
        "asc" if ascending else order, limit,
        ids.read(before) if before is not None else None,
        ids.read(after) if after is not None else None,
    )  # fmt: skip
    return answered([state_of(known) for known in cut(kept, lambda known: known.spec.id, page)])


async def retrieve_agent(request: Request, agent_id: AgentId, caller: Reads) -> Response:
    """Read an agent."""
    letta = letta_of(request)
    return answered(state_of(await agents.find(letta.core, caller.owner, path_id("agent_id", agent_id))))


async def update_agent(request: Request, agent_id: AgentId, caller: WritesAgents) -> Response:
    """Change an agent. Runs that have begun keep what they began with."""
    letta, id = letta_of(request), path_id("agent_id", agent_id)
    wanted = requests.parse(await request.body(), requests.UPDATE_AGENT)
    return answered(state_of(await agents.update(letta.core, caller.owner, id, wanted)))


async def delete_agent(request: Request, agent_id: AgentId, caller: WritesAgents) -> Response:
    """Delete an agent. Its runs stay."""
    letta, id = letta_of(request), path_id("agent_id", agent_id)
    await agents.delete(letta.core, caller.owner, id)
    return answered({"message": f"Agent id={ids.agent_id(id)} successfully deleted"})


OPERATIONS = (
    Operation("POST", "/v1/agents/", create_agent, AgentState, body=requests.CreateAgent, tag="agents"),
    Operation("GET", "/v1/agents/", list_agents, AgentState, many=True, tag="agents"),
    Operation("GET", "/v1/agents/{agent_id}", retrieve_agent, AgentState, tag="agents"),
    Operation(
        "PATCH", "/v1/agents/{agent_id}", update_agent, AgentState, body=requests.UpdateAgent, tag="agents"
    ),
    Operation("DELETE", "/v1/agents/{agent_id}", delete_agent, ANY, tag="agents"),
)
