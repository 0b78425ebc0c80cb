"""Measure a fleet: servers and workers on one PostgreSQL, all of it on this machine.

  store    what the store does, beside a bare `SELECT 1` through the same driver
  queue    PgQueuer alone, with nothing behind its jobs
  fleet    status reads, submits, runs and streams of a server and two workers
  latency  one run on an idle fleet
  size     bytes on disk
  flat     reads and submits with a million runs stored, beside a thousand
  sqlite   the same on a SQLite file, for comparison (slower: about three minutes)

Progress goes to stderr, the table to stdout. PostgreSQL is started in the folder, with the settings it
comes with, so every commit is on disk before it is acknowledged. Nothing else should run meanwhile.
"""

import argparse
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import uvloop

from benchmarks import report, runs, streams, submits
from benchmarks.__main__ import commit, tell
from benchmarks.fleet import flat, latency, page, processes, queue_alone, size, store
from benchmarks.machine import look
from benchmarks.measurement import Figure, Plan
from benchmarks.quiet import Others, Quiet
from benchmarks.report import Results

Measure = Callable[[Plan], Awaitable[list[Figure]]]
BENCHMARKS: dict[str, tuple[Measure, ...]] = {
    "store": (store.measure,),
    "queue": (queue_alone.measure,),
    "fleet": (processes.measure,),
    "latency": (latency.measure,),
    "size": (size.measure,),
    "flat": (flat.measure,),
    "sqlite": (submits.measure, runs.measure_throughput, runs.measure_latency, streams.measure),
}
RESULTS = Path(__file__).parent.parent / "results"
PAGE = RESULTS.parent.parent / "docs" / "scale.md"


async def _measure(plan: Plan, names: list[str]) -> list[Figure]:
    figures: list[Figure] = []
    for name in names:
        for number, measure in enumerate(BENCHMARKS[name]):
            others = Others()
            folder = plan.folder / f"{name}-{number}"
            folder.mkdir()
            found = await measure(plan._replace(folder=folder))
            tell(f"{name}: others used {others.share:.0%} of the machine")
            figures += [msgspec.structs.replace(each, others=round(others.share, 3)) for each in found]
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fleet",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=list(BENCHMARKS), metavar="NAME", help="just these")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="the median counts [3]")
    parser.add_argument("--patience", type=float, default=0, metavar="S", help="wait for an idle machine [0]")
    parser.add_argument("--folder", type=Path, help="where databases are made: on the disk that counts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument("--save", action="store_true", help="keep the results and render docs/scale.md")
    parser.add_argument("--render", type=Path, metavar="FILE", help="only render the page from results")
    options = parser.parse_args()
    if options.render is not None:
        PAGE.write_text(page.render(report.read(options.render)), encoding="utf-8")
        return 0
    with tempfile.TemporaryDirectory(prefix="runwell-bench-", dir=options.folder) as name:
        folder = Path(name)
        # PostgreSQL serves as another user when it is started by root.
        folder.chmod(0o755)
        plan = Plan(folder, options.rounds, False, tell, Quiet(options.patience, tell))
        machine = look(folder)
        figures = uvloop.run(_measure(plan, options.only or list(BENCHMARKS)))
    results = Results(machine, commit(), options.rounds, figures)
    print(report.table(results))
    if options.json is not None:
        report.write(results, options.json)
    if options.save:
        report.write(results, RESULTS / f"fleet-{machine.date}-{results.commit.rstrip('+')}.json")
        PAGE.write_text(page.render(results), encoding="utf-8")
    return 1 if any(figure.verdict == "not met" for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
