"""The bodies that were shown last. A run is asked for many times between two changes of what it shows."""

from runwell.domain.run import Run

MOST_BYTES = 8 * 2**20
"""How much is kept of all bodies together, in bytes."""
LARGEST_KEPT = 8_192
"""How large one of them may be, in bytes."""


class Shown:
    """For one kind of body, which depends on the run alone: a run of the same version has the same."""

    __slots__ = ("_bodies", "_size")

    def __init__(self) -> None:
        self._bodies: dict[str, tuple[int, bytes]] = {}
        self._size = 0

    @property
    def size(self) -> int:
        """In bytes."""
        return self._size

    def get(self, run: Run) -> bytes | None:
        kept = self._bodies.get(run.id)
        return kept[1] if kept is not None and kept[0] == run.version else None

    def keep(self, run: Run, body: bytes) -> bytes:
        self._drop(run.id)
        if len(body) <= LARGEST_KEPT:
            self._bodies[run.id] = (run.version, body)
            self._size += len(body)
            while self._size > MOST_BYTES:
                self._drop(next(iter(self._bodies)))
        return body

    def _drop(self, run_id: str) -> None:
        kept = self._bodies.pop(run_id, None)
        if kept is not None:
            self._size -= len(kept[1])
