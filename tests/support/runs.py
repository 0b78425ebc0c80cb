"""Runs in every state, made the way they come to be: by commands through a store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import json

from runwell.domain.commands import Answer, Claim, Command, Create, Pause, Record, Succeed
from runwell.domain.events import Event, TextDelta
from runwell.domain.ids import new_id
from runwell.domain.instant import SECOND, Instant
from runwell.domain.json_gate import Json
from runwell.domain.lifecycle import decide
from runwell.domain.run import Question, Run, RunError
from runwell.ports.store import Added, Idempotency, NewMessage, Store
from runwell.store.signals import LocalSignals
from runwell.store.sqlite import Database

NOW: Instant = 1_800_000_000 * SECOND
OWNER = "ada"
AGENT = "echo"
AGENTS = frozenset({AGENT})
WORKER = "worker-1"
BROKE = RunError("Boom", "it broke")
WHICH = Question(key="ask", question=Json(b'"which?"'))


def doc(value: Any) -> Json:
    return Json(json.encode(value))


def an_id(at: Instant = NOW) -> str:
    return new_id(at)


def a_create(at: Instant = NOW, **fields: Any) -> Create:
    given = {"id": an_id(at), "owner": OWNER, "agent": AGENT, "input": doc("hello"), **fields}
    return Create(**given)


async def add(
    store: Store,
    at: Instant = NOW,
    *,
    message: NewMessage | None = None,
    idempotency: Idempotency | None = None,
    if_busy: Any = None,
    **fields: Any,
) -> Added:
    options = {} if if_busy is None else {"if_busy": if_busy}
    change = decide(None, a_create(at, **fields), at)
    return await store.runs.add(change, at, message=message, idempotency=idempotency, **options)


async def do(store: Store, run: Run, command: Command, at: Instant = NOW) -> Run:
    """Decide on `run` as given, and commit."""
    return await store.runs.commit(decide(run, command, at), at)


async def record(store: Store, run: Run, *events: Any, at: Instant = NOW) -> Run:
    return await do(store, run, Record(events=events), at)


async def say(store: Store, run: Run, text: str = "word ", at: Instant = NOW) -> Run:
    return await record(store, run, TextDelta(text=text), at=at)


async def a_queued_run(store: Store, at: Instant = NOW, **fields: Any) -> Run:
    return (await add(store, at, **fields)).run


async def a_running_run(store: Store, at: Instant = NOW, worker: str = WORKER, **fields: Any) -> Run:
    return await do(store, await a_queued_run(store, at, **fields), Claim(worker=worker), at)


async def a_waiting_run(
    store: Store, at: Instant = NOW, expires_at: Instant | None = None, **fields: Any
) -> Run:
    run = await a_running_run(store, at, **fields)
    return await do(store, run, Pause(question=WHICH, expires_at=expires_at), at)


async def a_succeeded_run(store: Store, at: Instant = NOW, output: Any = "done", **fields: Any) -> Run:
    return await do(store, await a_running_run(store, at, **fields), Succeed(output=doc(output)), at)


async def a_resumed_run(store: Store, at: Instant = NOW, **fields: Any) -> Run:
    return await do(store, await a_waiting_run(store, at, **fields), Answer(answer=doc("this")), at)


async def log_of(store: Store, run: Run) -> list[Event]:
    return [line.event for line in await store.events.read(run.id, 0, 100_000)]


async def startable(
    store: Store, now: Instant = NOW, *, limit: int = 100, exclude: tuple[str, ...] = (), agents: Any = AGENTS
) -> list[str]:
    found = await store.runs.claimable(now, agents=frozenset(agents), limit=limit, exclude=frozenset(exclude))
    return found


@asynccontextmanager
async def a_store(path: Path, *, hears: bool = False, **options: Any) -> AsyncIterator[Store]:
    """A store on the SQLite file `path`, closed at the end. `options` are those of `Database.open`.

    `hears`: it is told of every commit, as a server's is, and so may keep what it has read.
    """
    database = Database.open(path, **options)
    store = database.store(LocalSignals().publish if hears else None)
    try:
        yield store
    finally:
        await store.close()
        database.close()
