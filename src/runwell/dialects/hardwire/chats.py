"""Chats: threads whose ids the clients choose. The first message makes one."""

import asyncio

from runwell.dialects.hardwire.errors import CHAT_ACCESS, NO_CHAT, Failed
from runwell.domain.run import Run
from runwell.domain.thread import Message, Thread
from runwell.engine import threads
from runwell.engine.core import Core
from runwell.ports.store import RunFilter

AT_ONCE = 500
LONGEST_TITLE = 80
"""Characters of the title that a chat gets from its first message."""


class Chats:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def get(self, owner: str, chat_id: str) -> Thread:
        """Raises `Failed`: another user's, or none."""
        chat = await self.find(owner, chat_id)
        if chat is None:
            raise Failed(NO_CHAT)
        return chat

    async def find(self, owner: str, chat_id: str) -> Thread | None:
        """None where there is none yet. Raises `Failed` for another user's."""
        await self.check(owner, chat_id, missing=False)
        whose = await self._core.store.threads.owner(chat_id)
        return None if whose is None else await threads.get(self._core, owner, chat_id)

    async def check(self, owner: str, chat_id: str, *, missing: bool = True) -> None:
        """Raise `Failed` for another user's chat, and with `missing` for none."""
        whose = await self._core.store.threads.owner(chat_id)
        if whose is None and missing:
            raise Failed(NO_CHAT)
        if whose not in (None, owner):
            raise Failed(CHAT_ACCESS)

    async def all(self, owner: str) -> list[Thread]:
        """The one changed last first. Ids are the clients' and say nothing of age, so all are looked at."""
        found: list[Thread] = []
        while True:
            before = found[-1].id if found else None
            page = await threads.page(self._core, owner, before=before, limit=AT_ONCE)
            found += page
            if len(page) < AT_ONCE:
                return sorted(found, key=lambda thread: (thread.updated_at, thread.id), reverse=True)
            # Others are waiting.
            await asyncio.sleep(0)

    async def delete(self, owner: str, chat_id: str) -> None:
        """Its runs stay, outside of it. Raises `ThreadBusy` while one is live."""
        await threads.delete(self._core, owner, chat_id)

    async def give_title(self, owner: str, chat_id: str, content: str) -> None:
        await threads.update(self._core, owner, chat_id, title=title_of(content))

    async def messages(self, chat_id: str) -> list[Message]:
        found: list[Message] = []
        while True:
            after = found[-1].position if found else 0
            page = await self._core.store.threads.messages(chat_id, after=after, limit=AT_ONCE)
            found += page
            if len(page) < AT_ONCE:
                return found

    async def runs(self, owner: str, chat_id: str) -> list[Run]:
        """Oldest first."""
        found: list[Run] = []
        where = RunFilter(thread_id=chat_id)
        while True:
            before = found[-1].id if found else None
            page = await self._core.store.runs.page(owner, where, before=before, after=None, limit=AT_ONCE)
            found += page
            if len(page) < AT_ONCE:
                return found[::-1]


def title_of(content: str) -> str:
    text = " ".join(content.split())
    return text if len(text) <= LONGEST_TITLE else f"{text[: LONGEST_TITLE - 1]}…"
