"""The client for plain code: the async one, driven on an event loop in a background thread.

The only file that crosses from one world to the other. Each method here is the async one with the
same parameters, result and docstring; an async iterator becomes a plain one.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from runwell.client.asynchronous import AsyncClient
from runwell.client.callbacks import AsyncCallbacks, AsyncDeliveries
from runwell.client.overview import AsyncUsers, AsyncWorkers
from runwell.client.patience import Patience
from runwell.client.resources import AsyncAgents, AsyncKeys, AsyncThreads
from runwell.client.runs import AsyncRuns
from runwell.client.schedules import AsyncSchedules
from runwell.client.transport import Notice
from runwell.client.triggers import AsyncTriggers

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R")


class Portal:
    """An event loop in a daemon thread. Not usable in a child after `fork`, as no thread is."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="runwell-client", daemon=True)
        self._thread.start()

    @property
    def open(self) -> bool:
        return not self._loop.is_closed()

    def call(self, work: Coroutine[Any, Any, R]) -> R:
        """The result of `work`. An interrupt here (Ctrl-C) cancels it there, and waits for that:
        whoever cleans up next must not find it still running."""
        started: list[asyncio.Task[R]] = []
        ended: list[asyncio.Task[R]] = []
        # A bare lock, for an interrupt inside a Condition, and so a Future, may leave it broken.
        ending = threading.Lock()
        ending.acquire()

        def end(task: asyncio.Task[R]) -> None:
            ended.append(task)
            ending.release()

        def start() -> None:
            task = self._loop.create_task(work)
            started.append(task)
            task.add_done_callback(end)

        def stop() -> None:
            if started:
                started[0].cancel()
            else:  # the interrupt came before the start was handed over
                work.close()
                ending.release()

        try:
            self._loop.call_soon_threadsafe(start)
            ending.acquire()
        except BaseException:
            self._loop.call_soon_threadsafe(stop)
            if not ended:
                ending.acquire()
            raise
        return ended[0].result()

    def close(self) -> None:
        self.call(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Face:
    def __init__(self, portal: Portal, inner: Any) -> None:
        self.portal = portal
        self.inner = inner


def _blocking(method: Callable[Concatenate[A, P], Awaitable[R]]) -> Callable[Concatenate[Any, P], R]:
    @wraps(method)
    def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        async def work() -> R:
            return await method(self.inner, *args, **kwargs)

        portal: Portal = self.portal
        return portal.call(work())

    return call


def _iterating(
    method: Callable[Concatenate[A, P], AsyncGenerator[R, None]],
) -> Callable[Concatenate[Any, P], Iterator[R]]:
    @wraps(method)
    def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        source = method(self.inner, *args, **kwargs)

        async def step() -> tuple[R] | None:
            try:
                return (await anext(source),)
            except StopAsyncIteration:  # cannot travel through a future
                return None

        try:
            while (item := self.portal.call(step())) is not None:
                yield item[0]
        finally:
            self.portal.call(source.aclose())

    return call


class Runs(_Face):
    """`client.runs`. An id may have any spelling the server reads. Every method raises `ApiError`."""

    create = _blocking(AsyncRuns.create)
    get = _blocking(AsyncRuns.get)
    wait = _blocking(AsyncRuns.wait)
    watch = _iterating(AsyncRuns.watch)
    events = _iterating(AsyncRuns.events)
    text = _iterating(AsyncRuns.text)
    steps = _blocking(AsyncRuns.steps)
    list = _iterating(AsyncRuns.list)
    stats = _blocking(AsyncRuns.stats)
    why = _blocking(AsyncRuns.why)
    bulk = _blocking(AsyncRuns.bulk)
    cancel = _blocking(AsyncRuns.cancel)
    answer = _blocking(AsyncRuns.answer)
    retry = _blocking(AsyncRuns.retry)
    delete = _blocking(AsyncRuns.delete)


class Agents(_Face):
    """`client.agents`. Every method raises `ApiError`."""

    list = _blocking(AsyncAgents.list)
    get = _blocking(AsyncAgents.get)
    put = _blocking(AsyncAgents.put)
    delete = _blocking(AsyncAgents.delete)


class Threads(_Face):
    """`client.threads`. Every method raises `ApiError`."""

    create = _blocking(AsyncThreads.create)
    get = _blocking(AsyncThreads.get)
    update = _blocking(AsyncThreads.update)
    delete = _blocking(AsyncThreads.delete)
    list = _iterating(AsyncThreads.list)
    messages = _iterating(AsyncThreads.messages)
    add_message = _blocking(AsyncThreads.add_message)


class Keys(_Face):
    """`client.keys`; needs the scope `admin`. Every method raises `ApiError`."""

    create = _blocking(AsyncKeys.create)
    list = _blocking(AsyncKeys.list)
    revoke = _blocking(AsyncKeys.revoke)


class Triggers(_Face):
    """`client.triggers`. Every method raises `ApiError`."""

    create = _blocking(AsyncTriggers.create)
    list = _blocking(AsyncTriggers.list)
    get = _blocking(AsyncTriggers.get)
    rename = _blocking(AsyncTriggers.rename)
    pause = _blocking(AsyncTriggers.pause)
    resume = _blocking(AsyncTriggers.resume)
    delete = _blocking(AsyncTriggers.delete)


class Schedules(_Face):
    """`client.schedules`. Every method raises `ApiError`."""

    create = _blocking(AsyncSchedules.create)
    list = _iterating(AsyncSchedules.list)
    get = _blocking(AsyncSchedules.get)
    update = _blocking(AsyncSchedules.update)
    pause = _blocking(AsyncSchedules.pause)
    resume = _blocking(AsyncSchedules.resume)
    delete = _blocking(AsyncSchedules.delete)
    fire = _blocking(AsyncSchedules.fire)


class Workers(_Face):
    """`client.workers`; needs the scope `admin`. Every method raises `ApiError`."""

    list = _blocking(AsyncWorkers.list)


class Users(_Face):
    """`client.users`; needs the scope `admin`. Every method raises `ApiError`."""

    list = _blocking(AsyncUsers.list)
    disable = _blocking(AsyncUsers.disable)
    enable = _blocking(AsyncUsers.enable)
    sessions = _blocking(AsyncUsers.sessions)
    sign_out = _blocking(AsyncUsers.sign_out)


class Callbacks(_Face):
    """`client.callbacks`. Every method raises `ApiError`."""

    create = _blocking(AsyncCallbacks.create)
    list = _blocking(AsyncCallbacks.list)
    get = _blocking(AsyncCallbacks.get)
    update = _blocking(AsyncCallbacks.update)
    delete = _blocking(AsyncCallbacks.delete)
    rotate = _blocking(AsyncCallbacks.rotate)
    secret = _blocking(AsyncCallbacks.secret)


class Deliveries(_Face):
    """`client.deliveries`. Every method raises `ApiError`."""

    list = _iterating(AsyncDeliveries.list)
    of = _blocking(AsyncDeliveries.of)
    get = _blocking(AsyncDeliveries.get)
    redeliver = _blocking(AsyncDeliveries.redeliver)
    redeliver_range = _blocking(AsyncDeliveries.redeliver_range)


class Client:
    """A Runwell server, for code without `async`::

        with Client() as client:
            run = client.runs.create("summarize", text)
            for piece in client.runs.text(run.id):
                print(piece, end="")

    The parameters are those of `AsyncClient`. May be used from several threads at once.
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
        self._inner = AsyncClient(base_url, key, timeout=timeout, patience=patience, notice=notice)
        self._portal = Portal()
        self.runs = Runs(self._portal, self._inner.runs)
        self.agents = Agents(self._portal, self._inner.agents)
        self.threads = Threads(self._portal, self._inner.threads)
        self.keys = Keys(self._portal, self._inner.keys)
        self.triggers = Triggers(self._portal, self._inner.triggers)
        self.schedules = Schedules(self._portal, self._inner.schedules)
        self.callbacks = Callbacks(self._portal, self._inner.callbacks)
        self.deliveries = Deliveries(self._portal, self._inner.deliveries)
        self.workers = Workers(self._portal, self._inner.workers)
        self.users = Users(self._portal, self._inner.users)

    @property
    def base_url(self) -> str:
        return self._inner.base_url

    @property
    def reached(self) -> bool:
        """Whether the server has answered this client, with whatever."""
        return self._inner.reached

    def close(self) -> None:
        """Close the connections and end the thread. Also done at the end of `with`."""
        if self._portal.open:
            self._portal.call(self._inner.close())
            self._portal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
