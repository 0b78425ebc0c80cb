"""What the store has just said, remembered for a second: what is revoked elsewhere is soon refused here."""

from typing import Generic, NamedTuple, TypeVar

from runwell.domain.instant import SECOND, Instant

K = TypeVar("K", str, bytes)
V = TypeVar("V")


class Seen(NamedTuple, Generic[V]):
    at: Instant
    answer: V


class Memory(Generic[K, V]):
    """The last `most` answers of the store by what was presented, each good for a second."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: dict[K, Seen[V]] = {}

    def get(self, key: K, now: Instant) -> Seen[V] | None:
        seen = self._seen.get(key)
        # A clock that was set back must not keep an answer alive.
        return seen if seen is not None and 0 <= now - seen.at <= SECOND else None

    def put(self, key: K, answer: V, now: Instant) -> None:
        self._seen.pop(key, None)
        if len(self._seen) >= self._most:
            del self._seen[next(iter(self._seen))]
        self._seen[key] = Seen(now, answer)

    def drop(self, key: K) -> None:
        self._seen.pop(key, None)

    def clear(self) -> None:
        self._seen.clear()

    def __len__(self) -> int:
        return len(self._seen)
