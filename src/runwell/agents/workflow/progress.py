"""How far a workflow is: the steps that are done, and the share of those under way."""

import math
import threading


class Board:
    """Of one run. Safe from any thread: an agent that is a plain function has one of its own."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._under_way: dict[str, tuple[str, float]] = {}
        """Name and share done (0 to 1) by the step's id."""
        self._lock = threading.Lock()

    def begin(self, id: str, name: str) -> None:
        with self._lock:
            self._under_way[id] = (name, 0.0)

    def end(self, id: str, *, done: bool) -> None:
        with self._lock:
            del self._under_way[id]
            self._done += done

    def now(self) -> tuple[float, str | None]:
        """Percent of the whole, and the names of the steps under way."""
        with self._lock:
            shares = [share for _, share in self._under_way.values()]
            names = ", ".join(name for name, _ in self._under_way.values())
        return 100.0 * (self._done + sum(shares)) / self._total, names or None

    def note(self, id: str, percent: float | None, words: str | None) -> tuple[float, str | None]:
        """What a step's agent says of itself, as progress of the whole. Raises `ValueError` for NaN."""
        if percent is not None and math.isnan(percent):
            raise ValueError("percent is NaN; leave it out when it is not known")
        with self._lock:
            name, share = self._under_way[id]
            if percent is not None:
                share = min(max(percent / 100.0, 0.0), 1.0)
            self._under_way[id] = (name, share)
        whole, names = self.now()
        return whole, names if words is None else f"{name}: {words}"
