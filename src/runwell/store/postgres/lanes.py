"""What is handed in while others are at the database goes there together, as soon as one is back. No timer:
who is alone waits for nobody."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from runwell.domain.errors import StoreUnavailable

FEW = 16
"""So many are not divided among lanes that are free."""

A = TypeVar("A")
V = TypeVar("V")


class Job(Generic[A, V]):
    """What is `asked`, and the `answer` to come. `size` is about how many bytes it takes along."""

    __slots__ = ("answer", "asked", "group", "size")

    def __init__(self, asked: A, size: int) -> None:
        self.asked = asked
        self.size = size
        self.answer: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self.group: asyncio.Task[None] | None = None
        """Who is at it; None before. A caller who is cancelled after that leaves it to be done."""

    def reply(self, value: V) -> None:
        if not self.answer.done():
            self.answer.set_result(value)

    def fail(self, error: Exception) -> None:
        """`error` may be that of many: each is given one of its own, for each grows a traceback."""
        if self.answer.done():
            return
        if isinstance(error, StoreUnavailable):
            error = StoreUnavailable(error.message, error.hint, retry_after=error.retry_after)
        self.answer.set_exception(error)


class Lanes(Generic[A, V]):
    """`serve` replies to all the jobs it is given, or raises, and then all fail. `lanes`: how often at a
    time; `works` and `size`: how much it is given at once. Belongs to one loop."""

    def __init__(
        self, serve: Callable[[list[Job[A, V]]], Awaitable[None]], *, lanes: int, works: int, size: int
    ) -> None:
        self._serve = serve
        self._lanes = lanes
        self._works = works
        self._size = size
        self._waiting: deque[Job[A, V]] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._looks = False

    def hand_in(self, asked: A, size: int = 0) -> Job[A, V]:
        job: Job[A, V] = Job(asked, size)
        self._waiting.append(job)
        if not self._looks and len(self._under_way) < self._lanes:
            # What else is handed in during this turn of the loop goes along.
            self._looks = True
            asyncio.get_running_loop().call_soon(self._start)
        return job

    def _start(self) -> None:
        self._looks = False
        while len(self._under_way) < self._lanes and (jobs := self._next()):
            task = asyncio.create_task(self._group(jobs), name="runwell-group")
            for job in jobs:
                job.group = task
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        self._start()

    def _next(self) -> list[Job[A, V]]:
        free = self._lanes - len(self._under_way)
        most = min(self._works, max(FEW, -(-len(self._waiting) // free)))
        jobs: list[Job[A, V]] = []
        size = 0
        while self._waiting and len(jobs) < most and size < self._size:
            job = self._waiting.popleft()
            if not job.answer.done():  # else its caller was cancelled
                jobs.append(job)
                size += job.size
        return jobs

    async def _group(self, jobs: list[Job[A, V]]) -> None:
        try:
            await self._serve(jobs)
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers hear it
            for job in jobs:
                job.fail(error)
        except BaseException:
            for job in jobs:
                job.answer.cancel()
            raise
