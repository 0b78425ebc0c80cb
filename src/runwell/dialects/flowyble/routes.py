"""The seven endpoints. Each is parse, verb, render; decisions are the core's."""

from runwell.dialects.exchange import Call, Reply
from runwell.dialects.flowyble import bodies, responses
from runwell.dialects.flowyble.errors import Misconfigured
from runwell.dialects.flowyble.flowyble import AGENT, TOOL, Flowyble
from runwell.dialects.flowyble.requests import read_run_agent, read_run_tool
from runwell.dialects.flowyble.responses import json_reply
from runwell.dialects.flowyble.shown import Shown
from runwell.dialects.flowyble.subject import SOURCE, WEBHOOK, as_extra, subject_of_spec
from runwell.domain.errors import AgentNotFound
from runwell.domain.ids import spell_uuid
from runwell.domain.principal import Scope
from runwell.engine import triggers
from runwell.engine.submit import Submission, submit


class Routes:
    """`call.param` is the id in the path, or the token of a webhook."""

    def __init__(self, flowyble: Flowyble) -> None:
        self._flowyble = flowyble
        self._core = flowyble.core
        self._agent_runs = Shown()
        self._tool_runs = Shown()

    async def run_agent(self, call: Call) -> Reply:
        """Start a run of an agent.

        Messages with one `conversationId` are answered in order, each with what was said before.
        """
        caller = await self._flowyble.admit(call, Scope.RUNS_WRITE)
        spec = await self._flowyble.agent(caller.owner, call.param, AGENT)
        message, thread_id = read_run_agent(await call.body())
        added = await submit(
            self._core,
            Submission(
                owner=caller.owner, input=message, agent=spec.name, source=SOURCE, thread_id=thread_id,
                extra=as_extra(subject_of_spec(spec)),
            ),
        )  # fmt: skip
        return json_reply(responses.started(added.run, AGENT))

    async def agent_status(self, call: Call) -> Reply:
        """Read the status of an agent run."""
        caller = await self._flowyble.admit(call, Scope.RUNS_READ)
        run = await self._flowyble.run(caller.owner, call.param, AGENT)
        body = self._agent_runs.get(run)
        if body is None:
            subject = await self._flowyble.subject(run, call.param, AGENT)
            reply = json_reply(await responses.agent_run(self._flowyble, run, subject))
            body = self._agent_runs.keep(run, reply.body)
        return responses.polled(run, body, self._core.clock.now())

    async def agent_details(self, call: Call) -> Reply:
        """Read an agent run with every tool call it made."""
        caller = await self._flowyble.admit(call, Scope.RUNS_READ)
        run = await self._flowyble.run(caller.owner, call.param, AGENT)
        subject = await self._flowyble.subject(run, call.param, AGENT)
        return json_reply(await responses.agent_run_details(self._flowyble, run, subject))

    async def run_tool(self, call: Call) -> Reply:
        """Start a run of a tool. The body is the tool's input."""
        caller = await self._flowyble.admit(call, Scope.RUNS_WRITE)
        spec = await self._flowyble.agent(caller.owner, call.param, TOOL)
        input = read_run_tool(await call.body())
        added = await submit(
            self._core,
            Submission(
                owner=caller.owner, input=input, agent=spec.name, source=SOURCE,
                extra=as_extra(subject_of_spec(spec)),
            ),
        )  # fmt: skip
        return json_reply(responses.started(added.run, TOOL))

    async def tool_status(self, call: Call) -> Reply:
        """Read the status of a tool run."""
        caller = await self._flowyble.admit(call, Scope.RUNS_READ)
        run = await self._flowyble.run(caller.owner, call.param, TOOL)
        body = self._tool_runs.get(run)
        if body is None:
            subject = await self._flowyble.subject(run, call.param, TOOL)
            body = self._tool_runs.keep(run, json_reply(responses.tool_run(run, subject)).body)
        return responses.polled(run, body, self._core.clock.now())

    async def tool_result(self, call: Call) -> Reply:
        """Read what a tool run was given and what it returned."""
        caller = await self._flowyble.admit(call, Scope.RUNS_READ)
        run = await self._flowyble.run(caller.owner, call.param, TOOL)
        subject = await self._flowyble.subject(run, call.param, TOOL)
        return json_reply(await responses.tool_result(self._flowyble, run, subject))

    async def webhook(self, call: Call) -> Reply:
        """Start a run of the agent or tool behind this address. The body, any JSON, is its input.

        Where the trigger has a secret, `X-Signature` is the lower-case hex HMAC-SHA256 of the raw body.
        """
        trigger = await triggers.find(self._core, call.param)
        body = await call.body()
        triggers.verify(trigger, body, call.header(b"x-signature"))
        # After the signature: whoever has only the address must not use up what its sender may send.
        self._flowyble.count_webhook(trigger.id)
        try:
            run, spec = await triggers.fire(self._core, trigger, body, source=WEBHOOK)
        except AgentNotFound:
            # Its own sentence names the owner's agents, and whoever posts here is not the owner.
            raise Misconfigured(
                "The agent of this webhook is gone", "Its owner can make the trigger anew."
            ) from None
        tool = subject_of_spec(spec).tool
        return json_reply(bodies.Fired(run_id=spell_uuid(run.id), type="tool" if tool else "agent"))
