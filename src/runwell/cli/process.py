"""What the commands have in common that are processes of their own: `serve` and `work`."""

import asyncio
import gc
import logging
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from runwell.config import Settings


def run_until_stopped(settings: Settings, main: Callable[[Settings], Coroutine[Any, Any, None]]) -> None:
    """Run `main` on a loop of this process, with its log on stderr."""
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)-7s %(message)s", stream=sys.stderr
    )
    # The queue says each thing it does; what matters of it we say ourselves.
    logging.getLogger("pgqueuer").setLevel(logging.WARNING)
    _collect_rarely()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main(settings))


def _collect_rarely() -> None:
    """What was imported stays for ever, so the garbage collector need not look at it; and values here
    are freed by reference counts, so it may come less often than for 700 new objects."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where there is one; it does not run on Windows."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
