"""Workflows. One with steps is an agent of its owner's, and can run; what only this API knows of it, and of
one that has no steps yet, stands in documents:

    hardwire.workflows           a workflow, by its owner and its id, which is its agent's too
    hardwire.workflow-owners     whose a workflow is, by its id: nobody's document, and all that can be
                                 read without an owner

The agent is written first, the document next, the owner last: a process that dies in between leaves a
workflow that only its agent's name is known of, and one that is not told from one that is not there.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from runwell.dialects.hardwire.errors import NO_STEPS, NO_WORKFLOW, SHARED_WORKFLOW, WORKFLOW_ACCESS, Failed
from runwell.dialects.hardwire.steps import read_steps
from runwell.domain.agent import AgentSpec, WorkflowStep
from runwell.domain.ids import new_id
from runwell.domain.instant import Instant
from runwell.domain.json_gate import EMPTY, Json
from runwell.domain.workflow import plan_of
from runwell.engine import agents
from runwell.engine.core import Core
from runwell.engine.workflows import KIND, make_workflow

WORKFLOWS = "hardwire.workflows"
OWNERS = "hardwire.workflow-owners"
NOBODY = ""
AT_ONCE = 500


class WorkflowNote(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow, but for its steps. `version` counts how often those were set. Instants are µs."""

    name: str
    description: str | None
    created_at: Instant
    updated_at: Instant
    version: int | None = None


class Workflow(NamedTuple):
    """`spec` is None for one without steps. One of the server's own has no note."""

    id: str
    note: WorkflowNote
    spec: AgentSpec | None

    @property
    def steps(self) -> tuple[WorkflowStep, ...]:
        """In the order in which they become possible."""
        if self.spec is None or self.spec.workflow is None:
            return ()
        return plan_of(self.spec.workflow)


class Workflows:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._documents = core.store.documents

    async def get(self, owner: str, id: str) -> Workflow:
        """The owner's, or one of the server's own. Raises `Failed`: another user's, or none."""
        note = await self._note(owner, id)
        spec = await self._core.store.agents.by_id(id, owner)
        found = _workflow(id, note, spec)
        if found is not None:
            return found
        whose = await self._documents.get(NOBODY, OWNERS, id)
        foreign = whose is not None and msgspec.json.decode(whose) != owner
        raise Failed(WORKFLOW_ACCESS if foreign else NO_WORKFLOW)

    async def all(self, owner: str) -> list[Workflow]:
        """The owner's and the server's own, the one changed last first."""
        specs = {spec.id: spec for spec in await agents.all_agents(self._core, owner) if spec.workflow}
        notes = await self._notes(owner)
        ids = dict.fromkeys([*notes, *specs])
        found = [_workflow(id, notes.get(id), specs.get(id)) for id in ids]
        return sorted(
            (each for each in found if each is not None),
            key=lambda each: (each.note.updated_at, each.id),
            reverse=True,
        )

    async def runnable(self, owner: str, id: str) -> AgentSpec:
        """Its agent. Raises `Failed`, also for one without steps."""
        spec = (await self.get(owner, id)).spec
        if spec is None:
            raise Failed(NO_STEPS)
        return spec

    async def make(
        self, owner: str, name: str, description: str | None, steps: Sequence[Any] | None
    ) -> Workflow:
        """Raises `Failed`, `InvalidInput` for steps that cannot be."""
        now = self._core.clock.now()
        id = new_id(now)
        spec = await self._with_steps(owner, id, name, description, None, steps) if steps else None
        version = 1 if spec is not None else None
        note = WorkflowNote(
            name=name, description=description, created_at=now, updated_at=now, version=version
        )
        await self._documents.put(owner, WORKFLOWS, id, Json(msgspec.json.encode(note)), now)
        await self._documents.put(NOBODY, OWNERS, id, Json(msgspec.json.encode(owner)), now)
        return Workflow(id, note, spec)

    async def change(
        self,
        owner: str,
        workflow: Workflow,
        name: str | None,
        description: str | None,
        steps: Sequence[Any] | None,
    ) -> Workflow:
        """What is None stays. Runs go on with the steps they began with. Raises as `make` does."""
        self._check_own(owner, workflow)
        id, note, spec = workflow
        given = {
            key: value for key, value in (("name", name), ("description", description)) if value is not None
        }
        changed = replace(note, updated_at=self._core.clock.now(), **given)
        if steps is not None:
            if steps:
                spec = await self._with_steps(
                    owner, id, changed.name, changed.description, workflow.spec, steps
                )
            elif spec is not None:
                await agents.delete_agent(self._core, owner, spec.name)
                spec = None
            changed = replace(changed, version=(note.version or 0) + 1)
        await self._documents.put(
            owner, WORKFLOWS, id, Json(msgspec.json.encode(changed)), changed.updated_at
        )
        return Workflow(id, changed, spec)

    async def delete(self, owner: str, workflow: Workflow) -> None:
        """Its runs stay, and those that are under way go on."""
        self._check_own(owner, workflow)
        if workflow.spec is not None:
            await agents.delete_agent(self._core, owner, workflow.spec.name)
        await self._documents.delete(owner, WORKFLOWS, workflow.id)
        await self._documents.delete(NOBODY, OWNERS, workflow.id)

    def _check_own(self, owner: str, workflow: Workflow) -> None:
        if workflow.spec is not None and workflow.spec.owner != owner:
            raise Failed(SHARED_WORKFLOW)

    async def _with_steps(
        self,
        owner: str,
        id: str,
        name: str,
        description: str | None,
        before: AgentSpec | None,
        steps: Sequence[Any],
    ) -> AgentSpec:
        """The agent that does these steps, in the place of an earlier one."""
        core = self._core
        if before is None:
            free = await agents.free_name(core, owner, name)
            before = AgentSpec(
                id=id, name=free, kind=KIND, input_schema=EMPTY, owner=owner, created_at=core.clock.now()
            )
        return await make_workflow(
            core,
            owner,
            name=before.name,
            workflow=await read_steps(core, owner, steps),
            description=description or "",
            replaces=before,
        )

    async def _note(self, owner: str, id: str) -> WorkflowNote | None:
        found = await self._documents.get(owner, WORKFLOWS, id)
        return None if found is None else msgspec.json.decode(found, type=WorkflowNote)

    async def _notes(self, owner: str) -> dict[str, WorkflowNote]:
        notes: dict[str, WorkflowNote] = {}
        before: str | None = None
        while True:
            page = await self._documents.page(owner, WORKFLOWS, before=before, limit=AT_ONCE)
            notes.update({id: msgspec.json.decode(value, type=WorkflowNote) for id, value in page})
            if len(page) < AT_ONCE:
                return notes
            before = page[-1][0]


def _workflow(id: str, note: WorkflowNote | None, spec: AgentSpec | None) -> Workflow | None:
    """None for an agent that is no workflow. One that was made elsewhere is called as its agent is."""
    if spec is not None and spec.workflow is None:
        spec = None
    if note is None and spec is None:
        return None
    if note is None and spec is not None:
        at = spec.created_at
        note = WorkflowNote(
            name=spec.name, description=spec.description or None, created_at=at, updated_at=at, version=1
        )
    return Workflow(id, note, spec) if note is not None else None
