"""Questions of one kind that come at once are asked as one."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from runwell.domain.errors import StoreUnavailable
from runwell.store.postgres.lanes import Job, Lanes

K = TypeVar("K")
V = TypeVar("V")

LANES = 2


class Gathering(Generic[K, V]):
    """`ask` answers several keys at once; what it has nothing for it leaves out. `most`: how many it is
    given. Whatever was committed before a question was put is in its answer."""

    def __init__(self, ask: Callable[[list[K]], Awaitable[Mapping[K, V]]], most: int) -> None:
        self._ask = ask
        self._queue: Lanes[K, V | None] = Lanes(self._answer, lanes=LANES, works=most, size=1)

    async def get(self, key: K) -> V | None:
        return await self._queue.hand_in(key).answer

    async def _answer(self, jobs: list[Job[K, V | None]]) -> None:
        try:
            found = await self._ask(list(dict.fromkeys(job.asked for job in jobs)))
        except StoreUnavailable:
            raise
        except Exception:
            if len(jobs) == 1:
                raise
            # One of them cannot be asked: whose fault that is comes out when each is asked by itself.
            for job in jobs:
                await self._answer_alone(job)
        else:
            for job in jobs:
                job.reply(found.get(job.asked))

    async def _answer_alone(self, job: Job[K, V | None]) -> None:
        try:
            await self._answer([job])
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller hears it
            job.fail(error)
