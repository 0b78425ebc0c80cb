"""Logs for folds, without a store."""

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from runwell.dialects.letta.frames import LettaFrames, View
from runwell.dialects.letta.origin import SOURCE, Origin
from runwell.dialects.letta.telling import tell
from runwell.dialects.letta.transcript import Transcript
from runwell.domain.events import (
    AttemptStarted,
    Event,
    LoggedEvent,
    MessageAdded,
    OutputRestarted,
    ProgressNoted,
    ReasoningDelta,
    RunCancelled,
    RunCreated,
    RunFailed,
    RunResumed,
    RunSucceeded,
    RunWaiting,
    StepFailed,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCalled,
    ToolReturned,
    UsageCounted,
    encode_event,
)
from runwell.domain.ids import new_id
from runwell.domain.instant import SECOND
from runwell.domain.json_gate import NULL, Json
from runwell.domain.run import Progress, Question, Run, RunError, RunStatus, Usage
from runwell.domain.step import StepKind
from runwell.domain.thread import Role

BEGAN = 1_800_000_000 * SECOND
RUN_ID = new_id(BEGAN)
AGENT_ID = new_id(BEGAN - SECOND)
CREATED = RunCreated(agent="a", input=Json(b'"hello"'))
QUESTION = Question("q", Json(b'{"kind":"approval","tool":"rm","arguments":{"p":1},"call_id":"c1"}'))


def an_origin(**fields: Any) -> Origin:
    return Origin(**{"agent_id": AGENT_ID, "run_type": "send_message_streaming", **fields})


def a_run(**fields: Any) -> Run:
    given = {
        "id": RUN_ID, "owner": "ann", "agent": "a", "status": RunStatus.QUEUED, "created_at": BEGAN,
        "queued_at": BEGAN, "source": SOURCE,
    }  # fmt: skip
    return Run(**{**given, **fields})


def logged(*events: Event) -> list[LoggedEvent]:
    """Numbered from 1, half a second apart."""
    return [
        LoggedEvent(number, BEGAN + number * SECOND // 2, event.type, encode_event(event))
        for number, event in enumerate(events, start=1)
    ]


def frames(log: Iterable[LoggedEvent], view: View = View(), **origin: Any) -> list[bytes]:  # noqa: B008
    writer = LettaFrames(a_run(), an_origin(**origin), view)
    return [frame for line in log for frame in writer.write(line)]


def transcript(*events: Event, **origin: Any) -> Transcript:
    told = Transcript(RUN_ID, an_origin(**origin))
    for line in logged(*events):
        tell(told, line)
    return told


def succeeded(output: bytes = b"null", reason: str | None = None) -> RunSucceeded:
    return RunSucceeded(output=Json(output), reason=reason)


LANES = st.sampled_from([None, "model", "model#2", "tool:1"])
TEXT = st.sampled_from(["a", "b ", "\n\n", "ü", ""])
CALLS = st.sampled_from(["c1", "c2"])

MIDDLE = st.one_of(
    st.builds(TextDelta, text=TEXT, in_step=LANES),
    st.builds(ReasoningDelta, text=TEXT, in_step=LANES),
    st.builds(
        StepStarted,
        key=st.sampled_from(["model", "model#2", "tool:1", "code"]),
        name=st.just("s"),
        kind=st.sampled_from(list(StepKind)),
    ),
    st.builds(
        StepFinished,
        key=st.sampled_from(["model", "model#2", "tool:1"]),
        name=st.just("s"),
        started_at=st.just(BEGAN),
        output=st.just(NULL),
    ),
    st.just(StepFailed(key="model", name="s", started_at=BEGAN, error=RunError("e", "m"))),
    st.builds(ToolCalled, call_id=CALLS, name=st.just("t"), arguments=st.just(Json(b"{}")), in_step=LANES),
    st.builds(
        ToolReturned, call_id=CALLS, name=st.just("t"), result=st.just(Json(b'"r"')), in_step=LANES,
        failed=st.booleans(),
    ),
    st.builds(MessageAdded, role=st.sampled_from(list(Role)), content=st.just(Json(b'"m"')), in_step=LANES),
    st.just(UsageCounted(usage=Usage(input_tokens=3, output_tokens=2))),
    st.just(ProgressNoted(progress=Progress(1.0))),
    st.just(OutputRestarted(attempt=2)),
    st.just(AttemptStarted(attempt=2, worker="w")),
    st.just(RunWaiting(question=QUESTION)),
    st.just(RunResumed(key="q", answer=NULL)),
)  # fmt: skip
ENDS = st.one_of(
    st.builds(
        succeeded, st.sampled_from([b"null", b'"a"', b'{"x":1}']), st.sampled_from([None, "continued"])
    ),
    st.just(RunFailed(reason="model_error", error=RunError("model_error", "it broke"))),
    st.just(RunCancelled(reason="requested")),
)
LOGS = st.builds(lambda middle, end: logged(CREATED, *middle, end), st.lists(MIDDLE, max_size=14), ENDS)
