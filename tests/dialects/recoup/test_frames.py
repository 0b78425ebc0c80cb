"""The frames of a turn: a pure fold over the log that no log brings out of step."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runwell.dialects.recoup.frames import DONE, TurnFrames
from runwell.dialects.recoup.messages import Assembled, answer_of
from runwell.domain.events import (
    EVENT_TYPES,
    FINAL_TYPES,
    Event,
    InheritedStep,
    LoggedEvent,
    MessageAdded,
    OutputRestarted,
    ReasoningDelta,
    RunCancelled,
    RunCreated,
    RunFailed,
    RunSucceeded,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCalled,
    ToolReturned,
    UsageCounted,
)
from runwell.domain.json_gate import Json, decode, encode
from runwell.domain.run import RunError, Usage
from runwell.domain.step import StepKind
from runwell.domain.thread import Role
from tests.dialects.recoup.logs import ENDINGS, MAKERS, a_random_log, a_story, lines, told_in_attempts
from tests.dialects.recoup.node import validated
from tests.dialects.recoup.turns import RUN, check_turn, chunk_of, chunks_of, frames_of

CREATED = RunCreated(agent="x", input=encode("q"))
MODEL = StepStarted(key="model", name="model", kind=StepKind.MODEL)
ASKED = StepFinished(key="model", name="model", kind=StepKind.MODEL, started_at=0, output=encode(1))
CALLED = ToolCalled(call_id="c", name="search", arguments=encode({"q": 1}))
DICE = st.randoms(use_true_random=False)


def told(*events: Event) -> list[str]:
    """The types of the frames after `start`, with the words in them."""
    shown = []
    for chunk in chunks_of(lines(CREATED, *events))[1:]:
        words = chunk.get("delta", chunk.get("errorText", chunk.get("toolCallId", "")))
        shown.append(f"{chunk['type']} {words}".strip())
    return shown


def text(text: str, step: str | None = None) -> TextDelta:
    return TextDelta(text=text, in_step=step)


def assembled(log: list[LoggedEvent]) -> Assembled:
    message = Assembled()
    for chunk in chunks_of(log):
        message.add(chunk)
    return message


def shown(parts: list[Any]) -> list[Any]:
    """Without the beginnings of steps in which nothing came: the client keeps them, and does not tell."""
    while parts and parts[-1] == {"type": "step-start"}:
        parts = parts[:-1]
    return parts


def prose(log: list[LoggedEvent]) -> list[object]:
    """What a page shows of a message."""
    answer = answer_of(RUN, log)
    assert answer is not None
    return [part.get("text", part) for part in answer.parts]


def succeeded(output: object = None) -> RunSucceeded:
    return RunSucceeded(output=encode(output))


def test_every_event_comes_in_the_random_logs():
    dice = random.Random(1)
    made = {type(make(dice)) for make in (*MAKERS, *ENDINGS)}
    assert made | {RunCreated} == set(EVENT_TYPES)


@settings(max_examples=300, deadline=None)
@given(DICE)
def test_any_log_is_one_balanced_turn(dice):
    log = a_random_log(dice)
    check_turn(chunks_of(log), ended=log[-1].type in FINAL_TYPES)


@settings(max_examples=100, deadline=None)
@given(DICE)
def test_the_frames_of_the_first_events_begin_the_frames_of_all(dice):
    log = a_random_log(dice)
    frames = frames_of(log)
    for count in range(len(log) + 1):
        some = frames_of(log[:count])
        assert some == frames[: len(some)]


@settings(max_examples=50, deadline=None)
@given(DICE)
def test_a_run_deleted_while_it_is_watched_still_ends_its_stream(dice):
    log = a_random_log(dice, ended=False)
    writer = TurnFrames(RUN)
    frames = [frame for line in log for frame in writer.write(line)]
    check_turn([chunk_of(frame) for frame in [*frames, *writer.give_up()]], ended=True)


def test_the_strict_client_takes_every_log_and_makes_of_it_what_we_do():
    """The schema that refuses an unknown key, and the code behind `useChat`, over five hundred logs."""
    logs = [a_random_log(random.Random(seed), ended=True) for seed in range(500)]
    answers = validated([b"".join([*frames_of(log), DONE]) for log in logs])
    for log, answer in zip(logs, answers, strict=True):
        ours = assembled(log)
        assert answer["chunks"] == chunks_of(log)
        assert shown(answer["message"]["parts"]) == shown(ours.parts)
        assert answer["message"].get("metadata", {}) == ours.metadata
        failed = log[-1].type == RunFailed.type
        assert len(answer["errors"]) == failed


@settings(max_examples=200, deadline=None)
@given(DICE, st.lists(st.integers(0, 25), max_size=3))
def test_takeovers_of_an_agent_that_says_the_same_again_do_not_show(dice, cuts):
    story = a_story(dice)
    broken = told_in_attempts([story] * (len(cuts) + 1), cuts)
    whole = told_in_attempts([story], [])
    check_turn(chunks_of(broken), ended=True)
    assert OutputRestarted.type not in {line.type for line in broken}
    assert assembled(broken).parts == assembled(whole).parts


@settings(max_examples=200, deadline=None)
@given(DICE, st.integers(0, 25))
def test_what_a_takeover_voids_is_streamed_but_not_kept(dice, cut):
    story, other = a_story(dice), a_story(dice)
    log = told_in_attempts([story, other], [cut])
    check_turn(chunks_of(log), ended=True)
    kept = "".join(part["text"] for part in answer_of(RUN, log).parts if part["type"] == "text")
    assert kept == (decode(log[-1].event.output) or "")


def test_a_turn_with_a_model_and_a_tool():
    assert told(
        MODEL,
        ReasoningDelta(text="hm", in_step="model"),
        text("Let me ", "model"),
        text("look.", "model"),
        ASKED,
        StepStarted(key="s", name="search", kind=StepKind.TOOL),
        ToolCalled(call_id="c", name="search", arguments=encode(1), in_step="s"),
        ToolReturned(call_id="c", name="search", result=encode(2), in_step="s"),
        StepStarted(key="model#2", name="model", kind=StepKind.MODEL),
        text("Found.", "model#2"),
        succeeded("Found."),
    ) == [
        "start-step", "reasoning-start", "reasoning-delta hm", "reasoning-end",
        "text-start", "text-delta Let me", "text-delta look.", "text-end",
        "tool-input-available c", "tool-output-available c", "finish-step",
        "start-step", "text-start", "text-delta Found.", "text-end", "finish-step", "finish",
    ]  # fmt: skip


def test_an_agent_without_a_model_says_everything_in_one_step():
    assert told(text("a"), text("b"), CALLED, text("c"), succeeded("abc")) == [
        "start-step", "text-start", "text-delta a", "text-delta b", "text-end", "tool-input-available c",
        "text-start", "text-delta c", "text-end", "tool-output-error Cancelled", "finish-step", "finish",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "output", "shown"),
    [
        ([], "It is.", ["It is."]),
        ([], {"a": 1}, ['{"a":1}']),
        ([], None, []),
        ([], "", []),
        (["It ", "is."], "It is.", ["It is."]),
        (["It is.\n"], "It is.", ["It is.\n"]),
        (["Looking…"], "It is.", ["Looking…", "It is."]),
        (["Looking…"], {"a": 1}, ["Looking…"]),
        (["x" * 50_000, "y" * 50_000], "x" * 50_000 + "y" * 50_000, ["x" * 50_000 + "y" * 50_000]),
    ],
)
def test_what_is_returned_is_shown_unless_it_was_said(said, output, shown):
    parts = assembled(lines(CREATED, *map(text, said), succeeded(output))).parts
    joined = [part["text"] for part in parts if part["type"] == "text"]
    assert joined == shown


@pytest.mark.parametrize(
    ("ending", "last"),
    [
        (RunFailed(reason="error", error=RunError("error", "no net")), ["error no net", "finish"]),
        (RunFailed(reason="error", error=RunError("error", "")), ["error An error occurred.", "finish"]),
        (RunCancelled(reason="requested"), ["finish"]),
        (succeeded(), ["finish"]),
    ],
)
def test_every_way_out_closes_what_is_open(ending, last):
    assert told(MODEL, CALLED, text("half", "model"), ending) == [
        "start-step", "tool-input-available c", "text-start", "text-delta half", "text-end",
        "tool-output-error Cancelled", "finish-step", *last,
    ]  # fmt: skip


def test_a_run_that_ends_before_it_began_is_an_empty_message():
    assert told(RunCancelled(reason="requested")) == ["finish"]


def test_a_restart_ends_what_is_open_and_begins_anew():
    again = OutputRestarted(attempt=2)
    log: list[Event] = [
        MODEL,
        text("void", "model"),
        CALLED,
        MODEL,
        again,
        text("new", "model"),
        CALLED,
        succeeded("new"),
    ]
    assert told(*log) == [
        "start-step", "text-start", "text-delta void", "tool-input-available c", "text-end",
        "tool-output-error Started again",
        "text-start", "text-delta new", "tool-input-available c#2", "text-end",
        "tool-output-error Cancelled", "finish-step", "finish",
    ]  # fmt: skip
    assert [part.get("text") for part in answer_of(RUN, lines(CREATED, *log)).parts] == [None, "new", None]


def test_an_output_that_was_only_said_before_a_restart_is_shown():
    shown = told(text("It is."), OutputRestarted(attempt=2), succeeded("It is."))
    assert shown.count("text-delta It is.") == 2


def test_what_was_said_in_a_finished_step_outlives_a_restart():
    log = lines(
        CREATED, MODEL, text("kept ", "model"), ASKED, text("void"), OutputRestarted(attempt=2), text("new"),
        succeeded("kept new"),
    )  # fmt: skip
    assert prose(log) == [{"type": "step-start"}, "kept ", "new"]


def test_a_result_without_its_call_brings_the_call_along():
    assert told(ToolReturned(call_id="c", name="search", result=encode(1)))[1:] == [
        "tool-input-available c", "tool-output-available c",
    ]  # fmt: skip


def test_a_result_finds_the_call_of_its_own_step():
    calls = [ToolCalled(call_id="c", name="n", arguments=encode(1), in_step=step) for step in ("a", "b")]
    returned = [ToolReturned(call_id="c", name="n", result=encode(step), in_step=step) for step in ("a", "b")]
    chunks = chunks_of(lines(CREATED, *calls, *returned))
    outputs = {c["toolCallId"]: c["output"] for c in chunks if c["type"] == "tool-output-available"}
    assert outputs == {"c": "a", "c#2": "b"}


@pytest.mark.parametrize(("result", "shown"), [("no net", "no net"), ({"code": 5}, '{"code":5}')])
def test_a_tool_that_failed_says_so(result, shown):
    assert told(CALLED, ToolReturned(call_id="c", name="n", result=encode(result), failed=True))[-1] == (
        f"tool-output-error {shown}"
    )


def test_a_document_that_was_kept_in_several_lines_is_a_frame_of_one():
    called = ToolCalled(call_id="c", name="n", arguments=Json(b'{\r\n "a":\n 1}'))
    (frame,) = [each for each in frames_of(lines(CREATED, called)) if b"input" in each]
    assert chunk_of(frame)["input"] == {"a": 1}


def test_a_message_of_the_assistant_is_a_part_of_its_own():
    added = [
        MessageAdded(role=role, content=encode(f"by {role}"))
        for role in (Role.ASSISTANT, Role.USER, Role.TOOL)
    ]
    assert [
        part["text"]
        for part in assembled(lines(CREATED, text("a"), *added, text("b"))).parts
        if part["type"] == "text"
    ] == ["a", "by assistant", ""]
    assert told(*added) == ["start-step", "text-start", "text-delta by assistant", "text-end"]


def test_usage_is_told_at_the_end_of_each_step_and_adds_up():
    def used(given: int, taken: int, step: str) -> UsageCounted:
        usage = Usage(input_tokens=given, output_tokens=taken, model_calls=1)
        return UsageCounted(usage=usage, model="m", in_step=step)

    second = StepStarted(key="model#2", name="model", kind=StepKind.MODEL)
    log = lines(CREATED, MODEL, used(5, 2, "model"), ASKED, second, used(7, 1, "model#2"), succeeded("x"))
    first, last = [c["messageMetadata"] for c in chunks_of(log) if c["type"] == "message-metadata"]
    assert first == {
        "modelId": "m",
        "lastStepUsage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7},
        "totalMessageUsage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7},
    }
    assert last["lastStepUsage"]["totalTokens"] == 8
    assert last["totalMessageUsage"] == {"inputTokens": 12, "outputTokens": 3, "totalTokens": 15}


def test_usage_of_an_agent_without_a_model_is_told_after_its_step():
    used = UsageCounted(usage=Usage(input_tokens=5, output_tokens=2, model_calls=1), model="m")
    assert told(used, succeeded("x")) == [
        "start-step", "text-start", "text-delta x", "text-end", "finish-step", "message-metadata", "finish",
    ]  # fmt: skip
    assert told(used, succeeded(None)) == ["message-metadata", "finish"]


def test_what_an_earlier_run_said_begins_the_answer_that_goes_on_from_it():
    steps = (
        InheritedStep(key="model", name="model", kind=StepKind.MODEL, output=encode(1), text="before "),
        InheritedStep(key="s", name="s", kind=StepKind.TOOL, output=encode(1)),
    )
    log = lines(
        RunCreated(agent="x", input=encode("q"), steps=steps), text("after"), succeeded("before after")
    )
    assert prose(log) == [{"type": "step-start"}, "before ", "after"]


def test_ids_depend_on_the_run_and_the_place_alone():
    log = lines(CREATED, text("a"), CALLED, text("b"))
    assert frames_of(log) == frames_of(log)
    ids = {chunk["id"] for chunk in chunks_of(log) if "id" in chunk}
    others = {chunk_of(frame).get("id") for frame in frames_of(log, "f" * 32)}
    assert len(ids) == 2
    assert not ids & others
