"""The Run object: 17 fields, in the order of Letta's server, nulls and all."""

from typing import Any

import msgspec

from runwell.dialects.letta import ids
from runwell.dialects.letta.endings import error_type_of, status_of, stop_reason_of
from runwell.dialects.letta.origin import Origin, RequestConfig, conversation_of, origin_of
from runwell.dialects.letta.times import iso, nanoseconds
from runwell.domain.callback import Delivery, Post
from runwell.domain.errors import LogPruned
from runwell.domain.ids import id_of_name
from runwell.domain.instant import Instant
from runwell.domain.json_gate import decode
from runwell.domain.run import Reason, Run, RunStatus
from runwell.engine.core import Core

FORMAT = "letta"
"""The word for the bodies of this dialect's callbacks."""
MOST_KEPT = 1_024
LARGEST_KEPT = 8_192
"""How many bodies of runs are kept, and how large each may be, in bytes: 8 MiB at most."""
STREAMED = frozenset({"send_message_streaming", "send_conversation_message"})


class RunBody(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    status: str
    created_at: str
    completed_at: str | None
    agent_id: str
    conversation_id: str | None
    base_template_id: None = None
    background: bool | None
    metadata: dict[str, Any] | None
    request_config: RequestConfig | None
    stop_reason: str | None
    callback_url: str | None = None
    callback_sent_at: str | None = None
    callback_status_code: int | None = None
    callback_error: str | None = None
    ttft_ns: int | None
    total_duration_ns: int | None


class RunRenderer:
    """Writes Run objects. One per app, because it remembers the bodies that were shown last: a run is
    asked for many times between two changes of what it shows. What callbacks came to changes without
    the run's row, so runs that have one are written anew each time."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._encode = msgspec.json.Encoder().encode
        self._shown: dict[str, tuple[int, bytes]] = {}

    async def body(self, run: Run) -> bytes:
        shown = self._shown.get(run.id)
        if shown is not None and shown[0] == run.version:
            return shown[1]
        body = self._encode(await self.run(run))
        if not run.callbacks and len(body) <= LARGEST_KEPT:
            self._shown.pop(run.id, None)
            if len(self._shown) >= MOST_KEPT:
                del self._shown[next(iter(self._shown))]
            self._shown[run.id] = (run.version, body)
        return body

    async def run(self, run: Run) -> RunBody:
        origin = origin_of(run)
        ended = await completed_at(self._core, run)
        return RunBody(
            id=ids.run_id(run.id),
            status=status_of(run),
            created_at=iso(run.created_at) or "",
            completed_at=iso(ended),
            agent_id=ids.agent_id(await agent_of(self._core, run, origin)),
            conversation_id=conversation_of(run, origin),
            background=origin.background if origin is not None else None,
            metadata=metadata_of(run, origin),
            request_config=origin.config if origin is not None else None,
            stop_reason=stop_reason_of(run),
            ttft_ns=nanoseconds(run.created_at, run.first_output_at),
            total_duration_ns=nanoseconds(run.created_at, ended),
            **await self._callback(run),
        )

    async def _callback(self, run: Run) -> dict[str, Any]:
        """The address, and the outcome of the last post to it."""
        url = next((callback.url for callback in run.callbacks if callback.format == FORMAT), None)
        if url is None:
            return {}
        deliveries = await self._core.store.deliveries.of(run.id)
        posts = [(each, each.last) for each in deliveries if each.format == FORMAT and each.last]
        if not posts:
            return {"callback_url": url}
        delivery, post = max(posts, key=lambda posted: posted[1].at)
        return {"callback_url": url, **_outcome(run, delivery, post)}


def _outcome(run: Run, delivery: Delivery, post: Post) -> dict[str, Any]:
    error = None
    if post.error is not None:
        error = f"Failed to dispatch callback for run {ids.run_id(run.id)} to {delivery.url}: {post.error}"
    return {
        "callback_sent_at": iso(post.at),
        "callback_status_code": post.status_code,
        "callback_error": error,
    }


async def completed_at(core: Core, run: Run) -> Instant | None:
    """When the run ended for this API. One that asked ended when it asked, also when another run has
    gone on from there since: what is final does not move."""
    if run.status is RunStatus.WAITING:
        back = 1
    elif run.status is RunStatus.SUCCEEDED and run.reason == Reason.CONTINUED:
        back = 2
    else:
        return run.finished_at
    try:
        lines = await core.store.events.read(run.id, run.last_seq - back, 1)
    except LogPruned:
        return run.finished_at
    return lines[0].at if lines else run.finished_at


async def agent_of(core: Core, run: Run, origin: Origin | None) -> str:
    """The bare id of the run's agent. Of an agent that is gone and was not called through this API it
    is made from the name."""
    if origin is not None:
        return origin.agent_id
    spec = await core.store.agents.get(run.agent, run.owner)
    return spec.id if spec is not None else id_of_name(run.agent)


def metadata_of(run: Run, origin: Origin | None) -> dict[str, Any] | None:
    """Letta's own words for how it was sent; for runs of other APIs the metadata they were given."""
    metadata: dict[str, Any] = decode(run.metadata)
    if origin is not None:
        metadata["run_type"] = origin.run_type
        if origin.run_type == "send_message_async":
            metadata["lettuce"] = None
    if run.error is not None:
        metadata["error"] = _error(run, origin)
    return metadata or None


def _error(run: Run, origin: Origin | None) -> Any:
    """A sentence; of a run that was streamed, the stream's error message."""
    if run.error is None:
        raise AssertionError("only a failed run has an error")
    if origin is None or origin.run_type not in STREAMED:
        return run.error.message
    return {
        "message_type": "error_message",
        "run_id": ids.run_id(run.id),
        "error_type": error_type_of(run.reason or ""),
        "message": run.error.message,
        "detail": run.error.code,
    }
