"""What a benchmark has to say: figures, each with what was promised for it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec


class Goal(msgspec.Struct, frozen=True, omit_defaults=True):
    """Met when one of those given is: an absolute figure, or a share of the baseline's."""

    at_least: float | None = None
    at_most: float | None = None
    ratio: float | None = None
    """At least this many times the baseline."""

    def met(self, measured: float, ratio: float | None) -> bool:
        return (
            (self.at_least is not None and measured >= self.at_least)
            or (self.at_most is not None and measured <= self.at_most)
            or (self.ratio is not None and ratio is not None and ratio >= self.ratio)
        )


class Figure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the table. `measured` and `baseline` hold a value per round; the median counts.

    `beside` says what the baseline is. `note` is for whoever wonders how it was measured. `others` is
    the share of the machine that other programs used meanwhile, waiting for them included.
    """

    name: str
    what: str
    unit: str
    measured: list[float]
    floor: Goal | None = None
    reach: Goal | None = None
    baseline: list[float] = []
    beside: str = ""
    note: str = ""
    others: float = 0.0

    @property
    def value(self) -> float:
        return median(self.measured)

    @property
    def base(self) -> float | None:
        return median(self.baseline) if self.baseline else None

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' own ratios: a machine that is shared changes its pace between rounds,
        and hardly within one."""
        if not self.baseline:
            return None
        return median(ours / base for ours, base in zip(self.measured, self.baseline, strict=True))

    @property
    def verdict(self) -> str:
        if self.floor is None:
            return ""
        if not self.floor.met(self.value, self.ratio):
            return "not met"
        return "reached" if self.reach is not None and self.reach.met(self.value, self.ratio) else "met"


class Plan(NamedTuple):
    """How to measure. `folder` is on the disk that counts; `tell` writes a line of progress; `quiet` is
    awaited before each round."""

    folder: Path
    rounds: int
    full: bool
    tell: Callable[[str], None]
    quiet: Callable[[], Awaitable[None]]
