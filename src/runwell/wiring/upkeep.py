"""The small services beside a machine's attempts, and how often each has its turn."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from runwell.agents.elsewhere import Elsewhere
from runwell.callbacks.retention import forget_deliveries
from runwell.config import Settings
from runwell.domain.instant import after
from runwell.worker.service import Service
from runwell.worker.upkeep.expiry import expire_due
from runwell.worker.upkeep.firing import fire_due
from runwell.worker.upkeep.forgetting import forget_idempotency, forget_sessions
from runwell.worker.upkeep.repair import Repairs
from runwell.worker.upkeep.retention import retire

if TYPE_CHECKING:
    from runwell.wiring.machine import Machine

FORGET_WORKERS = 3_600.0
"""Seconds for which a process that vanished is still listed."""


def services_of(machine: "Machine", settings: Settings, repairs: Repairs | None) -> tuple[Service, ...]:
    """Everybody's own, and those that one process of a fleet does at a time.

    What is decided by a commit, such as expiry, everybody may do: of two that try it one is refused.
    """
    store, clock = machine.store, machine.clock
    keep, told = settings.keep_idempotency, settings.keep_deliveries
    catalog = machine.catalog
    unreadable: set[str] = set()

    async def forget_workers() -> None:
        await store.workers.forget(after(clock.now(), -FORGET_WORKERS))

    own = [
        Service("expiry", lambda: expire_due(store, clock), every=0.5),
        Service("schedules", lambda: fire_due(machine.core, unreadable), every=0.5),
        Service("lost signals", machine.worker.check, every=1.0),
        Service("agent loops", machine.loops.watch, every=1.0),
    ]
    if isinstance(catalog, Elsewhere):
        own.append(Service("agents elsewhere", lambda: catalog.refresh(store, clock.now()), every=1.0))

    def one(name: str, work: Callable[[], Awaitable[object]], every: float) -> Service:
        return Service(name, machine.upkeep.when_mine(work), every)

    shared = [
        one("forgetting", lambda: forget_idempotency(store, clock, keep), 600.0),
        one("deliveries", lambda: forget_deliveries(store, clock, told), 600.0),
        one("sessions", lambda: forget_sessions(store, clock), 600.0),
        one("workers", forget_workers, 600.0),
        one("retention", lambda: retire(store, clock, settings.keep_runs, settings.keep_events), 60.0),
    ]
    if repairs is not None:
        shared.append(one("repairs", repairs.mend, min(settings.lapse, 5.0)))
    return (*own, *shared)
