"""Saying something in a chat: which agent answers, and the run that it makes."""

from typing import NamedTuple

from msgspec.structs import replace

from runwell.dialects.hardwire.chats import Chats
from runwell.dialects.hardwire.errors import CHAT_ACCESS_FORBIDDEN, NO_CHAT, Failed
from runwell.dialects.hardwire.messages import MessageView
from runwell.dialects.hardwire.requests import Say
from runwell.dialects.hardwire.words import LIVE, SOURCE, Kept, placed_id
from runwell.dialects.hardwire.workflows import Workflows
from runwell.domain.agent import ModelAgent
from runwell.domain.errors import ThreadBusy
from runwell.domain.run import Run
from runwell.domain.thread import IfBusy, Role
from runwell.engine import threads
from runwell.engine.core import Core
from runwell.engine.submit import Submission, submit
from runwell.ports.store import RunFilter


class Chosen(NamedTuple):
    """What runs: the agent of this name, the default one for None; or a model that the request brings."""

    agent: str | None = None
    model: ModelAgent | None = None
    workflow: str | None = None


class Sending:
    def __init__(self, core: Core, chats: Chats, workflows: Workflows) -> None:
        self._core = core
        self._chats = chats
        self._workflows = workflows

    async def admit(self, owner: str, user_id: str, chat_id: str, said: Say) -> bool:
        """Whether the chat is new. Raises `Failed` for another user's chat, and for a message in the name
        of another user."""
        new = await self._chats.find(owner, chat_id) is None
        if said.user is not None and said.user != user_id:
            raise Failed(NO_CHAT if new else CHAT_ACCESS_FORBIDDEN)
        return new

    async def choose(self, owner: str, said: Say) -> Chosen:
        """A workflow; else the agent or the configured model that `modelId` names; else the default agent.
        Raises `Failed` for a workflow that cannot run."""
        if said.workflow is not None:
            spec = await self._workflows.runnable(owner, said.workflow)
            return Chosen(spec.name, workflow=said.workflow)
        if said.model is None:
            return Chosen()
        if said.model in self._core.models.names(None):
            found = self._core.models.resolve(said.model, None)
            if isinstance(found, ModelAgent):
                return Chosen(model=replace(found, inline=True))
        spec_named = await self._core.store.agents.get(said.model, owner)
        # A workflow is asked for as one.
        answers = spec_named is not None and spec_named.workflow is None and spec_named.kind != "tool"
        return Chosen(said.model if answers else None)

    async def start(
        self, owner: str, chat_id: str, said: Say, chosen: Chosen, *, new: bool, if_busy: IfBusy
    ) -> Run:
        """The run, durable, with the message in the chat. Raises `ThreadBusy`, and what else `submit`
        raises."""
        added = await submit(
            self._core,
            Submission(
                owner=owner,
                input=said.content,
                agent=chosen.agent,
                definition=chosen.model,
                source=SOURCE,
                thread_id=chat_id,
                if_busy=if_busy,
                extra=Kept(chosen.workflow, said.model).encoded(),
            ),
        )
        if new:
            await self._chats.give_title(owner, chat_id, said.content)
        return added.run

    async def check_free(self, owner: str, chat_id: str) -> None:
        """Raise `ThreadBusy` while a run of the chat is live."""
        where = RunFilter(thread_id=chat_id, statuses=LIVE)
        found = await self._core.store.runs.page(owner, where, before=None, after=None, limit=1)
        if found:
            raise ThreadBusy(chat_id, found[0].id)

    async def note_failure(self, owner: str, chat_id: str, content: str, why: str) -> MessageView:
        """Keep a message that nothing could be started for, and why; the message."""
        await threads.create(self._core, owner, id=chat_id)
        said = await threads.append(self._core, owner, chat_id, Role.USER, content)
        await threads.append(self._core, owner, chat_id, Role.SYSTEM, why)
        return MessageView(placed_id(chat_id, said.position), chat_id, "user", content, said.at)
