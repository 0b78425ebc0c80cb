"""Lists that lie in many runs: the messages of a thread, the steps of an agent."""

from collections.abc import Sequence
from typing import Any

from runwell.dialects.letta import ids
from runwell.dialects.letta.conversations import Place
from runwell.dialects.letta.errors import not_found
from runwell.dialects.letta.ids import StepNotFound
from runwell.dialects.letta.messages import Message
from runwell.dialects.letta.origin import origin_of
from runwell.dialects.letta.paging import Page, Walk, cut
from runwell.dialects.letta.steps import StepBody, bodies_of
from runwell.dialects.letta.telling import messages_of, transcript_of
from runwell.domain.errors import LogPruned
from runwell.domain.ids import spell_uuid
from runwell.domain.run import Run
from runwell.engine.core import Core
from runwell.ports.store import RunFilter


def bare(body: Any) -> str:
    """The bare id of a message or a step."""
    return str(body.id).partition("-")[2].replace("-", "")


async def run_messages(core: Core, run: Run) -> list[Message]:
    """Of the types that its request wants to see. Raises `LogPruned`."""
    origin = origin_of(run)
    return messages_of(run, await transcript_of(core, run), origin.shown if origin is not None else None)


async def page_of_run(core: Core, run: Run, page: Page) -> list[Message]:
    """Raises a refusal (404) for a cursor that is no message of the run."""
    messages = await run_messages(core, run)
    known = {bare(message) for message in messages}
    for cursor in (page.before, page.after):
        if cursor is not None and cursor not in known:
            raise no_message(cursor, None)
    return cut(messages, bare, page)


async def page_of_place(
    core: Core, owner: str, place: Place, page: Page, shown: frozenset[str] | None
) -> list[Message]:
    """The messages of all runs of a place. Runs whose log was pruned have none any more."""

    async def items(run: Run) -> Sequence[Message]:
        try:
            found = await run_messages(core, run)
        except LogPruned:
            return ()
        return found if shown is None else [each for each in found if each.message_type in shown]

    async def run_of(cursor: str) -> Run | None:
        run = await ids.run_of(core, owner, cursor)
        return run if run is not None and run.thread_id == place.thread_id else None

    def missing(cursor: str) -> Exception:
        return no_message(cursor, place)

    where = RunFilter(thread_id=place.thread_id)
    return await Walk(core, owner, where, items, bare, run_of, missing).page(page)


def no_message(cursor: str, place: Place | None) -> Exception:
    agent = ids.agent_id(place.agent.spec.id) if place is not None else None
    return not_found(f"No message found with id '{ids.message_id(cursor)}' for agent '{agent}'.")


async def page_of_steps(
    core: Core, owner: str, where: RunFilter, page: Page, model: str | None
) -> list[StepBody]:
    """The steps of all runs of the owner that `where` lets through."""

    async def items(run: Run) -> Sequence[StepBody]:
        found = await bodies_of(core, run)
        return found if model is None else [step for step in found if step.model == model]

    async def run_of(cursor: str) -> Run | None:
        return await ids.run_of(core, owner, cursor)

    def missing(cursor: str) -> Exception:
        return StepNotFound(f"step-{spell_uuid(cursor)}")

    return await Walk(core, owner, where, items, bare, run_of, missing).page(page)
