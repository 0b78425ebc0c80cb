"""Measure the fleet alone: `python -m benchmarks.fleet [rounds]`."""

import asyncio
import sys
import tempfile
from pathlib import Path

import uvloop

from benchmarks.fleet import processes, store
from benchmarks.measurement import Figure, Plan


async def _measure(rounds: int) -> list[Figure]:
    figures: list[Figure] = []
    for module in (store, processes):
        with tempfile.TemporaryDirectory(prefix="runwell-bench-") as folder:
            plan = Plan(Path(folder), rounds, False, _tell, lambda: asyncio.sleep(0))
            figures += await module.measure(plan)
    return figures


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    for figure in uvloop.run(_measure(int(sys.argv[1]) if len(sys.argv) > 1 else 3)):
        ratio = f"{figure.ratio:.2f} of the bare round trip" if figure.ratio is not None else ""
        print(f"{figure.name:<20} {figure.value:>9,.0f}{figure.unit}  {ratio:<32}{figure.verdict}")
