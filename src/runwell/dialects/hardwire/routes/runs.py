"""The workflow runs of a chat: all of them, and one as it goes."""

from collections import OrderedDict

import msgspec

from runwell.dialects.exchange import Reply
from runwell.dialects.hardwire import stream
from runwell.dialects.hardwire.app_wire import error_frame
from runwell.dialects.hardwire.errors import NO_RUN, RUN_ACCESS, Failed
from runwell.dialects.hardwire.hardwire import Answer, Asked, Hardwire, json_bytes
from runwell.dialects.hardwire.requests import no_query
from runwell.dialects.hardwire.runs import Plan
from runwell.domain.errors import RunNotFound
from runwell.domain.run import Run

MOST_KEPT = 4_096
"""Runs that are remembered as they were shown last."""
LARGEST_KEPT = 16_384
"""Bytes of one of them; the web client's form has the outputs of steps in it."""


class RunRoutes:
    def __init__(self, hardwire: Hardwire) -> None:
        self._hardwire = hardwire
        self._core = hardwire.core
        self._wire = hardwire.wire
        self._shown: OrderedDict[str, tuple[int, bytes | None]] = OrderedDict()
        """By the id of the run: which version it was, and how it was shown; None for no workflow's."""

    async def list_workflow_runs(self, asked: Asked) -> Reply:
        """List the workflow runs of a chat, oldest first, each with all its steps.

        A step that has not begun is there too: it is pending.
        """
        owner, chat = asked.visit.owner, asked.ids["chatId"]
        await self._hardwire.chats.check(owner, chat)
        if self._wire.strict:
            no_query(asked.call)
        shown = [await self._show(run) for run in await self._hardwire.chats.runs(owner, chat)]
        return json_bytes(self._wire.runs([each for each in shown if each is not None]))

    async def watch_workflow_run(self, asked: Asked) -> Answer:
        """Watch a workflow run, from its beginning."""
        owner, chat = asked.visit.owner, asked.ids["chatId"]
        await self._hardwire.chats.check(owner, chat)
        services, who, scope = self._hardwire.services, asked.visit.principal.who, asked.call.scope
        try:
            run, plan = await self._find(owner, chat, asked.ids["workflowRunId"])
        except Failed as error:
            if not self._wire.snapshots:
                raise
            # This form tells it within the stream: its client reads no other answer.
            return stream.event_stream(services, who, stream.once(error_frame(error, scope)))
        view = await self._hardwire.plans.view(run, plan)
        return await stream.watch_run(services, self._wire, who, run, view, plan, scope)

    async def _find(self, owner: str, chat: str, run_id: str) -> tuple[Run, Plan]:
        """Raises `Failed`."""
        try:
            run = await self._core.store.runs.get(run_id, owner)
        except RunNotFound as error:
            raise Failed(NO_RUN) from error
        if run.thread_id != chat:
            raise Failed(RUN_ACCESS if self._wire.strict else NO_RUN)
        plan = await self._hardwire.plans.of(run)
        if plan is None:
            raise Failed(NO_RUN)
        return run, plan

    async def _show(self, run: Run) -> bytes | None:
        known = self._shown.get(run.id)
        if known is not None and known[0] == run.version:
            self._shown.move_to_end(run.id)
            return known[1]
        plan = await self._hardwire.plans.of(run)
        body = None
        if plan is not None:
            body = msgspec.json.encode(self._wire.run(await self._hardwire.plans.view(run, plan)))
        if body is not None and len(body) > LARGEST_KEPT:
            self._shown.pop(run.id, None)
            return body
        self._shown[run.id] = run.version, body
        if len(self._shown) > MOST_KEPT:
            self._shown.popitem(last=False)
        return body
