"""One after the other per id, first come, first served. Nothing is kept of an id that nobody is about."""

import asyncio


class Turn:
    """Somebody's, until it has been ended as often as it was held."""

    __slots__ = ("_ended", "_holds", "_id", "_turns")

    def __init__(self, turns: "Turns", id: str, ended: "asyncio.Future[None]") -> None:
        self._turns = turns
        self._id = id
        self._ended = ended
        self._holds = 1

    def hold(self) -> None:
        """It is to be ended once more."""
        self._holds += 1

    def end(self) -> None:
        self._holds -= 1
        if not self._holds:
            self._turns.end(self._id, self._ended)


class Turns:
    def __init__(self) -> None:
        self._last: dict[str, asyncio.Future[None]] = {}

    async def take(self, id: str) -> Turn:
        """Wait until everybody who asked for this id before has ended."""
        before = self._last.get(id)
        mine = self._last[id] = asyncio.get_running_loop().create_future()
        if before is not None:
            try:
                await asyncio.shield(before)
            except asyncio.CancelledError:
                # Those who wait for this one wait for the one before it.
                before.add_done_callback(lambda _: self.end(id, mine))
                raise
        return Turn(self, id, mine)

    def end(self, id: str, mine: "asyncio.Future[None]") -> None:
        if self._last.get(id) is mine:
            del self._last[id]
        if not mine.done():
            mine.set_result(None)
