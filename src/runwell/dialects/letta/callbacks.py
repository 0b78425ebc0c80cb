"""The body that is posted to a run's `callback_url` when it has ended."""

from typing import Any

import msgspec

from runwell.dialects.letta import ids
from runwell.dialects.letta.endings import status_of
from runwell.dialects.letta.origin import origin_of
from runwell.dialects.letta.runs import metadata_of
from runwell.dialects.letta.telling import response_of
from runwell.dialects.letta.times import iso
from runwell.domain.errors import NotFound
from runwell.domain.events import LoggedEvent, RunSucceeded, RunWaiting
from runwell.domain.run import Reason, Run
from runwell.engine.core import Core


class AlreadyTold(NotFound):
    """A run that waited was told as completed; that another one goes on from it is no second end."""

    code = "already_told"


class CallbackBody(msgspec.Struct, frozen=True):
    run_id: str
    status: str
    completed_at: str | None
    metadata: dict[str, Any]


class RenderCallback:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def __call__(self, run: Run, line: LoggedEvent) -> bytes:
        """Raises `AlreadyTold`, `LogPruned`."""
        event = line.event
        if isinstance(event, RunSucceeded) and event.reason == Reason.CONTINUED:
            raise AlreadyTold(f"{ids.run_id(run.id)} was told when it began to wait")
        waits = isinstance(event, RunWaiting)
        result = await response_of(self._core, run, whole=True, stop="requires_approval" if waits else None)
        return msgspec.json.encode(
            CallbackBody(
                ids.run_id(run.id),
                "completed" if waits else status_of(run),
                iso(line.at),
                {**(metadata_of(run, origin_of(run)) or {}), "result": result},
            )
        )
