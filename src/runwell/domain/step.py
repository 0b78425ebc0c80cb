"""A step: a piece of a run that is done once, remembered, and never paid for twice."""

from enum import StrEnum

import msgspec

from runwell.domain.instant import Instant
from runwell.domain.json_gate import Json
from runwell.domain.run import NO_USAGE, RunError, Usage


class StepKind(StrEnum):
    CODE = "code"
    MODEL = "model"
    TOOL = "tool"
    WORKFLOW = "workflow"


class StepStatus(StrEnum):
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step as the store shows it. `key` is unique in the run; `parent` is another step's key.

    A step that a dead attempt left `running` is started again under the same key by the next one;
    `usage` keeps what the dead attempt spent.
    """

    key: str
    name: str
    kind: StepKind
    status: StepStatus
    attempt: int
    started_at: Instant
    parent: str | None = None
    finished_at: Instant | None = None
    usage: Usage = NO_USAGE
    error: RunError | None = None
    output: Json | None = None
    inherited: bool = False
