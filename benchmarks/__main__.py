"""Measure Runwell beside a server that does nothing, on this machine.

  reads      status reads a second, with 1,000 and 100,000 (--full: 1,000,000) runs stored
  dialects   status reads through each dialect, beside the native one
  submits    durable submits a second
  runs       runs a second from submit to end
  latency    submit to end of one run on an idle server
  streams    events delivered a second, and the time to the first
  footprint  memory when idle and per watcher, time to start
  log        bytes on disk per event
  dashboard  its first page with 100,000 (--full: 1,000,000) runs stored, and how soon it shows what happens

Progress goes to stderr, the table to stdout. Takes about four minutes; nothing else should run
meanwhile. Ends with 1 when a floor is not met.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import uvloop

from benchmarks import (
    dashboard,
    dialect_reads,
    footprint,
    log_size,
    report,
    runs,
    status_reads,
    streams,
    submits,
)
from benchmarks.machine import look
from benchmarks.measurement import Figure, Plan
from benchmarks.quiet import Others, Quiet
from benchmarks.report import Results

BENCHMARKS: dict[str, Callable[[Plan], Awaitable[list[Figure]]]] = {
    "reads": status_reads.measure,
    "dialects": dialect_reads.measure,
    "submits": submits.measure,
    "runs": runs.measure_throughput,
    "latency": runs.measure_latency,
    "streams": streams.measure,
    "footprint": footprint.measure,
    "log": log_size.measure,
    "dashboard": dashboard.measure,
}
HOME = Path(__file__).parent
PAGE = HOME.parent / "docs" / "performance.md"


def main() -> int:
    options = _options()
    if options.render is not None:
        PAGE.write_text(report.page(report.read(options.render)), encoding="utf-8")
        return 0
    with tempfile.TemporaryDirectory(prefix="runwell-bench-", dir=options.folder) as folder:
        plan = Plan(Path(folder), options.rounds, options.full, tell, Quiet(options.patience, tell))
        machine = look(plan.folder)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures: list[Figure] = []
            results = Results(machine, commit(), options.rounds, figures)
            try:
                runner.run(_measure(plan, options.only or list(BENCHMARKS), figures))
            finally:
                # Also what was measured before one of them failed.
                print(report.table(results))
    if options.json is not None:
        report.write(results, options.json)
    if options.save:
        report.write(results, HOME / "results" / f"{machine.date}-{results.commit.rstrip('+')}.json")
        PAGE.write_text(report.page(results), encoding="utf-8")
    return 1 if any(figure.verdict == "not met" for figure in figures) else 0


async def _measure(plan: Plan, names: list[str], figures: list[Figure]) -> None:
    for name in names:
        others = Others()
        found = await BENCHMARKS[name](plan)
        tell(f"{name}: others used {others.share:.0%} of the machine")
        figures += [msgspec.structs.replace(figure, others=round(others.share, 3)) for figure in found]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="+", choices=list(BENCHMARKS), metavar="NAME", help="just these, of the above"
    )
    parser.add_argument("--full", action="store_true", help="also with 1,000,000 runs stored (a minute more)")
    parser.add_argument(
        "--rounds", type=int, default=5, metavar="N", help="rounds per figure; the median counts [5]"
    )
    parser.add_argument(
        "--patience", type=float, default=0, metavar="S", help="wait up to S seconds for an idle machine [0]"
    )
    parser.add_argument(
        "--folder", type=Path, help="where databases are made: on the disk you want to know about"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument(
        "--save", action="store_true", help="keep the results in benchmarks/results and render the page"
    )
    parser.add_argument(
        "--render", type=Path, metavar="FILE", help="only render docs/performance.md from results"
    )
    return parser.parse_args()


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def commit() -> str:
    """What is measured; a + says that files have been changed since."""
    described = subprocess.run(
        ["git", "describe", "--always", "--exclude=*", "--dirty=+"], cwd=HOME, capture_output=True, text=True
    )
    return described.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
