"""A server without a worker: real store, real app. Runs are moved by hand, as a worker would."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from fastapi import FastAPI

from runwell.agents.catalogue import Catalog
from runwell.agents.python import agent
from runwell.auth.authenticator import Authenticator
from runwell.auth.keys import issue
from runwell.auth.passwords import Passwords
from runwell.auth.sessions import Accounts
from runwell.callbacks.guard import AddressGuard
from runwell.dialects.catalogue import DIALECTS
from runwell.dialects.dialect import BuildDialect, Options, Services
from runwell.dialects.native.dialect import build_native
from runwell.domain.commands import Claim, Command, Fail, Pause, Record, Succeed
from runwell.domain.events import Event, TextDelta
from runwell.domain.instant import Instant, after
from runwell.domain.json_gate import encode
from runwell.domain.lifecycle import decide
from runwell.domain.principal import ALL_SCOPES, LOCAL_OWNER, Scope
from runwell.domain.run import Question, Run, RunError
from runwell.engine import read
from runwell.engine.core import Core, Limits
from runwell.engine.submit import Submission, submit
from runwell.ports.store import RunFilter, Store
from runwell.server.app import build_app
from runwell.server.front import Front
from runwell.server.metrics import Metrics
from runwell.server.observed import Transitions, observed
from runwell.store.signals import LocalSignals
from runwell.stream.presence import Closing
from tests.support.asgi import PATIENCE, AsgiClient
from tests.support.backends import a_store_at
from tests.support.shared_routes import share_routes

MODEL_KEY = "MODEL_KEY"
"""The variable that agents made through the API may read."""
ALLOWED = ("receiver.test", "127.0.0.1")
"""Where callbacks of tests may be posted to although it is this machine."""
BEGINNING: Instant = 1_800_000_000_000_000
CHEAP: dict[str, Any] = {"time_cost": 1, "memory_cost": 8, "parallelism": 1}
"""Parameters of password hashes that cost nothing."""
share_routes()


async def lookup(name: str, port: int) -> list[str]:
    """The names that tests know, without asking anybody."""
    known = {"receiver.test": "127.0.0.1", "public.test": "93.184.215.14", "inner.test": "10.0.0.5"}
    if name not in known:
        raise OSError(f"{name} is unknown")
    return [known[name]]


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self._now = BEGINNING

    def now(self) -> Instant:
        return self._now

    def move(self, seconds: float) -> None:
        self._now = after(self._now, seconds)


@agent
async def echo(text: str) -> str:
    """Says it again."""
    return text


@agent
async def counter(count: int) -> int:
    return count


@dataclass
class House:
    """Everything of one server, and `client`, which calls it without a credential."""

    services: Services
    app: Front
    clock: HandClock
    signals: LocalSignals
    closing: Closing
    authenticator: Authenticator

    @property
    def core(self) -> Core:
        return self.services.core

    @property
    def store(self) -> Store:
        return self.core.store

    @property
    def accounts(self) -> Accounts:
        assert self.services.accounts is not None
        return self.services.accounts

    @property
    def client(self) -> AsgiClient:
        return AsgiClient(self.app)

    @property
    def native_app(self) -> FastAPI:
        """The native dialect's app alone, without the front before it."""
        return build_native(self.services).app

    def templates(self) -> set[tuple[str, str]]:
        """Every path template that is served, with each of its methods."""
        return {(place.template, method) for place in self.app.paths.places for method in place.methods}

    async def the_only_run(self) -> Run:
        """The first run there is, as soon as there is one."""
        came = asyncio.Event()
        leave = self.signals.listen(lambda kind, run_id: came.set())
        async with asyncio.timeout(PATIENCE):
            while not (runs := await read.page(self.core, LOCAL_OWNER, RunFilter(), limit=1)):
                await came.wait()
                came.clear()
        leave()
        return runs[0]

    async def secret(self, owner: str = LOCAL_OWNER, scopes: Iterable[Scope] = ALL_SCOPES) -> str:
        minted = await issue(self.store, self.clock, owner=owner, name="test", scopes=frozenset(scopes))
        self.authenticator.forget()
        return minted.secret

    async def client_of(self, owner: str, scopes: Iterable[Scope] = ALL_SCOPES) -> AsgiClient:
        return self.client.with_headers(authorization=f"Bearer {await self.secret(owner, scopes)}")

    async def submit(self, input: Any = "hello", owner: str = LOCAL_OWNER, **fields: Any) -> Run:
        return (await submit(self.core, Submission(owner=owner, input=input, **fields))).run

    async def do(self, run: Run, command: Command) -> Run:
        """Decide on the run as it is now, and commit."""
        run = await self.store.runs.get(run.id)
        return await self.store.runs.commit(decide(run, command, self.clock.now()), self.clock.now())

    async def claim(self, run: Run) -> Run:
        return await self.do(run, Claim(worker="hand"))

    async def say(self, run: Run, *events: Event | str) -> Run:
        said = tuple(TextDelta(text=event) if isinstance(event, str) else event for event in events)
        return await self.do(run, Record(events=said))  # type: ignore[arg-type]

    async def ask(self, run: Run, question: Any = "sure?") -> Run:
        return await self.do(run, Pause(question=Question("q", encode(question))))

    async def succeed(self, run: Run, output: Any = "done") -> Run:
        return await self.do(run, Succeed(output=encode(output)))

    async def fail(self, run: Run, reason: str = "error") -> Run:
        return await self.do(run, Fail(reason=reason, error=RunError(reason, "it broke")))

    async def a_running_run(self, **fields: Any) -> Run:
        return await self.claim(await self.submit(**fields))

    async def a_finished_run(self, **fields: Any) -> Run:
        return await self.succeed(await self.a_running_run(**fields))


def _wanted() -> list[BuildDialect]:
    """What is served where a test does not say: all dialects, but in the folder of one of them that one
    beside the native one. Building an app takes longer than most tests of it."""
    here = re.match(r"tests/dialects/(\w+)/", os.environ.get("PYTEST_CURRENT_TEST", ""))
    if here is None:
        return list(DIALECTS)
    names = ("native", here[1])
    return [build for build in DIALECTS if build.__module__.split(".")[2] in names]


@asynccontextmanager
async def a_house(
    folder: Path,
    *,
    local_mode: bool = True,
    agents: Iterable[Any] = (echo, counter),
    options: Options | None = None,
    **settings: Any,
) -> AsyncIterator[House]:
    """A server over a new database in the folder; `settings` are `build_app`'s, `options` the dialects'."""
    folder.mkdir(exist_ok=True)
    signals, clock, closing = LocalSignals(), HandClock(), Closing()
    transitions = Transitions()
    async with AsyncExitStack() as stack:
        stack.callback(closing.begin)
        inner = await stack.enter_async_context(a_store_at(folder / "house.db", signals))
        store = observed(inner, transitions)
        accounts = Accounts(store, clock, signup_open=True, passwords=Passwords(PasswordHasher(**CHEAP)))
        stack.callback(accounts.close)
        catalog = Catalog(agents)
        limits = Limits(model_keys=frozenset({MODEL_KEY}))
        core = Core(store, signals, clock, catalog, limits)
        await store.agents.publish(catalog.specs, clock.now())
        authenticator = Authenticator(store, clock, local_mode=local_mode)
        check_address = AddressGuard(ALLOWED, resolve=lookup).resolve
        services = Services(
            core, authenticator, closing, check_address, options or Options(), accounts=accounts
        )
        metrics = Metrics(closing, [transitions])
        app = build_app(services, metrics=metrics, **{"dialects": _wanted(), **settings})
        yield House(services, app, clock, signals, closing, authenticator)
