"""What the store on PostgreSQL can do, beside a round trip through the same driver that asks for nothing."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import asyncpg

from benchmarks.fleet.server import postgres
from benchmarks.measurement import Figure, Goal, Plan
from runwell.domain.commands import Claim, Create, Record, Succeed
from runwell.domain.events import TextDelta
from runwell.domain.ids import new_id
from runwell.domain.instant import Instant
from runwell.domain.json_gate import Json
from runwell.domain.lifecycle import decide
from runwell.domain.run import Run
from runwell.ports.store import Store
from runwell.store.postgres import Database
from runwell.store.postgres.database import CONNECTIONS

SECONDS = 1.0
READERS = 16
WRITERS = 64
STREAMS = 50
BARE = f"`SELECT 1` through the same driver, {READERS} in flight over {CONNECTIONS} connections"


async def measure(plan: Plan) -> list[Figure]:
    with postgres(plan.folder) as url:
        bare = await asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS)
        database = await Database.open(url)
        try:
            return await _measure(plan, database.store(), bare)
        finally:
            await database.close()
            await bare.close()


async def _measure(plan: Plan, store: Store, bare: asyncpg.Pool) -> list[Figure]:
    runs = [await _running(store) for _ in range(STREAMS)]

    async def get(number: int) -> None:
        await store.runs.get(runs[number % STREAMS].id)

    async def say(number: int) -> None:
        run, words = runs[number], Record(events=(TextDelta(text="token "),))
        runs[number] = await store.runs.commit(decide(run, words, _now()), _now())

    async def submit(number: int) -> None:
        await _add(store)

    async def live(number: int) -> None:
        run = await _running(store)
        await store.runs.commit(decide(run, Succeed(output=Json(b'"done"')), _now()), _now())

    async def ask(number: int) -> None:
        await bare.fetchval("SELECT 1")

    measured: dict[str, list[float]] = {name: [] for name in ("ask", "get", "submit", "say", "live")}
    for number in range(plan.rounds):
        await plan.quiet()
        measured["ask"].append(await rate(ask, READERS))
        measured["get"].append(await rate(get, READERS))
        measured["submit"].append(await rate(submit, WRITERS))
        measured["say"].append(await rate(say, STREAMS))
        measured["live"].append(await rate(live, WRITERS))
        rates = ", ".join(f"{name} {rounds[-1]:,.0f}/s" for name, rounds in measured.items())
        plan.tell(f"fleet.store: round {number + 1}/{plan.rounds}: {rates}")
    return _figures(measured)


async def rate(do: Callable[[int], Awaitable[None]], at_once: int) -> float:
    """How often a second `do` is done, by so many at once."""
    began = time.perf_counter()
    done = 0

    async def keep_doing(number: int) -> None:
        nonlocal done
        while time.perf_counter() - began < SECONDS:
            await do(number)
            done += 1

    await asyncio.gather(*(keep_doing(number) for number in range(at_once)))
    return done / (time.perf_counter() - began)


def _now() -> Instant:
    return time.time_ns() // 1_000


async def _add(store: Store) -> Run:
    now = _now()
    create = Create(id=new_id(now), owner="bench", agent="noop", input=Json(b'"What is new?"'))
    return (await store.runs.add(decide(None, create, now), now)).run


async def _running(store: Store) -> Run:
    run, now = await _add(store), _now()
    return await store.runs.commit(decide(run, Claim(worker="bench"), now), now)


def _figures(measured: dict[str, list[float]]) -> list[Figure]:
    told = {
        "get": (f"Runs read, {READERS} readers", Goal(ratio=0.5)),
        "submit": (f"Runs added, {WRITERS} writers, each on disk before its answer", None),
        "say": (f"Text recorded, one token a commit, {STREAMS} runs at once", None),
        "live": (f"Runs added, claimed and ended, {WRITERS} at once: three commits each", None),
    }
    return [
        Figure(
            name=f"fleet.store.{name}", what=what, unit="/s", measured=measured[name],
            baseline=measured["ask"], beside=BARE, floor=floor,
        )
        for name, (what, floor) in told.items()
    ]  # fmt: skip
