"""The stream as a fold: always JSON, always a prefix, and in step with what a status read shows."""

import itertools
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runwell.dialects.praisonai import frames, words
from runwell.dialects.praisonai.frames import JobFrames
from runwell.domain.commands import (
    Answer,
    AskCancel,
    Cancel,
    Claim,
    Create,
    Expire,
    Fail,
    HandBack,
    Lapse,
    Pause,
    Record,
    Stop,
    Succeed,
    TimeOut,
    TryAgain,
)  # fmt: skip
from runwell.domain.errors import IllegalTransition
from runwell.domain.events import (
    EVENT_TYPES,
    LoggedEvent,
    MessageAdded,
    OutputRestarted,
    ProgressNoted,
    ReasoningDelta,
    StepFailed,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCalled,
    ToolReturned,
    UsageCounted,
    encode_event,
)  # fmt: skip
from runwell.domain.json_gate import Json, encode
from runwell.domain.lifecycle import decide
from runwell.domain.run import Progress, Question, Run, RunError
from runwell.domain.thread import Role

NOW = 1_800_000_000_000_000
ID = "0190c3b1000040008000000000000001"
AWKWARD = 'a "b"\n\r\u2028\x85c: {}'
BROKE = RunError("error", AWKWARD)
KEYS = st.sampled_from(["a", "b"])
WORDS = st.one_of(st.none(), st.text(max_size=8))
SAID = st.one_of(
    st.builds(TextDelta, text=st.just("x")),
    st.builds(ReasoningDelta, text=st.just("x")),
    st.builds(MessageAdded, role=st.just(Role.ASSISTANT), content=st.just(Json(b'"x"'))),
    st.just(ToolCalled(call_id="c", name="n", arguments=Json(b"{}"))),
    st.just(ToolReturned(call_id="c", name="n", result=Json(b"{}"))),
    st.just(UsageCounted()),
    st.just(OutputRestarted(attempt=1)),
    st.builds(
        ProgressNoted,
        progress=st.builds(Progress, st.one_of(st.none(), st.integers(0, 100), st.floats(0, 100)), WORDS),
    ),
    st.builds(lambda key: StepStarted(key=key, name=key), KEYS),
    st.builds(lambda key: StepFinished(key=key, name=key, started_at=NOW, output=Json(b"1")), KEYS),
    st.builds(lambda key: StepFailed(key=key, name=key, started_at=NOW, error=BROKE), KEYS),
)
COMMANDS = st.one_of(
    st.builds(Claim, worker=st.just("w")),
    st.builds(lambda said: Record(events=tuple(said)), st.lists(SAID, min_size=1, max_size=4)),
    st.builds(
        lambda asked: Pause(question=Question("q", encode(asked))), st.sampled_from([AWKWARD, {"a": 1}])
    ),
    st.just(Answer(answer=Json(b"1"))),
    st.just(TryAgain(error=BROKE, delay=0.0)),
    st.just(Lapse(seen_at=NOW)),
    st.just(HandBack()),
    st.just(AskCancel()),
    st.just(Cancel()),
    st.just(Stop()),
    st.just(Expire()),
    st.just(TimeOut()),
    st.just(Fail(reason="error", error=BROKE)),
    st.just(Fail(reason="timed_out", error=BROKE)),
    st.builds(
        lambda value: Succeed(output=encode(value)), st.sampled_from([AWKWARD, None, {"a": [1]}, "x" * 3000])
    ),
)


def lived(commands) -> tuple[list[LoggedEvent], list[tuple[int, Run]]]:
    """A life that these commands can make: its log, and the run after each change with its last number."""
    change = decide(None, Create(id=ID, owner="o", agent="echo", input=Json(b'"x"'), timeout=9.0), NOW)
    log: list[LoggedEvent] = []
    runs: list[tuple[int, Run]] = []

    def keep(change):
        for event in change.events:
            log.append(LoggedEvent(len(log) + 1, NOW, event.type, encode_event(event)))
        runs.append((len(log), change.run))

    keep(change)
    for command in commands:
        try:
            keep(decide(runs[-1][1], command, NOW))
        except IllegalTransition:
            continue
    return log, runs


LIVES = st.lists(COMMANDS, max_size=25).map(lambda commands: lived([Claim(worker="w"), *commands]))


def read(data: bytes) -> list[dict[str, str]]:
    """Frames as a browser reads them."""
    found = []
    for block in data.decode().split("\r\n\r\n")[:-1]:
        lines = [line.partition(": ") for line in block.split("\r\n")]
        assert sum(name == "data" for name, _, _ in lines) == 1, block
        found.append({name: value for name, _, value in lines})
    return found


@given(LIVES)
def test_the_frames_of_a_beginning_are_the_beginning_of_the_frames(life):
    log, _ = life
    whole = JobFrames(ID, "9").write_page(log)
    for at in range(len(log) + 1):
        assert whole.startswith(JobFrames(ID, "9").write_page(log[:at]))


@given(LIVES)
def test_every_frame_is_json_for_both_kinds_of_readers(life):
    log, runs = life
    told = read(JobFrames(ID, "9").write_page(log))
    for each in told:
        if each["data"] == "[DONE]":
            assert each is told[-1]
            continue
        body = json.loads(each["data"])
        assert isinstance(body["event"], str)
        assert isinstance(body["data"], dict)
        assert each["data"].isascii()
    assert runs[-1][1].final == (told[-1]["data"] == "[DONE]")


@given(LIVES)
def test_what_a_stream_says_last_is_what_a_status_read_shows(life):
    log, runs = life
    writer, told, seen = JobFrames(ID, "9"), [], 0
    for last, run in runs:
        told += read(writer.write_page(log[seen:last]))
        seen = last
        status = [each for each in told if each.get("event") == "status"][-1]
        progress = json.loads([each for each in told if each.get("event") == "progress"][-1]["data"])
        assert json.loads(status["data"])["status"] == words.job_status(run.status)
        assert progress["percentage"] == words.percentage_of(run)
        if run.steps.current is not None or run.question is not None or run.final:
            assert progress["step"] == (words.step_of(run) or "")
        if run.error is not None:
            assert json.loads(told[-2]["data"])["error"] == words.failure_of(run)


@given(LIVES, st.integers(0, 30))
def test_who_comes_back_with_an_id_misses_nothing(life, cut):
    log, _ = life
    blocks = JobFrames(ID, "9").write_page(log).split(b"\r\n\r\n")[:-1]
    seen = read(b"".join(block + b"\r\n\r\n" for block in blocks[:cut]))
    last = max((int(each["id"]) for each in seen if "id" in each), default=0)
    writer = JobFrames(ID, "9")
    rest = b"".join(frame for line in log for frame in writer.write(line) if line.seq > last)
    after = read(rest)
    everything = read(b"".join(block + b"\r\n\r\n" for block in blocks))
    # Frames of one event may come twice; none is left out but the closing mark, which says nothing new.
    assert everything[len(everything) - len(after) :] == after
    missed = everything[len(seen) : len(everything) - len(after)]
    assert missed in ([], [{"data": "[DONE]"}])


def test_every_event_has_its_word_or_its_silence():
    for event in EVENT_TYPES:
        spoken = hasattr(JobFrames, event.type.replace(".", "_"))
        assert spoken != (event in JobFrames.SILENT), event.type


@pytest.mark.parametrize(
    "command", [Succeed(output=encode("y" * 3000)), Fail(reason="error", error=BROKE), Stop()]
)
def test_a_run_without_its_log_still_says_how_it_ended(command):
    log, runs = lived(
        [Claim(worker="w"), AskCancel() if isinstance(command, Stop) else Claim(worker="w"), command]
    )
    run = msgspec.structs.replace(runs[-1][1], last_seq=len(log))
    told, whole = read(frames.frames_without_log(run)), read(JobFrames(ID, "9").write_page(log))
    assert [each for each in told if each.get("event") != "progress"] == [
        each for each in whole if each.get("event") != "progress"
    ][-len(told) + 1 :]
    assert run.final


def test_a_result_is_told_in_a_thousand_characters():
    body = json.loads(read(frames.result_frame(encode("x" * 3000)))[0]["data"])
    assert len(body["result"]) == 1000
    assert body["event"] == "complete"


@given(LIVES)
def test_nothing_is_said_twice_in_a_row(life):
    log, _ = life
    told = read(JobFrames(ID, "9").write_page(log))
    for kind in ("status", "progress"):
        said = [each["data"] for each in told if each.get("event") == kind]
        assert said
        assert all(one != other for one, other in itertools.pairwise(said))


def test_a_step_without_a_name_says_nothing_new():
    nameless = Record(events=(ProgressNoted(progress=Progress(None, "")),))
    log, _ = lived([Claim(worker="w"), nameless])
    told = read(JobFrames(ID, "9").write_page(log))
    assert [each["event"] for each in told] == ["status", "progress", "status"]
