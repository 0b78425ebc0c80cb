"""Who runs what, when. The store is the truth about a run; a dispatcher only picks who tries it.

Whatever a dispatcher does twice is harmless: the claim's fence decides.
"""

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, Protocol

Execute = Callable[[str, int | None], Coroutine[Any, Any, bool]]
"""Try the run with this id: claim it, drive it to the end of the attempt. Never raises. With a number,
only if that is the attempt that it waits for.

False: it could not be claimed, and the reason may still hold in a moment, so it is left alone for a
while. Having no place for its agent is no such reason: `Takes` says so.
"""


class Places(NamedTuple):
    """The agents served, by name: with a place `free`, and `full`: with as many runs as they may have.

    A run that carries its own definition may be tried although its agent is in neither.
    """

    free: frozenset[str]
    full: frozenset[str]


Takes = Callable[[], Places]
"""Whose runs can be tried here now."""


class Dispatcher(Protocol):
    async def start(self, execute: Execute, takes: Takes) -> None:
        """Begin offering runs to `execute`, no more at once than there are places."""
        ...

    def wake(self) -> None:
        """Something may have become claimable. Cheap; any number of calls is one look."""
        ...

    async def stop(self) -> None:
        """Offer nothing more. Running executions are not touched."""
        ...

    async def close(self) -> None:
        """Put everything away, when all executions have ended."""
        ...
