"""A store with a worker over it: everything of a server but its HTTP face."""

import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from msgspec.structs import replace

from runwell.agents.catalogue import Catalog
from runwell.agents.elsewhere import Elsewhere
from runwell.agents.loader import bundled, load
from runwell.agents.model import model_agents
from runwell.agents.workflow.table import workflow_agents
from runwell.callbacks.guard import AddressGuard
from runwell.config import Settings
from runwell.domain.agent import AgentSpec
from runwell.domain.prices import Prices
from runwell.domain.worker import Heartbeat
from runwell.engine.core import Core, Limits
from runwell.engine.models import Models
from runwell.engine.queue_limit import QueueLimit
from runwell.ports.agent import Agent, Reach
from runwell.ports.clock import Clock
from runwell.ports.signals import SignalKind
from runwell.ports.store import Store
from runwell.server.observed import Transitions, observed
from runwell.wiring.grounds import Ground, fleet_ground, local_ground
from runwell.wiring.upkeep import services_of
from runwell.worker.agent_loop import AgentLoops
from runwell.worker.attempt import Desk
from runwell.worker.duty import Duty
from runwell.worker.heartbeat import Beating
from runwell.worker.worker import Worker


class Machine:
    """Works on a ground, under a name of its own.

    `start` takes up what an earlier process left running, `stop` hands back what this one works on. Without
    agents it runs nothing itself: it adds runs, and reads them.
    """

    def __init__(
        self, ground: Ground, catalog: "Catalog | Elsewhere", settings: Settings, *, serves: bool = True
    ) -> None:
        self._ground = ground
        self._serves = serves
        self.alone = ground.alone
        self.clock: Clock = ground.clock
        self.signals = ground.signals
        self.transitions = Transitions()
        self.store: Store = observed(ground.store, self.transitions)
        self.guard = AddressGuard(settings.callbacks_allow)
        self.catalog = catalog
        self.core = Core(
            self.store,
            self.signals,
            self.clock,
            catalog,
            Limits(model_keys=frozenset(settings.model_keys), grace=settings.grace),
            models=Models(settings.models),
            queue=QueueLimit(settings.max_queue),
        )
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self.loops = AgentLoops()
        self.worker = self._worker(settings)
        self.dispatcher = ground.dispatcher(self.store, self._own, self.name)
        self._about = self._introduction(settings)
        self._beats = Beating(
            self.store,
            self._describe,
            settings.lapse,
            before=ground.measure,
            # Alone, nobody takes its runs: what they say waits for the disk, however long.
            fence=(lambda: None) if ground.alone else self.worker.fence,
            unfence=self.worker.unfence,
        )
        self.upkeep = Duty("upkeep", self.name, self.store, self.clock, settings.lapse)
        self.telling = Duty("callbacks", self.name, self.store, self.clock, settings.lapse)
        self._services = services_of(self, settings, ground.repairs)
        self._unlisten = self.signals.listen(self._heard)

    def _worker(self, settings: Settings) -> Worker:
        desk = Desk(
            self.store,
            self.clock,
            self.catalog,
            self.loops,
            grace=settings.grace,
            max_output=settings.max_output,
            prices=Prices(settings.prices),
            heard=lambda: self.alone or self._beats.heard,
        )
        return Worker(self.name, desk, alone=self.alone)

    def _introduction(self, settings: Settings) -> Heartbeat:
        """What stays the same in every heartbeat."""
        now = self.clock.now()
        return Heartbeat(
            name=self.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=version("runwell"),
            started_at=now,
            seen_at=now,
            lapse=settings.lapse,
            agents=tuple(spec.name for spec in self._own),
            places=settings.concurrency if self.works else 0,
            serves=self._serves,
        )

    @property
    def works(self) -> bool:
        """Whether it runs agents itself."""
        return isinstance(self.catalog, Catalog)

    @property
    def _own(self) -> Sequence[AgentSpec]:
        return self.catalog.specs if self.works else ()

    def _describe(self) -> Heartbeat:
        return replace(self._about, seen_at=self.clock.now(), running=self.worker.attempts)

    def _heard(self, kind: SignalKind, run_id: str) -> None:
        if kind is SignalKind.QUEUED and self.works:
            self.dispatcher.wake()
        elif kind is SignalKind.CANCEL_REQUESTED:
            self.worker.heard(kind, run_id)

    async def start(self) -> None:
        if isinstance(self.catalog, Elsewhere):
            await self.catalog.refresh(self.store, self.clock.now())
        else:
            await self.store.agents.publish(self.catalog.specs, self.clock.now())
        await self._ground.take_over()
        await self._beats.start()
        await self.upkeep.renew()
        self.upkeep.start()
        if self._serves:
            await self.telling.renew()
            self.telling.start()
        for service in self._services:
            service.start()
        if self.works:
            await self.dispatcher.start(self.worker.execute, self.worker.takes)

    async def stop(self) -> None:
        await self.dispatcher.stop()
        await self.worker.stop()
        await self.dispatcher.close()
        for service in self._services:
            await service.stop()
        for duty in (self.upkeep, self.telling):
            await duty.stop()
        await self._beats.stop()
        self._unlisten()
        self.loops.stop()


@asynccontextmanager
async def machine(
    settings: Settings, agents: Iterable[Agent], clock: Clock | None = None, *, serves: bool = True
) -> AsyncIterator[Machine]:
    """A started machine over the settings' database; stopped and closed at the end."""
    guard = AddressGuard(settings.callbacks_allow)
    catalog = Catalog(agents, _reach_of(guard)) if settings.worker else Elsewhere()
    async with AsyncExitStack() as stack:
        if settings.postgres is not None:
            opened = fleet_ground(settings.postgres, settings, lambda: catalog.specs)
            ground: Ground = await stack.enter_async_context(opened)
        else:
            ground = await stack.enter_async_context(local_ground(settings, clock))
        built = Machine(ground, catalog, settings, serves=serves)
        stack.push_async_callback(built.stop)
        await built.start()
        yield built


def _reach_of(guard: AddressGuard) -> Reach:
    async def reach(url: str) -> Sequence[str]:
        return (await guard.resolve(url)).addresses

    return reach


def agents_of(settings: Settings) -> list[Agent]:
    """The user's agents, those of the settings file, and the bundled ones behind them; none for a process
    that does not work.

    Raises `CannotLoad`.
    """
    if not settings.worker:
        return []
    tables = {"agents": settings.agents}
    return [*load(settings.load), *model_agents(tables), *workflow_agents(tables), *bundled()]
