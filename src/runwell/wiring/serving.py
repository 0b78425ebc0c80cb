"""`runwell serve` and `runwell work`: a machine with an HTTP face, or one without."""

import asyncio
import logging
import signal

from runwell.auth.authenticator import Authenticator
from runwell.auth.local_mode import is_loopback_address
from runwell.auth.rate_limit import RateLimit
from runwell.auth.sessions import Accounts
from runwell.callbacks.sender import Sender
from runwell.config import BadSetting, Settings
from runwell.dialects.dialect import Options, Services
from runwell.domain.errors import Invalid
from runwell.ports.store import Store
from runwell.server.app import build_app
from runwell.server.front import Front
from runwell.server.metrics import Metrics
from runwell.server.serve import Server, server
from runwell.stream.presence import Closing
from runwell.wiring.machine import Machine, agents_of, machine

LOG = logging.getLogger(__name__)


class NoKeys(Invalid):
    """A server that anybody on the network could use must not start by accident."""

    code = "no_keys"

    def __init__(self, host: str) -> None:
        super().__init__(
            f"listening on {host} without a key would let everybody in",
            "Make one first: `runwell keys create NAME`; or listen on 127.0.0.1.",
        )


async def _local_mode(store: Store, host: str) -> bool:
    """Whether requests without a credential are let in. Decided once, at the start.

    Raises `NoKeys` where that would open the server to a network.
    """
    if await store.keys.any():
        return False
    if not is_loopback_address(host):
        raise NoKeys(host)
    return True


async def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM, then hand back what is running. Logs where it listens."""
    async with machine(settings, agents_of(settings)) as running:
        local = await _local_mode(running.store, settings.host)
        closing = Closing(settings.max_streams)
        accounts = Accounts(
            running.store, running.clock, signup_open=settings.signup_open, signup_here=settings.signup_here
        )
        app = _app(running, settings, closing, accounts, local)
        http = server(
            app,
            closing,
            host=settings.host,
            port=settings.port,
            trusted_proxies=",".join(settings.trusted_proxies),
            log_level="warning",
        )
        # Not a part of the machine: the dialects, which belong to the server, write what is posted.
        sender = Sender(
            running.core, running.guard, app.callback_bodies, may_post=lambda: running.telling.mine
        )
        running.telling.taken = sender.wake
        sender.start()
        announcing = asyncio.create_task(_announce(http, running, settings, local))
        try:
            await http.serve()
        finally:
            announcing.cancel()
            await sender.stop()
            accounts.close()


def _app(running: Machine, settings: Settings, closing: Closing, accounts: Accounts, local: bool) -> Front:
    rate_limit = RateLimit(settings.rate_limit, seconds=60)
    authenticator = Authenticator(running.store, running.clock, local_mode=local, rate_limit=rate_limit)
    options = Options(
        settings.flowyble_rate, settings.praisonai_agent_root, settings.concurrency, settings.origins,
        recoup_empty_stream=settings.recoup_empty_stream,
        recoup_cancel_on_leave=settings.recoup_cancel_on_leave,
        hardwire_wire=settings.hardwire_wire,
    )  # fmt: skip
    return build_app(
        Services(running.core, authenticator, closing, running.guard.resolve, options, accounts),
        metrics=Metrics(closing, [running.transitions]),
        origins=settings.origins,
        max_body=settings.max_body,
    )


async def work(settings: Settings) -> None:
    """Work on runs, without answering requests, until SIGINT or SIGTERM; then hand back what is running."""
    if settings.postgres is None:
        raise BadSetting(
            f"{settings.database} is a SQLite file, on which `runwell serve` works alone",
            "Give a database that can be shared: --db postgresql://user@host/name.",
        )
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with machine(settings, agents_of(settings), serves=False) as running:
        _say(running, settings)
        LOG.info("working as %s", running.name)
        await stopped.wait()
        LOG.info("stopping: what is running is handed back")


async def _announce(http: Server, running: Machine, settings: Settings, local: bool) -> None:
    await http.ready.wait()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    _say(running, settings)
    LOG.info("access: %s", "local mode, no key needed on this machine" if local else "API keys")
    LOG.info("listening on http://%s:%d (docs: /docs)", host, http.port)


def _say(running: Machine, settings: Settings) -> None:
    names = ", ".join(spec.name for spec in running.catalog.specs) or "none served by a live worker yet"
    LOG.info("agents: %s%s", names, "" if running.works else " (elsewhere)")
    LOG.info("database: %s", settings.database)
