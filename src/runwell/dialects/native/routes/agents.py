"""/agents: what can be run. Agents in code are everybody's and read-only here."""

from typing import Annotated, assert_never

from fastapi import Path, Request
from starlette.responses import Response

from runwell.dialects.exchange import Reply, as_response
from runwell.dialects.native import bodies, requests
from runwell.dialects.native.addresses import check_base_url
from runwell.dialects.native.native import ReadsRuns, WritesAgents, native_of
from runwell.dialects.native.openapi import Answer, Operation
from runwell.dialects.native.responses import agent
from runwell.domain.agent import ModelAgent, WorkflowAgent
from runwell.engine import agents
from runwell.engine.workflows import put_workflow

Name = Annotated[str, Path(description="The agent's name")]
NewName = Annotated[
    str,
    Path(
        description="The agent's name",
        json_schema_extra={"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"},
    ),
]


async def list_agents(request: Request, caller: ReadsRuns) -> Response:
    """List agents: everybody's and your own."""
    native = native_of(request)
    default = native.core.default_agent
    specs = await agents.all_agents(native.core, caller.owner)
    body = bodies.AgentList([agent(spec, default) for spec in specs])
    return as_response(native.render.json(200, body))


async def get_agent(request: Request, name: Name, caller: ReadsRuns) -> Response:
    """Read an agent."""
    native = native_of(request)
    spec = await agents.get_agent(native.core, caller.owner, name)
    return as_response(native.render.json(200, agent(spec, native.core.default_agent)))


async def put_agent(request: Request, name: NewName, caller: WritesAgents) -> Response:
    """Make or replace an agent of your own, from a model and instructions, or from steps.

    Runs that exist keep the definition they began with.
    """
    native = native_of(request)
    wanted = requests.parse(await request.body(), requests.PUT_AGENT)
    # In local mode whoever asks is the one who started the server.
    public_only = not native.services.authenticator.local_mode
    if public_only and wanted.base_url is not None:
        await check_base_url(native.services, wanted.base_url)
    match wanted.definition(public_only=public_only):
        case ModelAgent() as model:
            put = agents.put_agent(native.core, caller.owner, name, model, wanted.description)
        case WorkflowAgent() as steps:
            put = put_workflow(native.core, caller.owner, name, steps, wanted.description)
        case never:
            assert_never(never)
    spec, created = await put
    body = agent(spec, native.core.default_agent)
    return as_response(native.render.json(201 if created else 200, body))


async def delete_agent(request: Request, name: Name, caller: WritesAgents) -> Response:
    """Delete an agent of your own."""
    native = native_of(request)
    await agents.delete_agent(native.core, caller.owner, name)
    return as_response(Reply(204, []))


_EXAMPLE = {"model": "openai:gpt-5", "instructions": "You answer in one sentence."}

OPERATIONS = (
    Operation("GET", "/agents", list_agents, (Answer(200, "All of them.", bodies.AgentList),), "agents"),
    Operation(
        "GET", "/agents/{name}", get_agent, (Answer(200, "The agent.", bodies.Agent),), "agents", None, (404,)
    ),
    Operation(
        "PUT", "/agents/{name}", put_agent,
        (Answer(200, "Replaced.", bodies.Agent), Answer(201, "Made.", bodies.Agent)),
        "agents", requests.PutAgent, (409,), _EXAMPLE,
    ),
    Operation(
        "DELETE", "/agents/{name}", delete_agent, (Answer(204, "Deleted."),), "agents", None, (404, 409)
    ),
)  # fmt: skip
