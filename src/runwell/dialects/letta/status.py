"""GET /v1/runs/{run_id}: what is asked a thousand times for every run. Served without a framework."""

from runwell.dialects.exchange import Call, Reply
from runwell.dialects.letta.errors import JSON
from runwell.dialects.letta.letta import Letta, admit, run_id_of
from runwell.domain.principal import Scope


class ReadRun:
    def __init__(self, letta: Letta) -> None:
        self._render = letta.render
        self._authenticator = letta.services.authenticator
        self._runs = letta.core.store.runs

    async def __call__(self, call: Call) -> Reply:
        principal = await admit(self._authenticator, call.headers, Scope.RUNS_READ)
        run = await self._runs.get(run_id_of(call.param), principal.owner)
        return Reply(200, [JSON], await self._render.body(run))
