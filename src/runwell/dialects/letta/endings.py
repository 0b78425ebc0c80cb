"""How a run ended, in Letta's words."""

from typing import assert_never

from runwell.domain.run import Reason, Run, RunError, RunStatus

STATUSES = ("created", "running", "completed", "failed", "cancelled")
STOP_REASONS = (
    "end_turn", "error", "llm_api_error", "invalid_llm_response", "invalid_tool_call", "max_steps",
    "max_tokens_exceeded", "no_tool_call", "tool_rule", "cancelled", "insufficient_credits",
    "requires_approval", "context_window_overflow_in_system_prompt",
)  # fmt: skip


def status_of(run: Run) -> str:
    """A run that waits for an approval is completed: Letta goes on in a new one. A run that is queued
    again has begun, and is shown as running."""
    match run.status:
        case RunStatus.QUEUED:
            return "created" if run.started_at is None else "running"
        case RunStatus.RUNNING:
            return "running"
        case RunStatus.WAITING | RunStatus.SUCCEEDED:
            return "completed"
        case RunStatus.FAILED:
            return "failed"
        case RunStatus.CANCELLED:
            return "cancelled"
    assert_never(run.status)


def stop_reason_of(run: Run) -> str | None:
    match run.status:
        case RunStatus.QUEUED | RunStatus.RUNNING:
            return None
        case RunStatus.WAITING:
            return "requires_approval"
        case RunStatus.SUCCEEDED:
            return stop_of_success(run.reason)
        case RunStatus.FAILED:
            return stop_of_failure(run.reason or "")
        case RunStatus.CANCELLED:
            return "cancelled"
    assert_never(run.status)


def stop_of_success(reason: str | None) -> str:
    if reason == Reason.CONTINUED:
        return "requires_approval"
    return "max_steps" if reason == Reason.MAX_STEPS else "end_turn"


def stop_of_failure(reason: str) -> str:
    if reason == Reason.MODEL_ERROR:
        return "llm_api_error"
    return "insufficient_credits" if reason == Reason.BUDGET_EXHAUSTED else "error"


def error_type_of(reason: str) -> str:
    """Of a stream's error message."""
    if reason == Reason.TIMED_OUT:
        return "llm_timeout"
    if reason == Reason.LOST:
        return "stream_incomplete"
    return "llm_error" if reason == Reason.MODEL_ERROR else "internal_error"


def ended(run: Run) -> bool:
    """Whether nobody works on it any more, as this API sees it."""
    return run.final or run.status is RunStatus.WAITING


def sentence_of(error: RunError) -> str:
    return error.message
