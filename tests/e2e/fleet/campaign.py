"""Whatever can happen to a fleet, again and again under load, then everybody's memory held against the log.

Processes are killed, stopped and cut off from the database, and the database is restarted; several of
that may go on at once. The long version: `python -m tests.e2e.fleet.campaign --cycles 500`.
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from runwell.config import Settings
from runwell.domain.events import AttemptStarted
from runwell.domain.ids import parse_id
from runwell.wiring.orphans import queue_findings
from tests.e2e.fleet.load import Load, judge
from tests.e2e.fleet.story import store_of, until_true
from tests.support.live_fleet import LAPSE, Fleet, Member

AGENTS = Path(__file__).with_name("agents.py")
ROLES = {"a": "server", "b": "api", "c": "worker", "d": "worker"}
BLOWS = ("kill", "kill", "kill", "hold", "hold", "cut", "freeze", "restart")
LONGEST = 1.5 * LAPSE
"""Seconds for which a process is held or cut off."""
STANDING = 1
"""Servers, and workers, that are left alone at any time: somebody must be there to be asked."""


@dataclass
class Report:
    """`takeovers` are the seconds from a blow to a process until each of its runs was at work elsewhere."""

    blows: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    watched: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    takeovers: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        took = self.takeovers or [0.0]
        middle, worst = statistics.median(took), max(took)
        return [
            f"{self.blows.total()} blows: {dict(self.blows)}",
            f"{self.acknowledged} acknowledged runs, {self.watched} watched streams, "
            f"requests tried again: {dict(self.refused)}",
            f"{len(self.takeovers)} takeovers: median {middle:.2f} s, worst {worst:.2f} s",
            *(f"FAULT {fault}" for fault in self.faults),
            f"{len(self.faults)} faults",
        ]


class Blows:
    """Deals them out. `struck` remembers at what times each process was hit, and `away` when the database was
    gone, in seconds since the epoch."""

    def __init__(self, fleet: Fleet, dice: random.Random) -> None:
        self._fleet = fleet
        self._dice = dice
        self._down: dict[str, asyncio.Task[None]] = {}
        self._database = asyncio.Lock()
        self.struck: dict[int, list[float]] = defaultdict(list)
        self.away: list[tuple[float, float]] = []
        self.dealt: Counter[str] = Counter()

    async def deal(self) -> str:
        """One blow; returns when it has been dealt, and not when it is over."""
        blow = self._dice.choice(BLOWS)
        self.dealt[blow] += 1
        if blow == "restart":
            await self._restart_database()
            return blow
        name = await self._victim()
        member = self._fleet[name]
        self.struck[member.pid].append(time.time())
        await self._strike(member, blow)
        self._down[name] = asyncio.create_task(self._heal(member, blow, self._dice.uniform(0.2, LONGEST)))
        return f"{blow} {name}"

    async def over(self) -> None:
        await asyncio.gather(*self._down.values())
        await self._fleet.heal()

    async def _victim(self) -> str:
        """Somebody who stands, and not the last one."""
        await until_true(lambda: bool(self._free()), 60)
        return self._dice.choice(self._free())

    def _free(self) -> list[str]:
        for name, task in list(self._down.items()):
            if task.done():
                task.result()
                del self._down[name]
        standing = {name: each for name, each in self._fleet.members.items() if name not in self._down}
        servers = sum(each.serves for each in standing.values())
        workers = sum(each.works for each in standing.values())
        return [
            name
            for name, each in standing.items()
            if servers - each.serves >= STANDING and workers - each.works >= STANDING
        ]

    async def _strike(self, member: Member, blow: str) -> None:
        if blow == "kill":
            await asyncio.to_thread(member.kill)
        elif blow == "hold":
            member.hold()
        else:
            assert member.way is not None
            await asyncio.to_thread(member.way.cut if blow == "cut" else member.way.freeze)

    async def _heal(self, member: Member, blow: str, after: float) -> None:
        await asyncio.sleep(after)  # sleep: for as long as it lasts
        if blow == "kill":
            async with self._database:  # without one nothing starts
                await asyncio.to_thread(member.start)
        elif blow == "hold":
            member.go_on()
        else:
            assert member.way is not None
            await asyncio.to_thread(member.way.mend)

    async def _restart_database(self) -> None:
        async with self._database:
            gone = time.time()
            await asyncio.to_thread(self._fleet.database.stop, self._dice.choice(["fast", "immediate"]))
            await asyncio.sleep(self._dice.uniform(0.0, LAPSE))  # sleep: for as long as it lasts
            await asyncio.to_thread(self._fleet.database.start)
            self.away.append((gone, time.time()))


def _silent(line: str) -> None:
    """Nobody wants to know."""


async def campaign(fleet: Fleet, cycles: int, seed: int = 1, tell: Callable[[str], None] = _silent) -> Report:
    """Leaves the fleet whole."""
    dice = random.Random(seed)
    load, blows = Load(fleet, seed=seed), Blows(fleet, dice)
    load.start()
    for cycle in range(cycles):
        await asyncio.sleep(dice.uniform(0.1, 1.0))  # sleep: the moment of a blow is chance
        dealt = await blows.deal()
        load.check()
        tell(f"{cycle + 1}/{cycles} {dealt}: {len(load.final)} of {len(load.acknowledged)} runs final")
    await blows.over()
    await load.end()
    report = Report(blows.dealt, len(load.acknowledged), len(load.watched), load.refused)
    report.faults = await judge(load)
    settings = Settings(db=fleet.database.url(), lapse=LAPSE)
    report.faults += [each.sentence for each in await queue_findings(settings) if each.level != "ok"]
    report.takeovers = await _takeovers(load, blows)
    return report


async def _takeovers(load: Load, blows: Blows) -> list[float]:
    """Counted from the first blow to the process in the attempt that was lost. Of the runs that are in
    nobody's way; and not while the database was away, or shortly after, when nobody could take anything."""
    found = []
    async with store_of(load.fleet) as store:
        for run_id in load.acknowledged:
            run = await store.runs.get(parse_id(run_id))
            if run.tries == 0 or run.concurrency_key is not None:
                continue
            pid, began, lost = 0, 0.0, 0.0
            for line in await store.events.read(run.id, 0, 10_000):
                at = line.at / 1e6
                if line.type == "attempt.lost":
                    lost = at
                elif isinstance(line.event, AttemptStarted):
                    hits = [hit for hit in blows.struck.get(pid, ()) if began < hit < lost]
                    if hits and not _met(blows.away, hits[0], at):
                        found.append(at - hits[0])
                    pid, began, lost = int(line.event.worker.split(":")[1]), at, 0.0
    return found


def _met(away: list[tuple[float, float]], begin: float, end: float) -> bool:
    return any(begin < back + LAPSE and gone < end for gone, back in away)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=60, help="how many blows are dealt")
    parser.add_argument("--seed", type=int, default=1, help="the dice; the same seed deals the same blows")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Fleet(Path(folder), AGENTS, ROLES, {}) as fleet:
        report = asyncio.run(
            campaign(fleet, options.cycles, options.seed, lambda line: print(line, flush=True))
        )
    print("\n".join(report.lines()))
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
