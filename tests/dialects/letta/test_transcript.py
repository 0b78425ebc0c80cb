"""What was said in a run, folded from its log into Letta's messages."""

from typing import cast

from runwell.dialects.letta import ids
from runwell.dialects.letta.messages import ContentMessage, message_of
from runwell.dialects.letta.origin import Brought, Given
from runwell.dialects.letta.parts import Kind
from runwell.domain.events import (
    AttemptLost,
    AttemptStarted,
    InheritedStep,
    MessageAdded,
    OutputRestarted,
    ReasoningDelta,
    RunCreated,
    RunWaiting,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCalled,
    ToolReturned,
    UsageCounted,
)
from runwell.domain.json_gate import NULL, Json
from runwell.domain.run import Question, Usage
from runwell.domain.step import StepKind
from runwell.domain.thread import Role
from tests.dialects.letta.logs import BEGAN, CREATED, QUESTION, RUN_ID, logged, succeeded, transcript

FINISHED = StepFinished(key="model", name="model", started_at=BEGAN, output=NULL)


def shown(*events, **origin) -> list[tuple[str, str]]:
    return [(part.kind.value, part.text) for part in transcript(*events, **origin).parts]


def test_the_request_comes_first_as_it_was_sent():
    messages = (
        Brought("system", [{"type": "text", "text": "be brief"}], "o1"),
        Brought("user", [{"type": "text", "text": "hi"}], "o2", "Ann"),
    )
    parts = transcript(CREATED, messages=messages).parts
    first, second = (cast(ContentMessage, message_of(RUN_ID, part)) for part in parts)
    assert (first.message_type, first.content, first.otid) == ("system_message", "be brief", "o1")
    assert (second.content, second.name) == ([{"type": "text", "text": "hi"}], "Ann")
    assert first.id != second.id


def test_a_run_of_another_api_shows_its_input():
    created = RunCreated(agent="a", input=Json(b'{"count": 3}'))
    assert shown(created) == [("user_message", '{"count": 3}')]


def test_a_run_sent_without_messages_begins_with_the_answer():
    created = RunCreated(agent="a", input=Json(b'""'))
    assert shown(created, TextDelta(text="well")) == [("assistant_message", "well")]


def test_an_output_that_was_not_streamed_is_a_message():
    assert shown(CREATED, succeeded(b'"done"'))[-1] == ("assistant_message", "done")
    assert shown(CREATED, succeeded(b'{"n":1}'))[-1] == ("assistant_message", '{"n":1}')
    assert len(shown(CREATED, succeeded(b"null"))) == 1


def test_an_output_that_was_streamed_is_not_said_twice():
    said = [TextDelta(text="Let me look. "), TextDelta(text="Done.")]
    assert len(shown(CREATED, *said, succeeded(b'"Done."'))) == 2
    assert len(shown(CREATED, *said, succeeded(b'"Let me look. Done."'))) == 2
    assert shown(CREATED, *said, succeeded(b'"The end"'))[-1] == ("assistant_message", "The end")


def test_reasoning_and_text_of_one_step_are_one_message_in_two_pieces():
    parts = transcript(
        CREATED, ReasoningDelta(text="hm", in_step="m"), TextDelta(text="yes", in_step="m")
    ).parts[1:]
    assert parts[0].turn is parts[1].turn
    assert [part.index for part in parts] == [0, 1]


def test_tools_called_together_belong_to_one_message():
    calls = [
        ToolCalled(call_id=call, name="t", arguments=Json(b"{}"), in_step=f"t:{call}") for call in ("a", "b")
    ]
    backs = [
        ToolReturned(call_id=call, name="", result=Json(b"1"), in_step=f"t:{call}") for call in ("a", "b")
    ]
    parts = transcript(CREATED, TextDelta(text="now", in_step="model"), FINISHED, *calls, *backs).parts[1:]
    assert {part.turn.id for part in parts[:3]} == {parts[0].turn.id}
    assert [part.tool for part in parts[3:]] == ["t", "t"]
    assert len({part.turn.id for part in parts}) == 3


def test_a_restart_keeps_what_finished_steps_said():
    told = transcript(
        CREATED,
        TextDelta(text="kept", in_step="model"),
        FINISHED,
        TextDelta(text="void"),
        OutputRestarted(attempt=2),
        TextDelta(text="new"),
        succeeded(),
    )
    assert [part.text for part in told.parts if part.kind is Kind.ASSISTANT] == ["kept", "new"]


def test_an_attempt_that_goes_on_goes_on_in_the_same_message():
    told = transcript(
        CREATED, TextDelta(text="one "), AttemptLost(attempt=1, worker="w"),
        AttemptStarted(attempt=2, worker="v"), TextDelta(text="two"),
    )  # fmt: skip
    assert [part.text for part in told.parts[1:]] == ["one two"]


def test_whole_messages_of_every_role():
    said = [MessageAdded(role=role, content=Json(b'"m"')) for role in Role]
    kinds = [part.kind for part in transcript(CREATED, *said).parts[1:]]
    assert kinds == [Kind.USER, Kind.ASSISTANT, Kind.SYSTEM, Kind.RETURN]


def test_an_approved_call_is_shown_once():
    call = ToolCalled(call_id="c1", name="rm", arguments=Json(b"{}"), in_step="rm:c1")
    back = ToolReturned(call_id="c1", name="rm", result=Json(b'"gone"'), in_step="rm:c1")
    assert [kind for kind, _ in shown(CREATED, RunWaiting(question=QUESTION), call, back)][1:] == [
        "approval_request_message", "tool_return_message"
    ]  # fmt: skip


def test_a_run_that_goes_on_begins_with_what_the_tool_brought():
    step = InheritedStep(key="model", name="model", kind=StepKind.MODEL, output=NULL, text="old")
    created = RunCreated(agent="a", input=Json(b'"hello"'), continues="0" * 32, steps=(step,))
    call = ToolCalled(call_id="c1", name="rm", arguments=Json(b"{}"), in_step="rm:c1")
    back = ToolReturned(call_id="c1", name="rm", result=Json(b'"gone"'), in_step="rm:c1")
    assert shown(created, call, back, given=(Given("c1", "rm"),)) == [("tool_return_message", "gone")]
    denied = Given("c1", "rm", "Error: no", True)
    part = transcript(created, given=(denied,)).parts[0]
    assert (part.text, part.failed, part.call_id) == ("Error: no", True, "c1")


def test_a_question_in_words_is_a_call_of_ask():
    question = Question("ask", Json(b'"May I?"'))
    part = transcript(CREATED, RunWaiting(question=question)).parts[-1]
    assert (part.tool, part.call_id, part.arguments) == ("ask", "ask", '{"question":"May I?"}')


def test_a_message_names_the_step_it_was_said_in():
    started = StepStarted(key="model", name="model", kind=StepKind.MODEL)
    tool = StepStarted(key="t:1", name="t", kind=StepKind.TOOL)
    call = ToolCalled(call_id="c", name="t", arguments=NULL, in_step="t:1")
    said, called = transcript(CREATED, started, TextDelta(text="a", in_step="model"), tool, call).parts[1:]
    assert said.step == called.step == ids.step_id(RUN_ID, "model")


def test_usage_is_summed_and_the_context_is_the_last_requests():
    told = transcript(
        CREATED,
        UsageCounted(usage=Usage(input_tokens=10, output_tokens=2)),
        UsageCounted(usage=Usage(input_tokens=20, output_tokens=3)),
        UsageCounted(usage=Usage(tool_calls=1)),
    )
    assert told.spent.usage == Usage(input_tokens=30, output_tokens=5, tool_calls=1)
    assert told.spent.context == 23


def test_ids_are_the_same_however_often_they_are_asked_for():
    log = logged(CREATED, TextDelta(text="a"), succeeded())
    once, twice = (transcript(*(line.event for line in log)) for _ in range(2))
    assert [part.turn.id for part in once.parts] == [part.turn.id for part in twice.parts]


def test_text_beside_a_tool_is_two_messages():
    call = ToolCalled(call_id="c", name="t", arguments=NULL, in_step="t:1")
    back = ToolReturned(call_id="c", name="t", result=NULL, in_step="t:1")
    said = shown(CREATED, TextDelta(text="before"), call, back, TextDelta(text="after"))
    assert [text for kind, text in said if kind == "assistant_message"] == ["before", "after"]
