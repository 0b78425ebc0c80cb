"""What every route of this dialect works with."""

from runwell.dialects.dialect import Services
from runwell.dialects.exchange import Call
from runwell.dialects.recoup.access import admit
from runwell.dialects.recoup.chats import Chats
from runwell.dialects.recoup.turns import Turns
from runwell.domain.principal import Principal, Scope
from runwell.engine.core import Core


class Recoup:
    """The dialect's rooms."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.chats = Chats(services.core)
        self.turns = Turns(services.core, self.chats)

    @property
    def core(self) -> Core:
        return self.services.core

    async def reader(self, call: Call) -> Principal:
        return await admit(self.services.authenticator, call.headers, Scope.RUNS_READ)

    async def writer(self, call: Call) -> Principal:
        return await admit(self.services.authenticator, call.headers, Scope.RUNS_WRITE)
