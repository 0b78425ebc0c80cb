"""The agent of a request that nothing here can run: it says why."""

from typing import Any, NoReturn

from runwell.domain.agent import AgentSpec, Refused
from runwell.domain.ids import id_of_name
from runwell.domain.json_gate import JsonValue
from runwell.ports.agent import AgentFailed, Context, SyncContext


class RefusingAgent:
    """An `Agent` that fails every run at once with the sentence and the reason it was made with."""

    def __init__(self, name: str, refused: Refused) -> None:
        self.spec = AgentSpec(id=id_of_name(name), name=name, kind="refused")
        self.blocking = False
        self._refused = refused

    def check_input(self, value: JsonValue) -> None:
        """Any input is refused later, and alike."""

    async def call(self, context: Context) -> Any:
        self._fail()

    def call_blocking(self, context: SyncContext) -> Any:
        self._fail()

    def _fail(self) -> NoReturn:
        raise AgentFailed(self._refused.reason, self._refused.refused)
