"""Streams as a fold over the log: Letta's frames, their numbers, and what ends them."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runwell.dialects.letta.frames import CANCELLED, DONE, LettaFrames, View
from runwell.dialects.letta.origin import RequestConfig
from runwell.dialects.letta.telling import tell
from runwell.dialects.letta.transcript import Transcript
from runwell.domain.events import (
    EVENT_TYPES,
    OutputRestarted,
    ReasoningDelta,
    RunCancelled,
    RunFailed,
    RunResumed,
    RunWaiting,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCalled,
    ToolReturned,
    UsageCounted,
)
from runwell.domain.json_gate import NULL, Json
from runwell.domain.run import RunError, Usage
from runwell.domain.step import StepKind
from runwell.stream.frames import FrameWriter
from tests.dialects.letta.logs import (
    BEGAN,
    CREATED,
    LOGS,
    QUESTION,
    RUN_ID,
    a_run,
    an_origin,
    frames,
    logged,
    succeeded,
)

ASKED = (
    CREATED,
    StepStarted(key="model", name="model", kind=StepKind.MODEL),
    TextDelta(text="echo: ", in_step="model"),
    TextDelta(text="bg", in_step="model"),
    UsageCounted(usage=Usage(input_tokens=11, output_tokens=7), in_step="model"),
    StepFinished(key="model", name="model", started_at=BEGAN, output=NULL, kind=StepKind.MODEL),
)
TOOLS = (
    *ASKED,
    StepStarted(key="t:1", name="t", kind=StepKind.TOOL),
    ToolCalled(call_id="c", name="t", arguments=Json(b'{"a":1}'), in_step="t:1"),
    ToolReturned(call_id="c", name="t", result=Json(b'["r"]'), in_step="t:1"),
    StepFinished(key="t:1", name="t", started_at=BEGAN, output=NULL, kind=StepKind.TOOL),
    StepStarted(key="model#2", name="model", kind=StepKind.MODEL),
    ReasoningDelta(text="so", in_step="model#2"),
    TextDelta(text="done", in_step="model#2"),
)
FIELDS = [
    "id", "date", "name", "message_type", "otid", "sender_id", "step_id", "is_err", "seq_id", "run_id"
]  # fmt: skip


def told(frame: bytes) -> dict:
    name, _, data = frame.decode().partition("data: ")
    assert name in ("", "event: error\n")
    assert data.endswith("\n\n")
    return json.loads(data)


def test_every_event_is_written_or_silent():
    for event in EVENT_TYPES:
        assert hasattr(LettaFrames, event.type.replace(".", "_")) != (event in LettaFrames.SILENT)
    with pytest.raises(TypeError, match="neither silent nor"):
        type("Forgetful", (FrameWriter,), {})


@given(LOGS, st.booleans(), st.booleans(), st.integers(0, 8))
def test_the_frames_of_a_beginning_begin_the_frames_of_all(log, tokens, pings, after):
    whole = frames(log, View(after), tokens=tokens, pings=pings)
    for cut in range(len(log)):
        part = frames(log[:cut], View(after), tokens=tokens, pings=pings)
        assert whole[: len(part)] == part


@given(LOGS, st.booleans(), st.integers(0, 30))
def test_a_cursor_leaves_out_what_was_seen_and_nothing_else(log, tokens, after):
    whole, rest = frames(log, tokens=tokens), frames(log, View(after), tokens=tokens)
    numbers = [told(frame)["seq_id"] for frame in whole if b'"seq_id"' in frame]
    later = [told(frame)["seq_id"] for frame in rest if b'"seq_id"' in frame]
    assert later == [number for number in numbers if number > after]
    assert rest == whole[len(whole) - len(rest) :]
    assert numbers == sorted(set(numbers))


@given(LOGS)
def test_a_list_shows_what_a_stream_said_and_is_not_void(log):
    said = {(told(frame)["id"], told(frame)["otid"]) for frame in frames(log) if b'"otid"' in frame}
    transcript = Transcript(RUN_ID, an_origin())
    for line in log:
        tell(transcript, line)
    for part in transcript.parts[1:]:
        message = f"message-{str_uuid(part.turn.id)}"
        assert any(id == message for id, _ in said)


def str_uuid(bare: str) -> str:
    return f"{bare[:8]}-{bare[8:12]}-{bare[12:16]}-{bare[16:20]}-{bare[20:]}"


def test_a_token_stream_is_the_recorded_one():
    written = frames(logged(*ASKED, succeeded(b'"echo: bg"')), tokens=True, background=True)
    ping, first, second, stop, usage, done = written
    assert list(told(ping)) == FIELDS
    assert list(told(first)) == [*FIELDS, "content"]
    assert [told(frame)["seq_id"] for frame in (ping, first, second)] == [1, 2, 3]
    assert (told(first)["content"], told(second)["content"]) == ("echo: ", "bg")
    assert (told(first)["id"], told(first)["otid"]) == (told(second)["id"], told(second)["otid"])
    assert told(first)["otid"][-1] == "0"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", told(first)["date"])
    assert stop == b'data: {"message_type":"stop_reason","stop_reason":"end_turn"}\n\n'
    assert usage == (
        b'data: {"message_type":"usage_statistics","completion_tokens":7,"prompt_tokens":11,'
        b'"total_tokens":18,"step_count":1,"run_ids":null,"cached_input_tokens":null,'
        b'"cache_write_tokens":null,"reasoning_tokens":null,"context_tokens":18}\n\n'
    )
    assert done == DONE


def test_a_step_stream_says_whole_messages():
    written = [told(frame) for frame in frames(logged(*TOOLS, succeeded(b'"done"')))[:-1]]
    assert [each["message_type"] for each in written] == [
        "ping", "assistant_message", "tool_call_message", "tool_return_message", "reasoning_message",
        "assistant_message", "stop_reason", "usage_statistics",
    ]  # fmt: skip
    text, call, back, thought, last = written[1:6]
    assert text["content"] == "echo: bg"
    assert call["tool_call"] == {"name": "t", "arguments": '{"a":1}', "tool_call_id": "c"}
    assert call["tool_calls"] == [call["tool_call"]]
    assert (call["id"], call["step_id"], call["otid"][-1]) == (text["id"], text["step_id"], "1")
    assert (back["name"], back["tool_return"], back["status"]) == ("t", "r", "success")
    assert back["step_id"] == call["step_id"]
    assert (thought["id"], thought["otid"][-1], last["otid"][-1]) == (last["id"], "0", "1")
    assert last["id"] != text["id"]
    assert written[-1]["step_count"] == 2


def test_a_token_stream_says_a_call_in_two_pieces():
    written = [told(frame) for frame in frames(logged(*TOOLS), tokens=True)]
    pieces = [each for each in written if each["message_type"] == "tool_call_message"]
    assert [piece["tool_call"] for piece in pieces] == [
        {"name": "t", "tool_call_id": "c"}, {"arguments": '{"a":1}', "tool_call_id": "c"}
    ]  # fmt: skip
    assert all(piece["tool_calls"] == piece["tool_call"] for piece in pieces)


def test_without_pings_the_first_message_is_number_one():
    assert told(frames(logged(*ASKED), pings=False)[0])["seq_id"] == 1
    hidden = frames(logged(*ASKED), View(0, True, False))
    assert told(hidden[0])["seq_id"] == 2


def test_foreground_frames_have_no_numbers():
    written = frames(logged(*ASKED, succeeded()), View(0, False))
    assert {told(frame)["seq_id"] for frame in written if b"seq_id" in frame} == {None}


def test_a_failure_ends_with_an_error_event():
    log = logged(*ASKED, RunFailed(reason="model_error", error=RunError("model_error", "429: busy")))
    *_, stop, error = frames(log)
    assert stop == b'data: {"message_type":"stop_reason","stop_reason":"llm_api_error"}\n\n'
    assert error.startswith(b"event: error\ndata: ")
    assert told(error) == {
        "message_type": "error_message", "run_id": f"run-{str_uuid(RUN_ID)}", "error_type": "llm_error",
        "message": "429: busy", "detail": "model_error", "seq_id": 4,
    }  # fmt: skip
    assert frames(log, View(0, False))[-1] == DONE


def test_a_cancelled_stream_ends_as_recorded():
    written = frames(logged(*ASKED[:4], RunCancelled(reason="requested")))
    assert told(written[-3])["content"] == "echo: bg"
    assert written[-2:] == [CANCELLED, DONE]


def test_a_wait_shows_the_request_and_is_closed_from_outside():
    writer = LettaFrames(a_run(), an_origin(), View())
    written = [
        frame for line in logged(*ASKED, RunWaiting(question=QUESTION)) for frame in writer.write(line)
    ]
    request = told(written[-1])
    assert request["message_type"] == "approval_request_message"
    assert request["tool_call"] == {"name": "rm", "arguments": '{"p":1}', "tool_call_id": "c1"}
    assert b'"stop_reason":"requires_approval"' in writer.waiting()
    assert writer.waiting() == writer.waiting()
    assert writer.waiting().endswith(DONE)


def test_what_another_api_answered_goes_on_in_the_same_stream():
    log = logged(
        *ASKED, RunWaiting(question=QUESTION), RunResumed(key="q", answer=NULL), succeeded(b'"gone"')
    )
    written = frames(log)
    assert b"requires_approval" not in b"".join(written)
    assert [told(frame)["seq_id"] for frame in written if b"seq_id" in frame] == [1, 2, 3, 4]


def test_a_run_that_another_goes_on_from_ends_as_it_waited():
    waited = logged(*ASKED, RunWaiting(question=QUESTION))
    writer = LettaFrames(a_run(), an_origin(), View())
    for line in waited:
        writer.write_page([line])
    continued = frames(logged(*ASKED, RunWaiting(question=QUESTION), succeeded(b"null", "continued")))
    assert b"".join(continued).endswith(writer.waiting())


def test_a_restart_says_again_what_stands_under_new_ids():
    log = logged(
        CREATED, TextDelta(text="first"), OutputRestarted(attempt=2), TextDelta(text="second"), succeeded()
    )
    tokens = [told(frame) for frame in frames(log, tokens=True) if b"content" in frame]
    assert [each["content"] for each in tokens] == ["first", "second"]
    assert tokens[0]["id"] != tokens[1]["id"]
    assert [told(frame)["content"] for frame in frames(log) if b"content" in frame] == ["second"]


def test_only_wanted_types_are_streamed_and_numbered():
    config = RequestConfig(include_return_message_types=["assistant_message"])
    written = [told(frame) for frame in frames(logged(*TOOLS, succeeded()), config=config)[:-1]]
    shown = [each["message_type"] for each in written if "seq_id" in each]
    assert shown == ["ping", "assistant_message", "assistant_message"]
    assert [each["seq_id"] for each in written if "seq_id" in each] == [1, 2, 3]
