"""Does the steps of a workflow: each as soon as what it waits for is done, as one durable step."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from runwell.agents.workflow.context import Part, StepContext, ThreadStepContext
from runwell.agents.workflow.inputs import input_of
from runwell.agents.workflow.progress import Board
from runwell.domain.agent import WorkflowAgent, WorkflowStep
from runwell.domain.run import Reason
from runwell.domain.step import StepKind
from runwell.domain.workflow import last_of, needs_of, plan_of
from runwell.ports.agent import Agent, AgentFailed, Context


class Driver:
    """One attempt at one workflow. Finished steps come from the log, so it goes on where it was."""

    def __init__(self, context: Context, workflow: WorkflowAgent, agents: Mapping[str, Agent]) -> None:
        """`agents` do the steps, by the step's id."""
        self._context = context
        self._workflow = workflow
        self._agents = agents
        self._plan = plan_of(workflow)
        self._needs = needs_of(workflow)
        self._steps = {step.id: step for step in self._plan}
        self._outputs: dict[str, Any] = {}
        self._board = Board(len(self._plan))
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._failure: AgentFailed | None = None

    async def run(self) -> Any:
        """The output of the last step; with several last ones an object of theirs, by id.

        After a failure nothing more is begun; what is under way is paid for, and ends first. Raises
        `AgentFailed`.
        """
        try:
            self._begin_ready()
            while self._tasks:
                await self._context.progress(*self._board.now())
                self._settle(await self._first_to_end())
                if self._failure is None:
                    self._begin_ready()
        finally:
            await self._let_go()
        if self._failure is not None:
            raise self._failure
        await self._context.progress(100.0)
        last = last_of(self._workflow)
        if len(last) == 1:
            return self._outputs[last[0].id]
        return {step.id: self._outputs[step.id] for step in last}

    def _begin_ready(self) -> None:
        for step in self._plan:
            known = step.id in self._tasks or step.id in self._outputs
            if not known and self._outputs.keys() >= set(self._needs[step.id]):
                self._board.begin(step.id, step.name)
                self._tasks[step.id] = asyncio.create_task(self._do(step))

    async def _do(self, step: WorkflowStep) -> Any:
        agent = self._agents[step.id]
        before = [(self._steps[id], self._outputs[id]) for id in self._needs[step.id]]
        given = input_of(step, agent, self._context.input, before)
        part = Part(step, self._context.run, given, self._board)
        work = self._blocking_work(agent, part) if agent.blocking else self._work(agent, part)
        return await self._context.step(step.name, work, key=step.id, kind=StepKind.WORKFLOW)

    def _work(self, agent: Agent, part: Part) -> Callable[[], Awaitable[Any]]:
        async def work() -> Any:
            return part.outcome(await agent.call(StepContext(self._context, part)))

        return work

    def _blocking_work(self, agent: Agent, part: Part) -> Callable[[], Any]:
        """A plain function: the run's context puts it into a thread, and never onto the loop."""

        def work() -> Any:
            return part.outcome(agent.call_blocking(ThreadStepContext(self._context.for_thread(), part)))

        return work

    async def _first_to_end(self) -> str:
        """The id of a step that has ended; of several, the first in the plan, so that a later attempt,
        for which many have ended at once, tells it alike."""
        done, _ = await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_COMPLETED)
        return next(step.id for step in self._plan if self._tasks.get(step.id) in done)

    def _settle(self, id: str) -> None:
        task = self._tasks.pop(id)
        error = _error_of(task)
        self._board.end(id, done=error is None)
        if error is None:
            self._outputs[id] = task.result()
        elif not isinstance(error, Exception):
            raise error  # the attempt is over: nobody's fault
        elif self._failure is None:
            self._failure = _failure(id, error)

    async def _let_go(self) -> None:
        """When the run itself is interrupted: its steps are, too, and are unwound before it is."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


def _error_of(task: asyncio.Task[Any]) -> BaseException | None:
    if task.cancelled():
        return RuntimeError("it was cancelled from within")
    return task.exception()


def _failure(id: str, error: Exception) -> AgentFailed:
    """The first failure, as the run's own; the reason is kept."""
    reason = error.reason if isinstance(error, AgentFailed) else Reason.ERROR
    failure = AgentFailed(reason, f"step {id!r} failed: {_words(error)}")
    failure.__cause__ = error
    return failure


def _words(error: Exception) -> str:
    try:
        return str(error) or type(error).__name__
    except Exception:  # noqa: BLE001 - a broken __str__ must not hide which step failed
        return type(error).__name__
