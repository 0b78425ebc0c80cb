"""Threads for blocking calls that may never return."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Call = tuple[Future[Any], Callable[[], Any]]

LINGER = 5.0
"""Seconds an idle thread waits for another call: starting one costs more than 100 µs."""


class DaemonThreads(ThreadPoolExecutor):
    """Daemon threads, `most` of them; more calls queue. None: as many as there are calls.

    The threads of a plain `ThreadPoolExecutor` are joined when the process exits: one call that
    hangs would keep a stopped server alive. It is a subclass because asyncio takes no other
    executor as a loop's default.
    """

    def __init__(self, name: str, most: int | None = None) -> None:
        super().__init__(1, thread_name_prefix=name)
        self._name = name
        self._most = most
        self._gate = threading.Lock()
        self._alive = 0
        self._idle: list[SimpleQueue[Call]] = []
        self._queued: deque[Call] = deque()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Raises `RuntimeError` when the system has no thread left."""
        future: Future[T] = Future()
        call = partial(fn, *args, **kwargs)
        with self._gate:
            if self._idle:
                self._idle.pop().put((future, call))
                return future
            if self._most is not None and self._alive >= self._most:
                self._queued.append((future, call))
                return future
            self._alive += 1
        try:
            threading.Thread(target=self._work, args=(future, call), name=self._name, daemon=True).start()
        except RuntimeError:
            with self._gate:
                self._alive -= 1
            raise
        return future

    def _work(self, future: Future[Any], call: Callable[[], Any]) -> None:
        inbox: SimpleQueue[Call] = SimpleQueue()
        while True:
            _settle(future, call)
            del future, call  # an idle thread holds nobody's values
            with self._gate:
                if self._queued:
                    future, call = self._queued.popleft()
                    continue
                self._idle.append(inbox)
            try:
                future, call = inbox.get(timeout=LINGER)
            except Empty:
                with self._gate:
                    if inbox in self._idle:
                        self._idle.remove(inbox)
                        self._alive -= 1
                        return
                future, call = inbox.get()  # handed over at the last moment


def _settle(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return  # its caller went away while it queued
    try:
        value = call()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the caller
        future.set_exception(error)
    else:
        future.set_result(value)
