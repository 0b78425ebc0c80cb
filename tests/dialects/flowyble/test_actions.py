"""F3: what a run has done, told from its log."""

from typing import Any

import pytest
from msgspec.structs import fields
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

from runwell.agents.pydantic_ai.agent import PydanticAgent
from runwell.dialects.flowyble.actions import Actions, iterations
from runwell.domain.events import (
    EVENT_TYPES,
    AttemptStarted,
    Event,
    InheritedStep,
    LoggedEvent,
    OutputRestarted,
    ReasoningDelta,
    RunCreated,
    StepFailed,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCalled,
    ToolReturned,
    UsageCounted,
    decode_event,
    encode_event,
)
from runwell.domain.ids import spell_uuid
from runwell.domain.instant import MILLISECOND
from runwell.domain.json_gate import encode
from runwell.domain.run import RunError, Usage
from runwell.domain.step import Step, StepKind, StepStatus
from tests.support.house import House
from tests.support.machines import a_machine, finish, start, whole_log

MODEL, TOOL, CODE = StepKind.MODEL, StepKind.TOOL, StepKind.CODE
EVERY = 10
"""Milliseconds between one line and the next."""


def told(*events: Event) -> list[Any]:
    """The steps after these events, the n-th of which happened n times `EVERY` after the start."""
    actions = Actions()
    for line in lines(*events):
        actions.add(line)
    return actions.steps()


def lines(*events: Event) -> list[LoggedEvent]:
    return [
        LoggedEvent(n, n * EVERY * MILLISECOND, event.type, encode_event(event))
        for n, event in enumerate(events, start=1)
    ]


def at(line: int) -> int:
    return line * EVERY * MILLISECOND


def asks(
    key: str = "model", *, thinks: str = "", says: str = "", tokens: tuple[int, int] = (0, 0)
) -> list[Event]:
    """A whole model request."""
    inside: list[Event] = [StepStarted(key=key, name="model", kind=MODEL)]
    inside += [ReasoningDelta(text=word, in_step=key) for word in thinks.split("|") if word]
    inside += [TextDelta(text=word, in_step=key) for word in says.split("|") if word]
    inside += [UsageCounted(usage=Usage(model_calls=1), in_step=key)]
    inside += [UsageCounted(usage=Usage(input_tokens=tokens[0], output_tokens=tokens[1]), in_step=key)]
    return [*inside, StepFinished(key=key, name="model", kind=MODEL, started_at=0, output=encode({}))]


def calls(
    key: str, name: str = "search", given: Any = "q", result: Any = "r", started: int = 0
) -> list[Event]:
    """A whole tool step, as the adapters write it."""
    return [
        StepStarted(key=key, name=name, kind=TOOL),
        ToolCalled(call_id=f"call-{key}", name=name, arguments=encode(given), in_step=key),
        UsageCounted(usage=Usage(tool_calls=1), in_step=key),
        ToolReturned(call_id=f"call-{key}", name=name, result=encode(result), in_step=key),
        StepFinished(key=key, name=name, kind=TOOL, started_at=started, output=encode({"value": result})),
    ]


def shape(step: Any) -> tuple[Any, ...]:
    return (step.iteration_number, step.tool_name, step.input_data, step.output_data)


def test_a_tool_call_is_a_step_with_its_requests_number_thoughts_and_tokens():
    events = [
        *asks("model", thinks="Where |is it?", says="Let me look.", tokens=(100, 20)),
        *calls("a", "search", {"q": "tides"}, ["x"], started=at(8)),
        *asks("model#2", says="One |more.", tokens=(200, 5)),
        *calls("b", "fetch", {"n": 1}, "page"),
        *asks("model#3", says="Done."),
    ]
    first, second = told(*events)
    assert shape(first) == (1, "search", '{"q":"tides"}', '["x"]')
    assert (first.step_number, second.step_number) == (1, 2)
    assert (first.reasoning, second.reasoning) == ("Where is it?", "One more.")
    assert (first.token_usage.input_tokens, first.token_usage.output_tokens) == (100, 20)
    assert (second.token_usage.input_tokens, second.token_usage.output_tokens) == (200, 5)
    assert first.duration == (12 - 8) * EVERY
    assert shape(second) == (2, "fetch", '{"n":1}', '"page"')


def test_calls_of_one_request_share_its_number():
    steps = told(*asks(), *calls("a"), *calls("b"))
    assert [step.iteration_number for step in steps] == [1, 1]
    assert [step.step_number for step in steps] == [1, 2]


def test_code_steps_are_steps_of_no_request():
    steps = told(
        StepStarted(key="read", name="read"),
        StepFinished(key="read", name="read", started_at=0, output=encode({"pages": 2})),
        *asks(),
        StepStarted(key="flow", name="flow", kind=StepKind.WORKFLOW),
    )
    assert [shape(step) for step in steps] == [(0, "read", "", '{"pages":2}'), (0, "flow", "", "")]
    assert steps[0].reasoning == ""
    assert (steps[0].duration, steps[1].duration) == (20, 0)


def test_a_call_that_is_only_noted_is_a_step():
    steps = told(
        ToolCalled(call_id="1", name="look", arguments=encode([1])),
        ToolCalled(call_id="2", name="open", arguments=encode([2])),
        ToolReturned(call_id="1", name="look", result=encode("a")),
    )
    assert [shape(step) for step in steps] == [(0, "look", "[1]", '"a"'), (0, "open", "[2]", "")]
    assert [step.duration for step in steps] == [20, 0]
    (asked,) = told(*asks(thinks="why"), ToolCalled(call_id="1", name="look", arguments=encode([1])))
    assert (asked.iteration_number, asked.reasoning) == (1, "why")


def test_a_call_under_way_is_shown_without_its_result():
    (step,) = told(*asks(), *calls("a")[:2])
    assert shape(step) == (1, "search", '"q"', "")
    assert step.duration == 0


def test_a_call_that_failed_shows_what_it_said():
    said = ToolReturned(call_id="call-a", name="search", result=encode("no net"), failed=True, in_step="a")
    broke = StepFailed(key="a", name="search", kind=TOOL, started_at=0, error=RunError("Error", "broke"))
    assert told(*calls("a")[:3], said, broke)[0].output_data == '"no net"'
    assert told(*calls("a")[:3], broke)[0].output_data == '{"error":"broke"}'


def test_a_step_done_again_is_one_step():
    again = [AttemptStarted(attempt=2, worker="w"), *calls("a")]
    # The second attempt says the same, so the log has the call only once.
    again = [event for event in again if not isinstance(event, ToolCalled)]
    steps = told(*asks(), *calls("a")[:2], *again)
    assert [shape(step) for step in steps] == [(1, "search", '"q"', '"r"')]


def test_what_is_void_is_not_told():
    steps = told(
        *asks(),
        *calls("kept"),
        ToolCalled(call_id="1", name="noted", arguments=encode(0)),
        ToolCalled(call_id="2", name="inner", arguments=encode(1), in_step="kept"),
        StepStarted(key="model#2", name="model", kind=MODEL),
        ReasoningDelta(text="void", in_step="model#2"),
        StepStarted(key="half", name="half", kind=TOOL),
        ToolCalled(call_id="3", name="half", arguments=encode("void"), in_step="half"),
        AttemptStarted(attempt=2, worker="w"),
        OutputRestarted(attempt=2),
        StepStarted(key="model#2", name="model", kind=MODEL),
        ReasoningDelta(text="said again", in_step="model#2"),
        StepFinished(key="model#2", name="model", kind=MODEL, started_at=0, output=encode(1)),
        *calls("half", "half", "new"),
    )
    assert [shape(step)[1:3] for step in steps] == [("search", '"q"'), ("inner", "1"), ("half", '"new"')]
    assert steps[2].reasoning == "said again"
    assert steps[2].iteration_number == 2


def test_the_requests_of_a_nested_agent_are_its_own():
    steps = told(
        *asks(thinks="outer"),
        StepStarted(key="delegate", name="delegate", kind=TOOL),
        StepStarted(key="inner", name="model", kind=MODEL, parent="delegate"),
        ReasoningDelta(text="inner", in_step="inner"),
        StepStarted(key="look", name="look", kind=TOOL, parent="delegate"),
        *calls("after"),
    )
    assert [(step.tool_name, step.iteration_number, step.reasoning) for step in steps] == [
        ("delegate", 1, "outer"), ("look", 2, "inner"), ("search", 1, "outer"),
    ]  # fmt: skip


def test_what_an_earlier_run_did_is_counted_and_not_told():
    inherited = tuple(
        InheritedStep(key=key, name=key, kind=kind, output=encode({}))
        for key, kind in (("model", MODEL), ("a", TOOL))
    )
    created = RunCreated(agent="x", input=encode("q"), steps=inherited)
    assert [shape(step)[:2] for step in told(created, *asks("model#2"), *calls("b"))] == [(2, "search")]


MADE: dict[str, Any] = {
    "agent": "x", "input": 1, "worker": "w", "attempt": 1, "reason": "error", "retry_at": 0, "output": 1,
    "error": {"code": "a", "message": "b"}, "key": "k", "name": "n", "started_at": 0, "text": "t",
    "role": "assistant", "content": 1, "call_id": "c", "arguments": 1, "result": 1, "answer": 1,
    "question": {"key": "k", "question": 1}, "progress": {"percent": 1},
}  # fmt: skip


@pytest.mark.parametrize("type_", EVENT_TYPES, ids=lambda type_: type_.type)
def test_every_event_can_come(type_: Any):
    required = {field.name: MADE[field.name] for field in fields(type_) if field.required}
    event = decode_event(type_.type, encode(required))
    assert len(told(event)) == (type_ in (StepStarted, StepFinished, StepFailed, ToolCalled))


def a_step(kind: StepKind, parent: str | None = None, *, inherited: bool = False) -> Step:
    return Step(
        key="k", name="n", kind=kind, status=StepStatus.FINISHED, attempt=1, started_at=0, parent=parent,
        inherited=inherited,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "count"),
    [
        ([], 0),
        ([a_step(CODE), a_step(TOOL)], 0),
        ([a_step(MODEL)], 0),
        ([a_step(MODEL), a_step(TOOL), a_step(TOOL), a_step(MODEL)], 1),
        ([a_step(MODEL), a_step(TOOL), a_step(MODEL), a_step(CODE), a_step(TOOL), a_step(MODEL)], 2),
        ([a_step(MODEL), a_step(TOOL), a_step(MODEL, "x"), a_step(TOOL, "x"), a_step(TOOL)], 2),
        ([a_step(MODEL, inherited=True), a_step(TOOL, inherited=True), a_step(MODEL), a_step(TOOL)], 1),
        ([a_step(MODEL, inherited=True), a_step(TOOL)], 1),
    ],
)
def test_an_iteration_is_a_request_that_led_to_calls(steps: list[Step], count: int):
    assert iterations(steps) == count


async def test_status_and_details_tell_of_the_same_run(house: House):
    run = await house.a_running_run()
    await house.say(run, *asks(thinks="hm", tokens=(7, 3)), *calls("a"), *asks("model#2"))
    await house.succeed(run)
    id = spell_uuid(run.id)
    status = (await house.client.get(f"/v1/agents/run/{id}/status")).json
    details = (await house.client.get(f"/v1/agents/run/{id}/details")).json
    steps = details.pop("steps")
    assert details == status
    assert (status["stepsExecuted"], status["actionsUsed"], status["tokensUsed"]) == (1, 1, 10)
    assert [list(step) for step in steps] == [
        ["stepNumber", "iterationNumber", "toolName", "inputData", "outputData", "reasoning", "tokenUsage",
         "duration"]
    ]  # fmt: skip
    assert steps[0]["tokenUsage"] == {"inputTokens": 7, "outputTokens": 3}


async def test_a_long_log_is_read_to_its_end(house: House):
    run = await house.a_running_run()
    for _ in range(3):
        await house.say(run, *(["word "] * 400))
    await house.say(run, *calls("late"))
    answer = await house.client.get(f"/v1/agents/run/{spell_uuid(run.id)}/details")
    assert [step["toolName"] for step in answer.json["steps"]] == ["search"]


async def test_a_real_model_agent_with_tools(tmp_path):
    """Not a log by hand: the scripted model over HTTP, through the adapter."""
    made = Agent(TestModel(), name="helper")

    @made.tool_plain
    def weather(city: str) -> str:
        return f"sun in {city}"

    async with a_machine(tmp_path / "db", PydanticAgent(made, name="helper")) as machine:
        run = await finish(machine, (await start(machine, "helper", "Is it sunny?")).id)
        actions = Actions()
        for line in await whole_log(machine, run.id):
            actions.add(line)
        rows = await machine.store.steps.of(run.id)
    (step,) = actions.steps()
    assert shape(step) == (1, "weather", '{"city":"a"}', '"sun in a"')
    assert step.token_usage.input_tokens > 0
    assert iterations(rows) == 1
