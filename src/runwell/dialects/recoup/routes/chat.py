"""/api/chat: say something and watch the answer, watch it again, stop it."""

from starlette.responses import Response

from runwell.dialects.exchange import Call, Reply
from runwell.dialects.recoup import responses
from runwell.dialects.recoup.access import check_queried_account
from runwell.dialects.recoup.bodies import Stopped
from runwell.dialects.recoup.errors import NO_CHAT, Failed
from runwell.dialects.recoup.recoup import Recoup
from runwell.dialects.recoup.requests import chat_id_of, query_of, read_send, start_index
from runwell.dialects.recoup.stream import frames_so_far, nothing, watch
from runwell.domain.errors import (
    IllegalTransition,
    InvalidId,
    LogPruned,
    RunNotFound,
    Unavailable,
)
from runwell.domain.ids import parse_id
from runwell.domain.principal import Principal
from runwell.domain.run import Run, RunStatus
from runwell.engine import control
from runwell.stream.poll import wait_until
from runwell.stream.presence import Attended

RUN_PREFIX = "wrun_"
STOP_WITHIN = 8.0
"""Seconds that a stop is waited for."""


class ChatRoutes:
    def __init__(self, recoup: Recoup) -> None:
        self._recoup = recoup
        self._core = recoup.core

    async def send_message(self, call: Call) -> Response:
        """Send a message and watch the answer.

        The last message of the user is what the agent is asked; the earlier ones are in the chat already.
        The run outlives this connection: go on at `/api/chat/{chatId}/stream?startIndex=` with the number
        of frames that came.
        """
        wanted, caller = await self._recoup.written(call, read_send)
        chat = await self._recoup.chats.chat_in(caller.owner, wanted.session_id, wanted.chat_id)
        # Before the run is there: one that cannot be watched must not be started.
        self._recoup.services.closing.admit_stream(caller.who)
        run = await self._recoup.turns.send(caller.owner, chat, wanted.messages)
        return watch(self._recoup.services, caller, run)

    async def watch_chat(self, call: Call) -> Response | Reply:
        """Watch what a chat's run says, from its beginning or from frame `startIndex` on.

        With `startIndex` also a run that has ended: the chat's last one, as long as its log is kept.
        """
        caller = await self._recoup.reader(call)
        query = query_of(call)
        check_queried_account(caller.owner, query)
        if call.param.startswith(RUN_PREFIX):
            live, last = await self._named(caller, call.param)
        else:
            chat = await self._recoup.chats.chat(caller.owner, chat_id_of(call.param))
            live, last = chat.live, chat.last
        start = start_index(query)
        run = live if live is not None else last
        if run is None or (live is None and start is None):
            return self._nothing()
        try:
            count = await frames_so_far(self._core, run)
        except LogPruned:
            return self._nothing()
        if run.final and (start or 0) >= count:
            return self._nothing()
        return watch(self._recoup.services, caller, run, start or 0, count - 1)

    async def stop_chat(self, call: Call) -> Reply:
        """Cancel what runs in a chat. Answers when it has stopped."""
        caller = await self._recoup.writer(call)
        check_queried_account(caller.owner, query_of(call))
        chat = await self._recoup.chats.chat(caller.owner, chat_id_of(call.param))
        live = await self._recoup.chats.live_runs(caller.owner, chat.thread.id)
        asked = [run for run in live if await self._cancel(run)]
        stopped = [await self._ended(call, run) for run in asked]
        return responses.json_reply(Stopped(stopped=RunStatus.CANCELLED in stopped))

    async def _named(self, caller: Principal, text: str) -> tuple[Run | None, Run | None]:
        """The one run as the live or the ended one. `WorkflowChatTransport` comes back with the id of the
        run unless it is told to use the chat's."""
        try:
            run = await self._core.store.runs.get(parse_id(text), caller.owner)
        except (InvalidId, RunNotFound) as error:
            raise Failed(404, NO_CHAT) from error
        return (None, run) if run.final else (run, None)

    def _nothing(self) -> Response | Reply:
        if self._recoup.services.options.recoup_empty_stream == "finish":
            return nothing(self._recoup.services)
        return responses.empty(204)

    async def _cancel(self, run: Run) -> bool:
        """Whether it was there to be cancelled."""
        try:
            await control.cancel(self._core, run.owner, run.id, by=run.owner)
        except (IllegalTransition, RunNotFound):
            return False  # it has ended by itself meanwhile
        return True

    async def _ended(self, call: Call, run: Run) -> RunStatus:
        """How it ended. Raises `Failed` when it does not in time, `Unavailable` when the server closes."""
        closing = self._recoup.services.closing
        async with Attended(call.receive, closing, closing.polls):
            try:
                seen = await wait_until(
                    self._core.store, self._core.signals, run.id, run.owner, lambda it: it.final, STOP_WITHIN
                )
            except RunNotFound:
                return RunStatus.CANCELLED  # deleted: it had ended
            if not seen.final:
                raise Failed(504, "Workflow did not terminate in time")
            return seen.status
        raise Unavailable("The server is closing", "Ask again in a moment.")
