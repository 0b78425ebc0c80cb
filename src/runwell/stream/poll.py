"""Long-poll: one request that waits for a run instead of asking again and again."""

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

from runwell.domain.run import Run
from runwell.ports.signals import Signals
from runwell.ports.store import Store

T = TypeVar("T")

LOOK = 1.0
"""Seconds between looks that no signal asked for: a lost signal, or a place in the queue that moved,
which is other runs' doing and signalled to nobody here."""


async def wait_for(
    signals: Signals,
    run_id: str,
    look: Callable[[], Awaitable[T]],
    done: Callable[[T], bool],
    timeout: float,
) -> T:
    """Look until `done` says yes or `timeout` seconds are over; what was seen last, either way.

    `look` is called at once, after every signal of the run, and at least every second.
    """
    deadline = monotonic() + timeout
    with signals.watch(run_id) as watch:
        while True:
            seen = await look()
            left = deadline - monotonic()
            if left <= 0 or done(seen):
                return seen
            await watch.wait(min(left, LOOK))


async def wait_until(
    store: Store,
    signals: Signals,
    run_id: str,
    owner: str | None,
    done: Callable[[Run], bool],
    timeout: float,
) -> Run:
    """The owner's run as soon as it is `done`, or as it is after `timeout` seconds.

    Raises `RunNotFound`, also when the run is deleted meanwhile.
    """
    return await wait_for(signals, run_id, lambda: store.runs.get(run_id, owner), done, timeout)
