"""Signals say "look again". They may be lost, doubled and late; events may not.

Whoever watches reads the store, and waits for a signal or a timeout before reading again.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol


class SignalKind(StrEnum):
    CHANGED = "changed"
    """The run has new events."""
    QUEUED = "queued"
    """The run may be claimable now."""
    CANCEL_REQUESTED = "cancel_requested"
    """Whoever runs it should stop."""
    DELIVERY_DUE = "delivery_due"
    """Something is to be told about the run."""


class Watch(Protocol):
    """A subscription to one run. Use as a context manager; what came before `__enter__` is missed."""

    def __enter__(self) -> "Watch": ...

    def __exit__(self, *exc: object) -> None: ...

    async def wait(self, timeout: float) -> bool:
        """Until the run changes or `timeout` seconds are over; True when it changed.

        A change between two calls makes the second return at once.
        """
        ...


class Signals(Protocol):
    def watch(self, run_id: str) -> Watch: ...

    def listen(self, heard: Callable[[SignalKind, str], None]) -> Callable[[], None]:
        """Call `heard(kind, run_id)` on this loop for every signal; returns the way to stop it."""
        ...

    def publish(self, kind: SignalKind, run_id: str) -> None:
        """Tell everybody. Called by the store after a commit, on the loop of the signals."""
        ...
