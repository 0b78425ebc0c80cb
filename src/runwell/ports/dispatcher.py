"""Who runs what, when. The store is the truth about a run; a dispatcher only picks who tries it.

Whatever a dispatcher does twice is harmless: the claim's fence decides.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

Execute = Callable[[str], Coroutine[Any, Any, None]]
"""Try the run with this id: claim it, drive it to the end of the attempt. Never raises."""


Takes = Callable[[], frozenset[str]]
"""The names of the code agents whose runs can be tried here now."""


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
