"""How many status reads a second, with few runs stored and with very many."""

import itertools
import random
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from benchmarks import wrk
from benchmarks.client import connect, request
from benchmarks.fill import fill
from benchmarks.load import Load, press
from benchmarks.measurement import Figure, Goal, Plan
from benchmarks.server_process import Runwell, ServerProcess, baseline, runwell

CONNECTIONS = 32
SECONDS = 1.5
FEW = 1_000
MANY = 100_000
VERY_MANY = 1_000_000
WATCHED = 1_000
"""How many different runs clients poll, drawn by chance from all that are stored."""
ANY = 20_000
"""Of the largest database also so many, more than any cache keeps."""


class Target:
    """Something to press, and what came of it."""

    def __init__(self, server: ServerProcess, requests: list[bytes]) -> None:
        self._server = server
        random.Random(1).shuffle(requests)
        self._requests: Iterator[bytes] = itertools.cycle(requests)
        self.rounds: list[Load] = []

    async def press(self, seconds: float = SECONDS) -> Load:
        return await press(
            self._server, self._requests, connections=CONNECTIONS, expected=200, seconds=seconds
        )

    async def round(self) -> None:
        self.rounds.append(await self.press())

    @property
    def rates(self) -> list[float]:
        return [load.rate for load in self.rounds]

    @property
    def cost(self) -> float:
        """Microseconds of processor time for each read."""
        return median(load.cost for load in self.rounds)


async def measure(plan: Plan) -> list[Figure]:
    counts = [FEW, MANY, *([VERY_MANY] if plan.full else [])]
    with ExitStack() as stack:
        targets: dict[int, Target] = {}
        servers: list[tuple[Runwell, str]] = []
        for count in counts:
            plan.tell(f"reads: filling a database with {count:,} runs")
            database = plan.folder / f"reads-{count}.db"
            ids = await fill(database, count, ANY)
            server = stack.enter_context(runwell(plan.folder, database))
            servers.append((server, ids[0]))
            targets[count] = Target(server.process, [_read(server, id) for id in ids[:WATCHED]])
        size = await _size_of(*servers[0])
        plain = stack.enter_context(baseline(plan.folder))
        base = Target(plain, [request("GET", f"/{size}", key="rw_" + "x" * 43)])
        await take_rounds(plan, [base, *targets.values()])
        figures = _figures(base, targets, size)
        # Last, since it drives out what the server remembers of those that are polled.
        figures.append(await _any(plan, server, ids, plain, size))
        if wrk.installed():
            figures.append(await _second_opinion(plan, *servers[0], plain, size))
        return figures


async def take_rounds(plan: Plan, targets: list[Target]) -> None:
    for target in targets:
        await target.press(0.5)
    for number in range(plan.rounds):
        await plan.quiet()
        for target in targets:
            await target.round()
        last = [target.rounds[-1] for target in targets]
        told = ", ".join(f"{load.rate:,.0f}/s ({load.cost:.0f} µs)" for load in last)
        plan.tell(f"reads: round {number + 1}/{plan.rounds}: {told}")


async def _second_opinion(plan: Plan, server: Runwell, id: str, plain: ServerProcess, size: int) -> Figure:
    """wrk, on one run."""
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(plan.rounds):
        await plan.quiet()
        theirs.append(await wrk.rate(plain.port, f"/{size}", server.key, CONNECTIONS, 1))
        ours.append(await wrk.rate(server.port, f"/runs/{id}", server.key, CONNECTIONS, 1))
    return Figure(
        name="reads.wrk",
        what="Status reads of one run, measured with wrk",
        unit="/s",
        measured=ours,
        baseline=theirs,
        beside=f"uvicorn, raw ASGI, the same {size} bytes",
        note="a second opinion; wrk sleeps between answers, our load generator does not",
    )


def _read(server: Runwell, id: str) -> bytes:
    return request("GET", f"/runs/{id}", key=server.key)


async def _size_of(server: Runwell, id: str) -> int:
    """Bytes of a status read's body."""
    connection = await connect(server.port)
    answer = await connection.ask(_read(server, id))
    connection.close()
    return len(answer.body)


def _figures(base: Target, targets: dict[int, Target], size: int) -> list[Figure]:
    few = targets[FEW]
    busy = max(load.busy for target in (base, *targets.values()) for load in target.rounds)
    uvicorn = f"uvicorn, raw ASGI, the same {size} bytes"
    figures = [
        Figure(
            name="reads",
            what=f"Status reads, {CONNECTIONS} connections, key checked",
            unit="/s",
            measured=few.rates,
            baseline=base.rates,
            beside=uvicorn,
            floor=Goal(ratio=0.55),
            reach=Goal(ratio=0.8),
            note=f"{WATCHED:,} runs are polled, {FEW:,} are stored; {few.cost:.0f} µs of processor for each, "
            f"the baseline {base.cost:.0f} µs; the load generator was busy at most {busy:.0%} of the time",
        )
    ]
    for count, target in targets.items():
        if target is not few:
            figures.append(
                Figure(
                    name=f"reads.{count}",
                    what=f"The same with {count:,} runs stored",
                    unit="/s",
                    measured=target.rates,
                    baseline=few.rates,
                    beside=f"{FEW:,} runs stored",
                    floor=Goal(ratio=0.9),
                    note=f"{target.cost:.0f} µs of processor for each",
                )
            )
    return figures


async def _any(plan: Plan, server: Runwell, ids: list[str], plain: ServerProcess, size: int) -> Figure:
    """Reads of which no cache can know anything."""
    base = Target(plain, [request("GET", f"/{size}", key="rw_" + "x" * 43)])
    target = Target(server.process, [_read(server, id) for id in ids])
    await take_rounds(plan, [base, target])
    return Figure(
        name="reads.any",
        what=f"Status reads of {ANY:,} different runs of {VERY_MANY if plan.full else MANY:,} in turn",
        unit="/s",
        measured=target.rates,
        baseline=base.rates,
        beside=f"uvicorn, raw ASGI, the same {size} bytes",
        note=f"none is remembered from the last time; {target.cost:.0f} µs of processor for each",
    )
