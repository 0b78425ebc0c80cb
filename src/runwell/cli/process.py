"""What the commands have in common that are processes of their own: `serve` and `work`."""

import asyncio
import gc
import logging
import sys
from collections.abc import Callable
from typing import Literal

from runwell.config import Settings


def run_until_stopped(settings: Settings, main: Literal["serve", "work"]) -> None:
    """Run that of `runwell.wiring` on a loop of this process, with its log on stderr."""
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)-7s %(message)s", stream=sys.stderr
    )
    # The queue says each thing it does; what matters of it we say ourselves.
    logging.getLogger("pgqueuer").setLevel(logging.WARNING)
    # Values here are freed by reference counts, so the garbage collector may come less often than for 700
    # new objects; and what is imported stays for ever, so it need not look at that again.
    gc.set_threshold(20_000, 20, 20)
    from runwell import wiring

    gc.freeze()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run({"serve": wiring.serve, "work": wiring.work}[main](settings))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where there is one; it does not run on Windows."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
