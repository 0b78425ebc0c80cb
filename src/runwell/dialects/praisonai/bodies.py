"""The bodies of answers. Fields are in the original's order, and all are always there."""

from typing import Annotated

import msgspec
from msgspec import Meta

from runwell.domain.json_gate import Json

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class JobSubmitResponse(msgspec.Struct, frozen=True):
    """Response after submitting a job."""

    job_id: str
    status: str
    created_at: Time
    poll_url: str
    stream_url: str


class JobProgress(msgspec.Struct, frozen=True):
    """Progress information. `percentage` is from 0 to 100."""

    percentage: float = 0.0
    current_step: str | None = None
    steps_completed: int = 0
    steps_total: int | None = None


class JobStatusResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Response for job status query. `retry_after` is in seconds, null when the job has ended."""

    job_id: str
    status: str
    progress: JobProgress
    created_at: Time
    started_at: Time | None
    completed_at: Time | None
    agent_id: str | None
    run_id: str | None
    session_id: str | None
    error: str | None
    retry_after: int | None


class JobResultResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Response for job result query. `metrics` is what the run consumed, null if it counted nothing."""

    job_id: str
    status: str
    result: Json
    result_url: str | None
    metrics: dict[str, float] | None
    created_at: Time
    started_at: Time | None
    completed_at: Time | None
    duration_seconds: float | None
    error: str | None


class JobListResponse(msgspec.Struct, frozen=True):
    """Response for listing jobs. `total` counts all that match, not the page."""

    jobs: list[JobStatusResponse]
    total: int
    page: int = 1
    page_size: int = 20


class Webhook(msgspec.Struct, frozen=True):
    """What is posted to `webhook_url` when the job has ended."""

    job_id: str
    status: str
    result: Json
    error: str | None
    completed_at: Time | None
    duration_seconds: float | None


class ExecutorStats(msgspec.Struct, frozen=True):
    """`running_jobs` counts what is queued or running; `default_timeout` is in seconds."""

    running_jobs: int
    max_concurrent: int
    default_timeout: int
    shutdown: bool


class HealthResponse(msgspec.Struct, frozen=True):
    status: str
    store: str
    executor_stats: ExecutorStats


class StoreStats(msgspec.Struct, frozen=True):
    """`max_jobs` is null: nothing is evicted."""

    total_jobs: int
    max_jobs: int | None
    status_counts: dict[str, int]


class StatsResponse(msgspec.Struct, frozen=True):
    """The caller's own jobs, and the server's load."""

    total_jobs: int
    by_status: dict[str, int]
    executor: ExecutorStats
    store: StoreStats


class Detail(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error. `hint` says what to do next, where there is something."""

    detail: str
    hint: str | None = None


class Refusal(msgspec.Struct, frozen=True):
    """The answer to a caller that is not known."""

    error: str


BODIES = (
    JobSubmitResponse, JobStatusResponse, JobResultResponse, JobListResponse, Webhook, HealthResponse,
    StatsResponse, Detail, Refusal,
)  # fmt: skip
