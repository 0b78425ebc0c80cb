"""From runs to bodies. Documents are spliced, never decoded."""

from functools import lru_cache

import msgspec

from runwell.dialects.exchange import Headers, Reply
from runwell.dialects.praisonai import bodies, words
from runwell.dialects.praisonai.errors import JSON
from runwell.domain.instant import Instant, to_iso
from runwell.domain.json_gate import NULL, Json
from runwell.domain.run import NO_USAGE, Run, RunStatus
from runwell.stream.retry_after import retry_after

PRIVATE = (b"cache-control", b"private, no-cache")
FLOOR = {words.JobStatus.QUEUED: 2, words.JobStatus.RUNNING: 5}
"""Seconds that clients of the original are used to; they are never told to come back sooner."""

MOST_KEPT = 1_024
LARGEST_KEPT = 8_192
"""How many status bodies are kept, and how large each may be, in bytes: 8 MiB at most."""


def job_id(run_id: str) -> str:
    return f"run_{run_id}"


def seconds(run: Run, position: int | None, now: Instant) -> int | None:
    """When to ask again: the real figure, but not sooner than the original says."""
    computed = retry_after(run, position, now)
    return None if computed is None else max(computed, FLOOR[words.job_status(run.status)])


class Renderer:
    """Writes bodies. One per app, because it remembers the status bodies that were shown last: a run is
    asked for many times between two changes of what it shows."""

    def __init__(self) -> None:
        self._iso = lru_cache(maxsize=8_192)(to_iso)
        self._encode = msgspec.json.Encoder().encode
        self._shown: dict[str, tuple[int, bytes]] = {}

    def json(self, status: int, body: msgspec.Struct, headers: Headers | None = None) -> Reply:
        return Reply(status, [JSON, PRIVATE, *(headers or ())], self._encode(body))

    def status(self, run: Run, position: int | None, now: Instant) -> bytes:
        """A status body. `position` is the run's place in the queue.

        The version grows whenever the body would change, but for its last field, which is the time's.
        """
        shown = self._shown.get(run.id)
        if shown is None or shown[0] != run.version:
            body = self._encode(self.status_body(run, None)).removesuffix(b"null}")
            shown = run.version, body
            if len(body) <= LARGEST_KEPT:
                self._shown.pop(run.id, None)
                if len(self._shown) >= MOST_KEPT:
                    del self._shown[next(iter(self._shown))]
                self._shown[run.id] = shown
        wait = seconds(run, position, now)
        return b"%b%b}" % (shown[1], b"null" if wait is None else b"%d" % wait)

    def status_body(self, run: Run, wait: int | None) -> bodies.JobStatusResponse:
        kept, started = words.kept_of(run), run.started_at is not None
        return bodies.JobStatusResponse(
            job_id=job_id(run.id),
            status=words.job_status(run.status),
            progress=bodies.JobProgress(
                words.percentage_of(run), words.step_of(run), run.steps.finished, None
            ),
            created_at=self._iso(run.created_at),
            started_at=self._time(run.started_at),
            completed_at=self._time(run.finished_at),
            agent_id=words.agent_id_of(run),
            run_id=job_id(run.id) if started and kept.recipe else None,
            session_id=kept.session_id,
            error=words.failure_of(run),
            retry_after=wait,
        )

    def result(self, run: Run) -> Reply:
        """The result of a job that has ended."""
        body = bodies.JobResultResponse(
            job_id=job_id(run.id),
            status=words.job_status(run.status),
            result=output_of(run),
            result_url=None,
            metrics=msgspec.structs.asdict(run.usage) if run.usage != NO_USAGE else None,
            created_at=self._iso(run.created_at),
            started_at=self._time(run.started_at),
            completed_at=self._time(run.finished_at),
            duration_seconds=run.duration,
            error=words.failure_of(run),
        )
        return self.json(200, body)

    def webhook(self, run: Run) -> bytes:
        ended = self._time(run.finished_at)
        return self._encode(
            bodies.Webhook(
                job_id=job_id(run.id),
                status=words.job_status(run.status),
                result=output_of(run),
                error=words.failure_of(run),
                # The original spells this one time with an offset.
                completed_at=f"{ended[:-1]}+00:00" if ended is not None else None,
                duration_seconds=run.duration,
            )
        )

    def submitted(self, run: Run, base: str, wait: int, headers: Headers) -> Reply:
        """202: what the job is called, its status as it is now. `base` is the address that it was
        reached by, with the mount."""
        poll_url = f"{base}/api/v1/runs/{job_id(run.id)}"
        body = bodies.JobSubmitResponse(
            job_id=job_id(run.id),
            status=words.job_status(run.status),
            created_at=self._iso(run.created_at),
            poll_url=poll_url,
            stream_url=f"{poll_url}/stream",
        )
        location = (b"location", poll_url.encode())
        return self.json(202, body, [location, (b"retry-after", b"%d" % wait), *headers])

    def _time(self, instant: Instant | None) -> str | None:
        return None if instant is None else self._iso(instant)


def output_of(run: Run) -> Json:
    """Its output; null unless it succeeded."""
    if run.status is not RunStatus.SUCCEEDED or run.output is None:
        return NULL
    return run.output
