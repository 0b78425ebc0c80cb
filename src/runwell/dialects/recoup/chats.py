"""Sessions and chats. A chat is a thread; what only this API knows of it stands in documents:

    recoup.sessions          a session, by its id
    recoup.chats             a chat's session and model, by the id of the thread
    recoup.chats.SESSION     which chats a session has, by their ids

Documents are written before the thread, and a chat without its thread is none: a process that dies in
between leaves nothing that is shown, and whoever comes again with the same id completes it.
"""

from collections.abc import AsyncIterator
from typing import Literal, NamedTuple, TypeVar

import msgspec
from msgspec.structs import replace

from runwell.dialects.recoup.errors import NO_CHAT, NO_SESSION, NOT_YOURS, Failed
from runwell.dialects.recoup.requests import UUID
from runwell.dialects.recoup.words import ENDED, LIVE
from runwell.domain.errors import ThreadNotFound
from runwell.domain.ids import new_id
from runwell.domain.instant import Instant
from runwell.domain.json_gate import Json
from runwell.domain.run import Run
from runwell.domain.thread import Thread
from runwell.engine import threads
from runwell.engine.core import Core
from runwell.ports.store import RunFilter

SESSIONS = "recoup.sessions"
CHATS = "recoup.chats"
NEW_CHAT = "New chat"
NEW_SESSION = "New session"
HEADLESS = "Scheduled generation"
"""The title of what a headless run is kept in."""
AT_ONCE = 500

T = TypeVar("T")


class SessionNote(msgspec.Struct, frozen=True, kw_only=True):
    """A session. Instants are µs."""

    title: str
    created_at: Instant
    updated_at: Instant
    status: Literal["running", "completed", "failed", "archived"] = "running"
    artist_id: str | None = None
    lines_added: int | None = None
    lines_removed: int | None = None


class ChatNote(msgspec.Struct, frozen=True, kw_only=True):
    """What the thread does not know. `read_at`: until when its account has read it."""

    session: str
    model: str | None = None
    read_at: Instant = 0


class Chat(NamedTuple):
    """`live` is the newest run that has not ended, `last` the newest that has. A thread that was made in
    another API has no note."""

    thread: Thread
    note: ChatNote | None
    live: Run | None
    last: Run | None


class Chats:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._documents = core.store.documents

    async def make_session(
        self, owner: str, title: str | None, artist_id: str | None
    ) -> tuple[str, SessionNote]:
        now = self._core.clock.now()
        id = new_id(now)
        note = SessionNote(title=title or NEW_SESSION, artist_id=artist_id, created_at=now, updated_at=now)
        await self._documents.put(owner, SESSIONS, id, _written(note), now)
        return id, note

    async def session(self, owner: str, text: str) -> tuple[str, SessionNote]:
        """Its id, and what is known of it. Raises `Failed`, also for a text that is no id."""
        id = _id_of(text)
        found = await self._find(owner, SESSIONS, id, SessionNote) if id is not None else None
        if id is None or found is None:
            raise Failed(404, NO_SESSION)
        return id, found

    async def change_session(self, owner: str, id: str, note: SessionNote) -> SessionNote:
        now = self._core.clock.now()
        changed = replace(note, updated_at=now)
        await self._documents.put(owner, SESSIONS, id, _written(changed), now)
        return changed

    async def drop_session(self, owner: str, id: str) -> None:
        await self._documents.delete(owner, SESSIONS, id)

    async def make_chat(
        self,
        owner: str,
        session: str,
        *,
        id: str | None = None,
        title: str = NEW_CHAT,
        model: str | None = None,
    ) -> Chat:
        """A new chat of the session, or the session's own with this UUID. Raises `Failed` for an id that
        is in use elsewhere."""
        now = self._core.clock.now()
        chat_id = (_id_of(id) if id is not None else None) or new_id(now)
        whose = await self._core.store.threads.owner(chat_id)
        known = await self._find(owner, CHATS, chat_id, ChatNote)
        if whose not in (None, owner) or (known is not None and known.session != session):
            raise Failed(409, "Chat ID conflict", bare=True)
        await self._documents.put(owner, f"{CHATS}.{session}", chat_id, Json(b"{}"), now)
        if known is None:
            await self._documents.put(
                owner, CHATS, chat_id, _written(ChatNote(session=session, model=model)), now
            )
        try:
            thread = await threads.create(self._core, owner, id=chat_id, title=title)
        except ThreadNotFound as error:  # somebody else was quicker with this id
            raise Failed(409, "Chat ID conflict", bare=True) from error
        return await self._with_runs(owner, thread)

    async def chat(self, owner: str, chat_id: str) -> Chat:
        """Raises `Failed`: nobody's, or somebody else's."""
        id = _id_of(chat_id)
        whose = await self._core.store.threads.owner(id) if id is not None else None
        if id is None or whose is None:
            raise Failed(404, NO_CHAT)
        if whose != owner:
            raise Failed(403, NOT_YOURS)
        return await self._with_runs(owner, await threads.get(self._core, owner, id))

    async def chat_in(self, owner: str, session_id: str, chat_id: str) -> Chat:
        """Raises `Failed`; a chat of another session is no chat of this one."""
        try:
            session, _ = await self.session(owner, session_id)
        except Failed:
            # Whoever names another account's chat is told so, whichever session is named with it.
            id = _id_of(chat_id)
            if id is not None and await self._core.store.threads.owner(id) not in (None, owner):
                raise Failed(403, NOT_YOURS) from None
            raise
        chat = await self.chat(owner, chat_id)
        if chat.note is None or chat.note.session != session:
            raise Failed(404, NO_CHAT)
        return chat

    async def of_session(self, owner: str, session: str) -> list[Chat]:
        """Oldest first."""
        chats = []
        async for id in self._ids(owner, f"{CHATS}.{session}"):
            try:
                thread = await threads.get(self._core, owner, id)
            except ThreadNotFound:
                continue  # deleted, or never completed
            chats.append(await self._with_runs(owner, thread))
        return sorted(chats, key=lambda chat: (chat.thread.created_at, chat.thread.id))

    async def change_chat(self, owner: str, chat: Chat, note: ChatNote, title: str | None = None) -> Chat:
        now = self._core.clock.now()
        if note != chat.note:
            await self._documents.put(owner, CHATS, chat.thread.id, _written(note), now)
        thread = chat.thread
        if title is not None or note.model != (chat.note.model if chat.note is not None else None):
            thread = await threads.update(self._core, owner, thread.id, title=title)
        return Chat(thread, note, chat.live, chat.last)

    async def delete_chat(self, owner: str, chat_id: str, session: str) -> None:
        """Raises `ThreadBusy` while a run in it is live."""
        await threads.delete(self._core, owner, chat_id)
        await self._documents.delete(owner, f"{CHATS}.{session}", chat_id)
        await self._documents.delete(owner, CHATS, chat_id)

    async def live_runs(self, owner: str, thread_id: str) -> list[Run]:
        where = RunFilter(thread_id=thread_id, statuses=LIVE)
        return await self._core.store.runs.page(owner, where, before=None, after=None, limit=AT_ONCE)

    async def _with_runs(self, owner: str, thread: Thread) -> Chat:
        async def newest(where: RunFilter) -> Run | None:
            found = await self._core.store.runs.page(owner, where, before=None, after=None, limit=1)
            return found[0] if found else None

        return Chat(
            thread,
            await self._find(owner, CHATS, thread.id, ChatNote),
            await newest(RunFilter(thread_id=thread.id, statuses=LIVE)),
            await newest(RunFilter(thread_id=thread.id, statuses=ENDED)),
        )

    async def _find(self, owner: str, space: str, id: str, kind: type[T]) -> T | None:
        found = await self._documents.get(owner, space, id)
        return msgspec.json.decode(found, type=kind) if found is not None else None

    async def _ids(self, owner: str, space: str) -> AsyncIterator[str]:
        before: str | None = None
        while True:
            found = await self._documents.page(owner, space, before=before, limit=AT_ONCE)
            for id, _ in found:
                yield id
            if len(found) < AT_ONCE:
                return
            before = found[-1][0]


def _id_of(text: str) -> str | None:
    """The id in a UUID, or an id already; None for what is neither."""
    if UUID.match(text):
        return text.replace("-", "").lower()
    return text if len(text) == 32 and set(text) <= set("0123456789abcdef") else None


def _written(note: msgspec.Struct) -> Json:
    return Json(msgspec.json.encode(note))
