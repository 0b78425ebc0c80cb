"""Starting a run in a chat: which agent answers, what it is asked, and what the run remembers of it."""

from typing import Any

import msgspec

from runwell.dialects.recoup.chats import HEADLESS, NEW_CHAT, Chat, Chats
from runwell.dialects.recoup.requests import StartRun, asked_by_user, text_of_message
from runwell.domain.errors import LogPruned, RunwellError
from runwell.domain.events import RunCreated
from runwell.domain.ids import derived_id
from runwell.domain.json_gate import Json, decode
from runwell.domain.run import Run
from runwell.domain.thread import IfBusy, Role
from runwell.engine import threads
from runwell.engine.core import Core
from runwell.engine.submit import Submission, submit
from runwell.ports.store import RunFilter

SOURCE = "recoup"
LONGEST_TITLE = 80
"""Characters of the title that a chat gets from its first message."""


class Turn(msgspec.Struct, frozen=True, omit_defaults=True):
    """`Run.extra`: the client's id of the message that the run answers."""

    message_id: str | None = None


def turn_of(run: Run) -> Turn:
    """What the run remembers; nothing of a run that another API started."""
    if run.source != SOURCE:
        return Turn()
    return msgspec.json.decode(run.extra, type=Turn)


class Turns:
    def __init__(self, core: Core, chats: Chats) -> None:
        self._core = core
        self._chats = chats

    @property
    def default_model(self) -> str:
        """What a chat that names none runs on, for clients that show it."""
        names = self._core.models.names(self._core.default_agent)
        return names[0] if names else "default"

    async def start(self, owner: str, wanted: StartRun) -> tuple[Run, str]:
        """A run in a chat of its own, in a session of its own, whose id is returned too.

        Raises what `submit` raises; then nothing stays behind, but for a process that dies on the way:
        a chat in which nothing happened, with an id that nobody was told.
        """
        model = wanted.model or self.default_model
        session, _ = await self._chats.make_session(owner, HEADLESS, wanted.artist_id)
        chat = await self._chats.make_chat(owner, session, title=HEADLESS, model=model)
        earlier, message = asked_by_user(wanted.messages)
        try:
            for each in earlier:
                role = Role(each["role"])
                await threads.append(self._core, owner, chat.thread.id, role, _kept(each))
            run = await self._submit(owner, chat, message)
        except RunwellError:
            await self._chats.delete_chat(owner, chat.thread.id, session)
            await self._chats.drop_session(owner, session)
            raise
        return run, session

    async def send(self, owner: str, chat: Chat, messages: list[dict[str, Any]]) -> Run:
        """A run that answers the last message of the user. Raises `ThreadBusy`, and what else `submit`
        raises."""
        _, message = asked_by_user(messages)
        run = await self._submit(owner, chat, message)
        if chat.thread.messages == 0 and chat.thread.title in (None, NEW_CHAT):
            await threads.update(self._core, owner, chat.thread.id, title=title_of(message))
        return run

    async def _submit(self, owner: str, chat: Chat, message: dict[str, Any]) -> Run:
        text = text_of_message(message)
        message_id: str | None = message.get("id")
        label = derived_id("recoup.message", chat.thread.id, message_id) if message_id is not None else None
        again = await self._answered(owner, chat, label, text)
        added = await submit(
            self._core,
            Submission(
                owner=owner, input=text, agent=await self._agent(owner, chat), source=SOURCE,
                thread_id=chat.thread.id, if_busy=IfBusy.REFUSE, label=label,
                extra=Json(msgspec.json.encode(Turn(message_id))),
                # Asked again, it is in the chat already: the new answer takes the place of the old one.
                retry_of=again.id if again is not None else None,
            ),
        )  # fmt: skip
        return added.run

    async def _answered(self, owner: str, chat: Chat, label: str | None, text: str) -> Run | None:
        """The newest run that answers this very message; one with another text was edited, and is new."""
        if label is None:
            return None
        store = self._core.store
        where = RunFilter(label=label, thread_id=chat.thread.id)
        found = await store.runs.page(owner, where, before=None, after=None, limit=1)
        if not found:
            return None
        try:
            lines = await store.events.read(found[0].id, 0, 1)
        except LogPruned:
            return None
        created = lines[0].event if lines else None
        same = isinstance(created, RunCreated) and decode(created.input) == text
        return found[0] if same else None

    async def _agent(self, owner: str, chat: Chat) -> str | None:
        """The agent that the chat's model names; the default one for the names of models."""
        model = chat.note.model if chat.note is not None else None
        if model is None:
            return None
        return model if await self._core.store.agents.get(model, owner) is not None else None


def title_of(message: dict[str, Any]) -> str:
    text = " ".join(text_of_message(message, " ").split())
    return text if len(text) <= LONGEST_TITLE else f"{text[: LONGEST_TITLE - 1]}…"


def _kept(message: dict[str, Any]) -> dict[str, Any]:
    """An earlier message as the thread keeps it: its role stands beside it."""
    return {name: message[name] for name in ("id", "parts") if name in message}
