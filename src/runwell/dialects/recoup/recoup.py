"""What every route of this dialect works with."""

from collections.abc import Callable
from typing import TypeVar

from runwell.dialects.dialect import Services
from runwell.dialects.exchange import Call
from runwell.dialects.recoup.access import admit
from runwell.dialects.recoup.chats import Chats
from runwell.dialects.recoup.turns import Turns
from runwell.domain.principal import Principal, Scope
from runwell.engine.core import Core

T = TypeVar("T")

STRANGERS_BODY = 128 * 1_024
"""Bytes of a body that are read for whoever sent it."""


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

    async def written(self, call: Call, read: Callable[[bytes], T]) -> tuple[T, Principal]:
        """The body, as `read` reads it, and who sent it.

        The original looks at the body before it looks at its sender. So do we while it is small: reading
        a large one takes seconds, which nobody unknown may have of a server.
        """
        body = await call.body()
        if len(body) > STRANGERS_BODY:
            caller = await self.writer(call)
            return read(body), caller
        wanted = read(body)
        return wanted, await self.writer(call)
