"""Puts one process together. The only file that knows every room."""

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from runwell.agents.catalogue import Catalog
from runwell.agents.loader import bundled, load
from runwell.agents.model import model_agents
from runwell.agents.workflow.table import workflow_agents
from runwell.auth.authenticator import Authenticator
from runwell.auth.local_mode import is_loopback_address
from runwell.auth.rate_limit import RateLimit
from runwell.auth.sessions import Accounts
from runwell.callbacks.guard import AddressGuard
from runwell.callbacks.retention import forget_deliveries
from runwell.callbacks.sender import Sender
from runwell.config import Settings
from runwell.dialects.dialect import Options, Services
from runwell.dispatch.local import LocalDispatcher
from runwell.domain.errors import Invalid
from runwell.domain.instant import Instant, after
from runwell.domain.prices import Prices
from runwell.engine.audit import Finding, audit
from runwell.engine.core import Core, Limits
from runwell.engine.models import Models
from runwell.engine.queue_limit import QueueLimit
from runwell.ports.agent import Agent, Reach
from runwell.ports.clock import Clock
from runwell.ports.signals import SignalKind
from runwell.ports.store import Store
from runwell.server.app import build_app
from runwell.server.metrics import Metrics
from runwell.server.observed import Transitions, observed
from runwell.server.serve import Server, server
from runwell.store.signals import LocalSignals
from runwell.store.sqlite import Database
from runwell.stream.presence import Closing
from runwell.worker.agent_loop import AgentLoops
from runwell.worker.attempt import Desk
from runwell.worker.service import Service
from runwell.worker.upkeep.expiry import expire_due
from runwell.worker.upkeep.forgetting import forget_idempotency, forget_sessions
from runwell.worker.upkeep.rescue import rescue_all
from runwell.worker.worker import Worker

LOG = logging.getLogger(__name__)

PROXIES = "127.0.0.1,::1"
"""Whose X-Forwarded-For and X-Forwarded-Proto are believed: a proxy on this machine."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> Instant:
        return time.time_ns() // 1_000


class Machine:
    """A store with a worker over it: everything of a server but its HTTP face.

    `start` takes up what an earlier process left running, `stop` hands back what this one works on.
    """

    def __init__(
        self, database: Database, agents: Iterable[Agent], settings: Settings, clock: Clock | None = None
    ) -> None:
        self.database = database
        self.clock = clock or SystemClock()
        self.signals = LocalSignals()
        self.transitions = Transitions()
        self.store: Store = observed(database.store(self.signals.publish), self.transitions)
        self.guard = AddressGuard(settings.callbacks_allow)
        self.catalog = Catalog(agents, _reach_of(self.guard))
        limits = Limits(model_keys=frozenset(settings.model_keys))
        queue = QueueLimit(settings.max_queue)
        self.core = Core(
            self.store,
            self.signals,
            self.clock,
            self.catalog,
            limits,
            models=Models(settings.models),
            queue=queue,
        )
        self.loops = AgentLoops()
        self.worker = self._worker(settings)
        self.dispatcher = LocalDispatcher(self.store, self.clock, settings.concurrency)
        keep, told = settings.keep_idempotency, settings.keep_deliveries
        self._services = (
            Service("expiry", lambda: expire_due(self.store, self.clock), every=0.5),
            Service("lost cancels", self.worker.check_cancels, every=1.0),
            Service("agent loops", self.loops.watch, every=1.0),
            Service("forgetting", lambda: forget_idempotency(self.store, self.clock, keep), every=600.0),
            Service("deliveries", lambda: forget_deliveries(self.store, self.clock, told), every=600.0),
            Service("sessions", lambda: forget_sessions(self.store, self.clock), every=600.0),
        )
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
        )
        return Worker(f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}", desk)

    def _heard(self, kind: SignalKind, run_id: str) -> None:
        if kind is SignalKind.QUEUED:
            self.dispatcher.wake()
        elif kind is SignalKind.CANCEL_REQUESTED:
            self.worker.heard(kind, run_id)

    async def start(self) -> None:
        await self.store.agents.publish(self.catalog.specs, self.clock.now())
        await rescue_all(self.store, self.clock)
        for service in self._services:
            service.start()
        await self.dispatcher.start(self.worker.execute, self.worker.takes)

    async def stop(self) -> None:
        await self.dispatcher.stop()
        await self.worker.stop()
        for service in self._services:
            await service.stop()
        self._unlisten()
        self.loops.stop()
        await self.store.close()


def _reach_of(guard: AddressGuard) -> Reach:
    async def reach(url: str) -> Sequence[str]:
        return (await guard.resolve(url)).addresses

    return reach


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """The store alone, beside a server that may be running: for keys and checks."""
    database = Database.open(settings.path, durability=settings.durability, serving=False)
    store = database.store()
    try:
        yield store
    finally:
        await store.close()
        await asyncio.to_thread(database.close)


@asynccontextmanager
async def machine(settings: Settings, agents: Iterable[Agent]) -> AsyncIterator[Machine]:
    """A started machine over the settings' database; stopped and closed at the end."""
    async with AsyncExitStack() as stack:
        database = Database.open(settings.path, durability=settings.durability)
        stack.push_async_callback(asyncio.to_thread, database.close)
        built = Machine(database, agents, settings)
        stack.push_async_callback(built.stop)
        await built.start()
        yield built


def agents_of(settings: Settings) -> list[Agent]:
    """The user's agents, those of the settings file, and the bundled ones behind them.

    Raises `CannotLoad`.
    """
    tables = {"agents": settings.agents}
    return [*load(settings.load), *model_agents(tables), *workflow_agents(tables), *bundled()]


async def _local_mode(store: Store, host: str) -> bool:
    """Whether requests without a credential are let in. Decided once, at the start.

    Raises `NoKeys` where that would open the server to a network.
    """
    if await store.keys.any():
        return False
    if not is_loopback_address(host):
        raise NoKeys(host)
    return True


class NoKeys(Invalid):
    """A server that anybody on the network could use must not start by accident."""

    code = "no_keys"

    def __init__(self, host: str) -> None:
        super().__init__(
            f"listening on {host} without a key would let everybody in",
            "Make one first: `runwell keys create NAME`; or listen on 127.0.0.1.",
        )


async def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM, then hand back what is running. Logs where it listens."""
    async with machine(settings, agents_of(settings)) as running:
        local = await _local_mode(running.store, settings.host)
        closing = Closing(settings.max_streams)
        rate_limit = RateLimit(settings.rate_limit, seconds=60)
        authenticator = Authenticator(running.store, running.clock, local_mode=local, rate_limit=rate_limit)
        accounts = Accounts(running.store, running.clock, signup_open=settings.signup_open)
        guard = running.guard
        root = settings.praisonai_agent_root
        options = Options(
            settings.flowyble_rate, root, settings.concurrency, settings.origins,
            recoup_empty_stream=settings.recoup_empty_stream,
            recoup_cancel_on_leave=settings.recoup_cancel_on_leave,
            hardwire_wire=settings.hardwire_wire,
        )  # fmt: skip
        app = build_app(
            Services(running.core, authenticator, closing, guard.resolve, options, accounts),
            metrics=Metrics(closing, [running.transitions]),
            origins=settings.origins,
            max_body=settings.max_body,
        )
        http = server(
            app, closing, host=settings.host, port=settings.port, trusted_proxies=PROXIES, log_level="warning"
        )
        # Not a part of the machine: the dialects, which belong to the server, write what is posted.
        sender = Sender(running.core, guard, app.callback_bodies)
        sender.start()
        announcing = asyncio.create_task(_announce(http, running, settings, local))
        try:
            await http.serve()
        finally:
            announcing.cancel()
            await sender.stop()
            accounts.close()


async def _announce(http: Server, running: Machine, settings: Settings, local: bool) -> None:
    await http.ready.wait()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    names = ", ".join(spec.name for spec in running.catalog.specs)
    LOG.info("agents: %s", names)
    LOG.info("database: %s", settings.path)
    LOG.info("access: %s", "local mode, no key needed on this machine" if local else "API keys")
    LOG.info("listening on http://%s:%d (docs: /docs)", host, http.port)


async def audit_all(settings: Settings) -> AsyncIterator[tuple[str, list[Finding]]]:
    """Every run with what is wrong with its log or its deliveries; beside a running server too."""
    async with open_store(settings) as store:
        async for found in audit(store, after(SystemClock().now(), -settings.keep_deliveries)):
            yield found
