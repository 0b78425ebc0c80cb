"""A process at work, as the others see it."""

import msgspec

from runwell.domain.instant import Instant, after


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a process says of itself, again and again, for as long as it lives.

    `name` is what stands on the runs it works on. `agents` are those it serves, the default one first;
    `places` is how many runs it works on at once, 0 for one that only serves; `running` how many it has.
    `lapse` is after how many seconds without a beat it counts as gone. `serves`: it answers requests.
    """

    name: str
    host: str
    pid: int
    version: str
    started_at: Instant
    seen_at: Instant
    lapse: float
    agents: tuple[str, ...] = ()
    places: int = 0
    running: int = 0
    serves: bool = False
    stopping: bool = False

    def alive(self, now: Instant) -> bool:
        """Whether it has been heard within its `lapse`."""
        return now < after(self.seen_at, self.lapse)
