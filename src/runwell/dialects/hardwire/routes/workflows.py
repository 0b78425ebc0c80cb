"""/api/workflows: make, read, change and delete them."""

import msgspec

from runwell.dialects.exchange import Reply
from runwell.dialects.hardwire.errors import OTHER_USER, Failed
from runwell.dialects.hardwire.hardwire import Asked, Hardwire, json_reply
from runwell.dialects.hardwire.requests import read_workflow, read_workflow_patch


class WorkflowRoutes:
    def __init__(self, hardwire: Hardwire) -> None:
        self._workflows = hardwire.workflows
        self._wire = hardwire.wire

    async def create_workflow(self, asked: Asked) -> Reply:
        """Make a workflow. Without `steps` it cannot run yet."""
        wanted = read_workflow(await asked.call.body(), strict=self._wire.strict)
        visit = asked.visit
        # The web client's form does not compare them: there it is the caller's, whoever is named.
        if wanted.user not in (None, visit.user_id) and not self._wire.strict:
            raise Failed(OTHER_USER)
        made = await self._workflows.make(visit.owner, wanted.name, wanted.description, wanted.steps)
        return json_reply(self._wire.workflow_made(visit.user_id, made), 201)

    async def get_workflow(self, asked: Asked) -> Reply:
        """Read a workflow with its steps, in the order in which they become possible."""
        found = await self._workflows.get(asked.visit.owner, asked.ids["workflowId"])
        return json_reply(self._wire.workflow(asked.visit.user_id, found))

    async def update_workflow(self, asked: Asked) -> Reply:
        """Change a workflow. Runs that have begun go on with the steps they began with."""
        owner = asked.visit.owner
        found = await self._workflows.get(owner, asked.ids["workflowId"])
        wanted = read_workflow_patch(await asked.call.body())
        changed = await self._workflows.change(owner, found, *wanted)
        return json_reply(self._wire.workflow_changed(asked.visit.user_id, changed))

    async def delete_workflow(self, asked: Asked) -> Reply:
        """Delete a workflow. Its runs stay."""
        owner = asked.visit.owner
        await self._workflows.delete(owner, await self._workflows.get(owner, asked.ids["workflowId"]))
        return deleted(self._wire.deleted())


def deleted(answer: tuple[int, msgspec.Struct | None]) -> Reply:
    status, body = answer
    return Reply(status, []) if body is None else json_reply(body, status)
