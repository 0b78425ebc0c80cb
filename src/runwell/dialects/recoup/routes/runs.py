"""/api/chat/runs: headless runs. Start one, and ask whether it is done."""

from functools import lru_cache

from runwell.dialects.exchange import Call, Reply
from runwell.dialects.recoup import responses
from runwell.dialects.recoup.access import check_account, check_organization
from runwell.dialects.recoup.errors import NO_RUN, Failed
from runwell.dialects.recoup.recoup import Recoup
from runwell.dialects.recoup.requests import read_start
from runwell.domain.errors import InvalidId
from runwell.domain.ids import parse_id

KNOWN_IDS = 4_096


class RunRoutes:
    def __init__(self, recoup: Recoup) -> None:
        self._recoup = recoup
        self._core = recoup.core
        # Who polls asks for the same few runs, and 26 characters of Crockford's are slow to read.
        self._id_of = lru_cache(maxsize=KNOWN_IDS)(parse_id)

    async def start_run(self, call: Call) -> Reply:
        """Start a headless run.

        It gets a chat of its own: watch it at `/api/chat/{chatId}/stream`, read what was said under
        `/api/sessions/{sessionId}/chats/{chatId}`.
        """
        wanted, caller = await self._recoup.written(call, read_start)
        check_account(caller.owner, wanted.account_id)
        check_organization(wanted.organization_id)
        run, session = await self._recoup.turns.start(caller.owner, wanted)
        return responses.started(run, session, call.mount)

    async def get_run(self, call: Call) -> Reply:
        """Read the status of a run."""
        caller = await self._recoup.reader(call)
        try:
            run_id = self._id_of(call.param)
        except InvalidId as error:
            raise Failed(404, NO_RUN) from error
        run = await self._core.store.runs.get(run_id, caller.owner)
        return responses.run_status(run, call.param, self._core.clock.now())
