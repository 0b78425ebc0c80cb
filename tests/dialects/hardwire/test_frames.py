"""The frames of both streams in both forms: pure folds over the log that no log brings out of step."""

import json
import random
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runwell.dialects.hardwire.app_wire import AppWire
from runwell.dialects.hardwire.docs_wire import DocsWire
from runwell.dialects.hardwire.runs import Facts, RunView
from runwell.dialects.hardwire.wire import MessageFrames, RunFrames, Wire
from runwell.dialects.hardwire.words import answer_id, question_id
from runwell.domain.events import (
    EVENT_TYPES,
    FINAL_TYPES,
    AttemptStarted,
    Event,
    InheritedStep,
    LoggedEvent,
    OutputRestarted,
    ProgressNoted,
    RunCancelled,
    RunCreated,
    RunFailed,
    RunSucceeded,
    TextDelta,
    ToolCalled,
    ToolReturned,
)
from runwell.domain.ids import spell_uuid
from runwell.domain.json_gate import encode
from runwell.domain.run import Progress, RunError, RunStatus
from runwell.domain.step import StepKind
from tests.dialects.hardwire.logs import (
    ENDINGS,
    MAKERS,
    PLAN,
    a_crashing_log,
    a_random_log,
    failed,
    finished,
    lines,
    started,
)
from tests.dialects.hardwire.schemas import APP_MESSAGE, APP_RUN, DOCS_MESSAGE, DOCS_RUN

RUN, CHAT, WORKFLOW = (f"0190c3b100004000800000000000000{digit}" for digit in "abc")
WIRES: dict[str, Wire] = {"docs": DocsWire(), "app": AppWire()}
DICE = st.randoms(use_true_random=False)
CREATED = RunCreated(agent="x", input=encode("tides?"))
BEGUN = AttemptStarted(attempt=1, worker="w")
DONE = RunSucceeded(output=encode("done"))


def run_writer(form: str) -> RunFrames:
    view = RunView(RUN, CHAT, WORKFLOW, question_id(RUN), Facts(RunStatus.QUEUED, 0), ())
    return WIRES[form].run_frames(view, PLAN)


def message_writer(form: str, *, workflow: bool = False) -> MessageFrames:
    return WIRES[form].message_frames(RUN, CHAT, workflow=workflow)


WRITERS = {
    ("docs", "run"): (lambda: run_writer("docs"), DOCS_RUN),
    ("app", "run"): (lambda: run_writer("app"), APP_RUN),
    ("docs", "message"): (lambda: message_writer("docs"), DOCS_MESSAGE),
    ("app", "message"): (lambda: message_writer("app"), APP_MESSAGE),
}
VALIDATORS = {
    which: jsonschema.validators.validator_for(schema)(schema) for which, (_, schema) in WRITERS.items()
}


def written(writer: RunFrames | MessageFrames, log: Iterable[LoggedEvent]) -> list[bytes]:
    return [frame for line in log for frame in writer.write(line)]


def read(frame: bytes) -> dict[str, Any]:
    assert frame.startswith(b"data: ")
    assert frame.endswith(b"\n\n")
    assert frame.count(b"\n") == 2, "a frame is one line"
    body: dict[str, Any] = json.loads(frame[6:])
    return body


def run_told(form: str, *events: Event) -> list[dict[str, Any]]:
    return [read(frame) for frame in written(run_writer(form), lines(CREATED, *events))]


def message_told(form: str, *events: Event, workflow: bool = False) -> list[dict[str, Any]]:
    writer = message_writer(form, workflow=workflow)
    return [read(frame) for frame in written(writer, lines(CREATED, *events))]


def test_every_event_comes_in_the_random_logs():
    dice = random.Random(1)
    made = {type(make(dice)) for make in (*MAKERS, *ENDINGS)}
    assert made | {RunCreated} == set(EVENT_TYPES)


@pytest.mark.parametrize("which", WRITERS)
@settings(max_examples=150, deadline=None)
@given(dice=DICE)
def test_every_frame_of_any_log_is_as_the_contract_says(which, dice):
    make, _ = WRITERS[which]
    log = a_random_log(dice)
    writer = make()
    told = [read(frame) for frame in written(writer, log)]
    for frame in told:
        VALIDATORS[which].validate(frame)
    assert writer.ended == (log[-1].type in FINAL_TYPES)
    ends = [place for place, frame in enumerate(told) if is_end(frame)]
    assert ends == ([len(told) - 1] if writer.ended else [])


def is_end(frame: dict[str, Any]) -> bool:
    return frame["type"] in ("run_completed", "run_failed", "complete", "end", "error")


@pytest.mark.parametrize("which", WRITERS)
@settings(max_examples=60, deadline=None)
@given(dice=DICE)
def test_the_frames_of_the_first_events_begin_the_frames_of_all(which, dice):
    make, _ = WRITERS[which]
    log = a_random_log(dice)
    frames = written(make(), log)
    for count in range(len(log) + 1):
        some = written(make(), log[:count])
        assert some == frames[: len(some)]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 7), max_size=4))
def test_takeovers_do_not_show_in_the_documented_form(cuts):
    broken = written(run_writer("docs"), a_crashing_log(cuts))
    assert broken == written(run_writer("docs"), a_crashing_log([]))


@settings(max_examples=100, deadline=None)
@given(DICE)
def test_in_the_documented_form_a_step_begins_before_it_ends_and_once_at_a_time(dice):
    open_steps: set[str] = set()
    for frame in map(read, written(run_writer("docs"), a_random_log(dice))):
        match frame["type"]:
            case "step_started":
                assert frame["stepId"] not in open_steps
                open_steps.add(frame["stepId"])
            case "step_progress":
                assert frame["stepId"] in open_steps
            case "step_completed" | "step_failed":
                open_steps.remove(frame["stepId"])
            case other:
                assert other.startswith("run_")
    assert open_steps <= {step.id for step in PLAN}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 7), max_size=4))
def test_no_two_snapshots_in_a_row_are_the_same_and_the_last_tells_all(cuts):
    frames = written(run_writer("app"), a_crashing_log(cuts))
    assert all(one != other for one, other in pairwise(frames))
    last = read(frames[-2])
    assert last["workflowRun"]["status"] == "PASSED"
    assert [step["status"] for step in last["steps"]] == ["PASSED"] * 3
    assert last["message"]["id"] == answer_id(RUN)


def test_a_workflow_run_from_its_start_to_its_end():
    run, workflow = spell_uuid(RUN), spell_uuid(WORKFLOW)
    half = ProgressNoted(progress=Progress(100 / 6, "First: half way"), in_step="a")
    ending = RunFailed(reason="error", error=RunError("error", "no net"))
    events = (started("a"), half, finished("a", {"items": []}), started("b"), failed("b"), ending)
    assert run_told("docs", BEGUN, *events) == [
        {"type": "run_started", "runId": run, "workflowId": workflow},
        {"type": "step_started", "stepId": "a", "toolId": "tool-a"},
        {"type": "step_progress", "stepId": "a", "progress": 50, "message": "half way"},
        {"type": "step_completed", "stepId": "a", "result": {"items": []}},
        {"type": "step_started", "stepId": "b", "toolId": "tool-b"},
        {"type": "step_failed", "stepId": "b", "error": "it broke"},
        {"type": "run_failed", "runId": run, "error": "no net"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("output", "result"),
    [("text", {"output": "text"}), ({"a": 1}, {"a": 1}), ([1], {"output": [1]}), (None, {"output": None})],
)
def test_a_result_is_always_an_object(output, result):
    told = run_told("docs", BEGUN, started("a"), finished("a", output))
    assert told[-1]["result"] == result


def test_progress_of_a_step_is_its_own_share_of_the_whole():
    """Of three steps: one is done, and two are under way at once."""
    told = run_told(
        "docs", BEGUN, started("a"), finished("a"), started("b"), started("c"),
        ProgressNoted(progress=Progress(100 * 1.5 / 3, "b: x, Last"), in_step="b"),
        ProgressNoted(progress=Progress(100 * 1.75 / 3, "Last: y"), in_step="c/find"),
        ProgressNoted(progress=Progress(0.0, "b"), in_step="b"),
        ProgressNoted(progress=Progress(90.0, "nobody's")),
    )  # fmt: skip
    noted = [(frame["stepId"], frame["progress"], frame["message"]) for frame in told[5:]]
    assert noted == [("b", 50, "x, Last"), ("c", 25, "y"), ("b", 50, "")]


def test_a_cancelled_run_is_no_success():
    told = run_told("docs", RunCancelled(reason="requested"))
    assert told == [{"type": "run_failed", "runId": spell_uuid(RUN), "error": "The run was cancelled."}]


def test_inherited_steps_are_told_when_the_run_begins():
    step = InheritedStep(key="a", name="First", kind=StepKind.WORKFLOW, output=encode({"n": 1}))
    created = RunCreated(agent="x", input=encode("q"), steps=(step,))
    told = [read(frame) for frame in written(run_writer("docs"), lines(created, BEGUN))]
    assert [frame["type"] for frame in told] == ["run_started", "step_started", "step_completed"]


def test_snapshots_have_every_step_and_what_was_used_in_it():
    told = run_told(
        "app", BEGUN, started("a"), started("a/find"), finished("a/find", [1]), finished("a", "x"), DONE
    )
    assert [frame["type"] for frame in told] == ["snapshot"] * 6 + ["complete"]
    first, last = told[0], told[-2]
    assert [step["status"] for step in first["steps"]] == ["QUEUED"] * 3
    assert first["workflowRun"]["status"] == "RUNNING"
    assert first["message"] is None
    assert last["steps"][0] == {
        "id": "a", "stepId": "a", "name": "First", "status": "PASSED", "output": "x", "error": None,
        "logs": None, "toolCalls": [{"id": "a/find", "name": "find", "status": "PASSED", "output": [1]}],
        "startedAt": "1970-01-01T00:00:01.000Z", "completedAt": "1970-01-01T00:00:06.000Z",
    }  # fmt: skip
    assert last["message"]["content"] == "done"
    assert told[-1] == {"type": "complete", "workflowRunId": spell_uuid(RUN), "status": "PASSED"}


def test_a_message_is_told_word_by_word():
    call = ToolCalled(call_id="c", name="search", arguments=encode({"q": 1}))
    back = ToolReturned(call_id="c", name="", result=encode([2]))
    events = (TextDelta(text="It "), call, back, TextDelta(text="is."), RunSucceeded(output=encode("It is.")))
    id = answer_id(RUN)
    assert message_told("docs", *events) == [
        {"type": "start", "messageId": id},
        {"type": "content", "delta": "It "},
        {"type": "tool_call", "toolName": "search", "toolArgs": {"q": 1}},
        {"type": "tool_result", "toolName": "search", "result": [2]},
        {"type": "content", "delta": "is."},
        {"type": "end", "messageId": id},
    ]
    asked = {
        "id": question_id(RUN),
        "role": "user",
        "content": "tides?",
        "createdAt": "1970-01-01T00:00:01.000Z",
    }
    answer = {"id": id, "role": "assistant", "content": "It is.", "createdAt": "1970-01-01T00:00:06.000Z"}
    assert message_told("app", *events) == [
        {"type": "user_message", "message": asked},
        {"type": "token", "token": "It "},
        {"type": "token", "token": "is."},
        {"type": "complete", "message": {**answer, "sources": []}, "chatId": spell_uuid(CHAT)},
    ]


def deltas(told: list[dict[str, Any]]) -> list[str]:
    return [frame["delta"] for frame in told if frame["type"] == "content"]


@pytest.mark.parametrize(
    ("said", "output", "shown"),
    [
        ([], "It is.", ["It is."]),
        ([], {"a": 1}, ['{"a":1}']),
        ([], None, []),
        (["It is.\n"], "It is.", ["It is.\n"]),
        (["Looking…"], "It is.", ["Looking…", "It is."]),
    ],
)
def test_what_is_returned_is_told_unless_it_was_said(said, output, shown):
    events: list[Event] = [*(TextDelta(text=text) for text in said), RunSucceeded(output=encode(output))]
    assert deltas(message_told("docs", *events)) == shown


def test_what_is_said_within_a_workflows_steps_is_not_the_answer():
    events = (TextDelta(text="draft", in_step="a"), RunSucceeded(output=encode("It is.")))
    assert deltas(message_told("docs", *events, workflow=True)) == ["It is."]


def test_a_void_beginning_begins_anew_with_what_still_stands():
    told = message_told(
        "docs", started("m"), TextDelta(text="kept ", in_step="m"), finished("m"), TextDelta(text="void"),
        OutputRestarted(attempt=2), TextDelta(text="new"), RunSucceeded(output=encode("kept new")),
    )  # fmt: skip
    assert [frame["type"] for frame in told] == [
        "start", "content", "content", "start", "content", "content", "end",
    ]  # fmt: skip
    assert deltas(told)[2:] == ["kept ", "new"]
    assert told[0] == told[3]


@pytest.mark.parametrize("form", WIRES)
def test_a_run_deleted_while_it_is_watched_still_ends_its_streams(form):
    writer = message_writer(form)
    frames = [*written(writer, lines(CREATED)), *writer.give_up()]
    assert read(frames[-1])["type"] == "error"
    assert writer.ended
    told = read(WIRES[form].run_deleted(run_writer(form), {"headers": []}))
    assert told["type"] == ("run_failed" if form == "docs" else "error")
