"""The client for async code."""

from types import TracebackType
from typing import Self

from runwell.client.callbacks import AsyncCallbacks, AsyncDeliveries
from runwell.client.overview import AsyncUsers, AsyncWorkers
from runwell.client.patience import Patience
from runwell.client.resources import AsyncAgents, AsyncKeys, AsyncThreads
from runwell.client.runs import AsyncRuns
from runwell.client.schedules import AsyncSchedules
from runwell.client.transport import Notice, Transport
from runwell.client.triggers import AsyncTriggers


class AsyncClient:
    """A Runwell server::

        async with AsyncClient() as client:
            run = await client.runs.create("summarize", text)
            async for piece in client.runs.text(run.id):
                print(piece, end="")

    `base_url` and `key` default to `RUNWELL_URL` (else http://127.0.0.1:8005) and `RUNWELL_KEY`.
    `timeout` is how many seconds one answer may take, long-polls on top. `patience` is for how many
    seconds a failing server is asked again; a `Patience` says more. `notice` is called before each
    such wait. Belongs to the event loop it is first used on. Raises `ValueError` for a bad address.
    """

    def __init__(
        self,
        base_url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 30.0,
        patience: float | Patience = 60.0,
        notice: Notice | None = None,
    ) -> None:
        how_long = patience if isinstance(patience, Patience) else Patience(total=patience)
        self._transport = Transport(base_url, key, timeout, how_long, notice)
        self.runs = AsyncRuns(self._transport)
        self.agents = AsyncAgents(self._transport)
        self.threads = AsyncThreads(self._transport)
        self.keys = AsyncKeys(self._transport)
        self.triggers = AsyncTriggers(self._transport)
        self.schedules = AsyncSchedules(self._transport)
        self.callbacks = AsyncCallbacks(self._transport)
        self.deliveries = AsyncDeliveries(self._transport)
        self.workers = AsyncWorkers(self._transport)
        self.users = AsyncUsers(self._transport)

    @property
    def base_url(self) -> str:
        return self._transport.base_url

    @property
    def reached(self) -> bool:
        """Whether the server has answered this client, with whatever."""
        return self._transport.reached

    async def close(self) -> None:
        """Close the connections. Also done at the end of `async with`."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
