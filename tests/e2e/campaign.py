"""The long version of the kill test: `python -m tests.e2e.campaign --cycles 1000`."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.e2e.kills import campaign


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=40, help="how often the server is killed")
    parser.add_argument("--seed", type=int, default=1, help="the dice; the same seed kills at the same pace")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(
            campaign(Path(folder), options.cycles, options.seed, lambda line: print(line, flush=True))
        )
    print(f"{report.cycles} kills, {report.acknowledged} acknowledged runs, {report.events} events,")
    print(
        f"{report.watched} watched streams, taken up within {report.rescued_within:.3f} s of the first answer"
    )
    for fault in report.faults:
        print(f"FAULT {fault}")
    print("no fault" if not report.faults else f"{len(report.faults)} faults")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
