"""Which runs are runs of a workflow, and what their steps are."""

from runwell.dialects.hardwire.runs import Plan, RunView, StepView, facts_of, plan_for, steps_shown
from runwell.dialects.hardwire.words import kept_of, question_id
from runwell.domain.agent import WorkflowAgent, read_definition
from runwell.domain.errors import RunNotFound
from runwell.domain.ids import id_of_name
from runwell.domain.run import Run
from runwell.engine.core import Core


class Plans:
    """A workflow made through an API is frozen on its runs; one in code is found by its name."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def of(self, run: Run) -> Plan | None:
        """None for a run that is no workflow's."""
        if run.definition is not None:
            definition = read_definition(run.definition)
            return plan_for(definition) if isinstance(definition, WorkflowAgent) else None
        workflow = await self._in_code(run)
        if workflow is not None:
            return plan_for(workflow)
        # Its agent is gone; that it was a workflow is known.
        return () if kept_of(run).workflow is not None else None

    async def view(self, run: Run, plan: Plan) -> RunView:
        """The run as it is now, from what the store keeps."""
        facts = facts_of(run)
        steps = await self._core.store.steps.of(run.id)
        return await self.framed(run, steps_shown(plan, steps, facts))

    async def framed(self, run: Run, steps: tuple[StepView, ...]) -> RunView:
        """The run around these steps."""
        return RunView(
            id=run.id,
            chat=run.thread_id or "",
            workflow=await self.workflow_id(run),
            trigger=question_id(await self._root(run)),
            facts=facts_of(run),
            steps=steps,
        )

    async def workflow_id(self, run: Run) -> str:
        """What was asked for; else that of its agent, which may be gone: then one made from its name."""
        kept = kept_of(run).workflow
        if kept is not None:
            return kept
        spec = await self._core.store.agents.get(run.agent, run.owner)
        return spec.id if spec is not None else id_of_name(run.agent)

    async def _root(self, run: Run) -> str:
        """The run that brought the message which this one answers: a retry brings none."""
        id, earlier = run.id, run.retry_of or run.continues
        while earlier is not None:
            id = earlier
            try:
                before = await self._core.store.runs.get(id, run.owner)
            except RunNotFound:
                return id  # it was deleted; its message is still there
            earlier = before.retry_of or before.continues
        return id

    async def _in_code(self, run: Run) -> WorkflowAgent | None:
        if self._core.catalog is not None:
            agent = self._core.catalog.find(run.agent, None)
            if agent is not None:
                return agent.spec.workflow
        spec = await self._core.store.agents.get(run.agent, run.owner)
        return spec.workflow if spec is not None and spec.owner is None else None
