"""/api/sessions: sessions, their chats, and what was said in them."""

from msgspec.structs import replace

from runwell.dialects.exchange import Call, Reply
from runwell.dialects.recoup import bodies
from runwell.dialects.recoup.access import check_organization
from runwell.dialects.recoup.chats import Chat, ChatNote
from runwell.dialects.recoup.errors import NO_CHAT, Failed
from runwell.dialects.recoup.history import history
from runwell.dialects.recoup.recoup import Recoup
from runwell.dialects.recoup.requests import (
    read_chat_patch,
    read_new_chat,
    read_session,
    read_session_patch,
)
from runwell.dialects.recoup.responses import chat_body, json_reply, listed_chat, session_body


class SessionRoutes:
    """`call.param` is the session's id; the chat's stands beside it."""

    def __init__(self, recoup: Recoup) -> None:
        self._recoup = recoup
        self._chats = recoup.chats

    async def create_session(self, call: Call) -> Reply:
        """Make a session with a first chat."""
        wanted, caller = await self._recoup.written(call, read_session)
        owner = caller.owner
        check_organization(wanted.organization_id)
        id, note = await self._chats.make_session(owner, wanted.title, wanted.artist_id)
        chat = await self._chats.make_chat(owner, id)
        return json_reply(bodies.SessionMade(session=session_body(owner, id, note), chat=chat_body(chat)))

    async def get_session(self, call: Call) -> Reply:
        """Read a session."""
        owner = (await self._recoup.reader(call)).owner
        id, note = await self._chats.session(owner, call.param)
        return json_reply(bodies.SessionShown(session=session_body(owner, id, note)))

    async def update_session(self, call: Call) -> Reply:
        """Change a session."""
        wanted, caller = await self._recoup.written(call, read_session_patch)
        owner = caller.owner
        id, note = await self._chats.session(owner, call.param)
        given = {name: value for name, value in wanted._asdict().items() if value is not None}
        changed = await self._chats.change_session(owner, id, replace(note, **given))
        return json_reply(bodies.SessionShown(session=session_body(owner, id, changed)))

    async def list_chats(self, call: Call) -> Reply:
        """List a session's chats, oldest first."""
        owner = (await self._recoup.reader(call)).owner
        id, _ = await self._chats.session(owner, call.param)
        chats = [listed_chat(chat) for chat in await self._chats.of_session(owner, id)]
        return json_reply(bodies.ChatList(chats=chats, default_model_id=self._recoup.turns.default_model))

    async def create_chat(self, call: Call) -> Reply:
        """Make a chat in a session; with an `id` of the caller's choice, the same one each time."""
        wanted, caller = await self._recoup.written(call, read_new_chat)
        owner = caller.owner
        id, _ = await self._chats.session(owner, call.param)
        chat = await self._chats.make_chat(owner, id, id=wanted)
        return json_reply(bodies.ChatShown(chat=chat_body(chat)))

    async def get_chat(self, call: Call) -> Reply:
        """Read a chat with everything that was said in it.

        What a run is saying now is not in it: watch `/api/chat/{chatId}/stream`.
        """
        owner = (await self._recoup.reader(call)).owner
        chat, _ = await self._chat(owner, call)
        messages = await history(self._recoup.core, owner, chat.thread.id)
        return json_reply(
            bodies.ChatRead(chat=chat_body(chat), is_streaming=chat.live is not None, messages=messages)
        )

    async def update_chat(self, call: Call) -> Reply:
        """Change a chat's title or model."""
        wanted, caller = await self._recoup.written(call, read_chat_patch)
        owner = caller.owner
        chat, note = await self._chat(owner, call)
        model = wanted.model_id if wanted.model_id is not None else note.model
        changed = await self._chats.change_chat(owner, chat, replace(note, model=model), wanted.title)
        return json_reply(bodies.ChatShown(chat=chat_body(changed)))

    async def delete_chat(self, call: Call) -> Reply:
        """Delete a chat. Its runs stay, outside of it."""
        owner = (await self._recoup.writer(call)).owner
        chat, note = await self._chat(owner, call)
        await self._chats.delete_chat(owner, chat.thread.id, note.session)
        return json_reply(bodies.Success())

    async def mark_read(self, call: Call) -> Reply:
        """Note that a chat was read until now."""
        owner = (await self._recoup.writer(call)).owner
        chat, note = await self._chat(owner, call)
        now = self._recoup.core.clock.now()
        await self._chats.change_chat(owner, chat, replace(note, read_at=now))
        return json_reply(bodies.Success())

    async def _chat(self, owner: str, call: Call) -> tuple[Chat, ChatNote]:
        chat = await self._chats.chat_in(owner, call.param, call.scope["path_params"]["chatId"])
        if chat.note is None:
            raise Failed(404, NO_CHAT)
        return chat, chat.note
