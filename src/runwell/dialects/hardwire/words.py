"""Values of the core in this API's words. It has two forms: the documented one (`docs`), and the one that
the product's own web client speaks (`app`)."""

from enum import StrEnum
from typing import Any, Literal, assert_never

import msgspec

from runwell.domain.ids import derived_id, spell_uuid
from runwell.domain.instant import Instant, to_iso
from runwell.domain.json_gate import Json, decode
from runwell.domain.run import Run, RunStatus

SOURCE = "hardwire"
Role = Literal["user", "assistant", "system"]
AppRunWord = Literal["RUNNING", "PASSED", "FAILED", "CANCELLED"]
AppStepWord = Literal["QUEUED", "RUNNING", "PASSED", "FAILED", "CANCELLED"]

LIVE = frozenset({RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING})

WORKFLOW_FAILED = "Workflow execution failed. Please review the steps and try again."
CANCELLED = "The run was cancelled."
DELETED = "The run was deleted."


class State(StrEnum):
    """Where a workflow run or one of its steps is, in the words of the documentation."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


def run_state(status: RunStatus) -> State:
    match status:
        case RunStatus.QUEUED:
            return State.PENDING
        case RunStatus.RUNNING | RunStatus.WAITING:
            return State.RUNNING  # who waits for a person has not ended, and this API cannot ask
        case RunStatus.SUCCEEDED:
            return State.COMPLETED
        case RunStatus.FAILED:
            return State.FAILED
        case RunStatus.CANCELLED:
            return State.CANCELLED
    assert_never(status)


def app_step_word(state: State) -> AppStepWord:
    """The status of a step for the web client."""
    match state:
        case State.PENDING:
            return "QUEUED"
        case State.RUNNING:
            return "RUNNING"
        case State.COMPLETED:
            return "PASSED"
        case State.FAILED:
            return "FAILED"
        case State.CANCELLED:
            return "CANCELLED"
    assert_never(state)


def app_run_word(status: RunStatus) -> AppRunWord:
    """The status of a run for the web client, which knows none that is queued."""
    word = app_step_word(run_state(status))
    return "RUNNING" if word == "QUEUED" else word


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """What this dialect keeps in `Run.extra` of the runs it makes. `workflow` is an id."""

    workflow: str | None = None
    model: str | None = None

    def encoded(self) -> Json:
        return Json(msgspec.json.encode(self))


def kept_of(run: Run) -> Kept:
    """Nothing of a run that was made elsewhere: what is in there is not ours."""
    return _DECODE(run.extra) if run.source == SOURCE else Kept()


_DECODE = msgspec.json.Decoder(Kept).decode


def time_word(instant: Instant) -> str:
    """`2024-02-04T12:00:00.000Z`: whole milliseconds, as browsers write them."""
    return f"{to_iso(instant)[:-4]}Z"


def time_or_null(instant: Instant | None) -> str | None:
    return None if instant is None else time_word(instant)


def question_id(run_id: str) -> str:
    """The id of the message that made a run."""
    return spell_uuid(derived_id(run_id, "hardwire.question"))


def answer_id(run_id: str) -> str:
    """The id of the message that a run ends with, known before it is there."""
    return spell_uuid(derived_id(run_id, "hardwire.answer"))


def placed_id(thread_id: str, position: int) -> str:
    """The id of a message that no run brought."""
    return spell_uuid(derived_id(thread_id, "hardwire.message", position))


def text_of_output(output: Json | None) -> str:
    """An output as a message shows it: text as it is, all else as JSON; nothing for none."""
    value: Any = None if output is None else decode(output)
    if value is None:
        return ""
    return value if isinstance(value, str) else bytes(output or b"").decode()
