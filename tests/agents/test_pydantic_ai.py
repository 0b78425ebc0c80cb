"""The PydanticAI adapter against the scripted model, over real HTTP on loopback."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, RunContext, UsageLimits
from pydantic_ai.capabilities import ProcessEventStream
from pydantic_ai.exceptions import ApprovalRequired, ModelRetry
from pydantic_ai.messages import ImageUrl, ToolReturn
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.providers.openai import OpenAIProvider

from runwell import Context, agent
from runwell.agents.catalogue import Catalog
from runwell.agents.errors import CannotLoad
from runwell.agents.pydantic_ai import PydanticAgent, run_agent
from runwell.agents.scripted import ScriptedModel
from runwell.domain.agent import ModelAgent
from runwell.domain.json_gate import Json, decode, encode
from runwell.domain.run import Reason, Usage
from runwell.domain.step import StepKind
from runwell.domain.thread import Message, Role
from runwell.ports.agent import AgentFailed, AskInsideStep, Suspended
from tests.agents.recording import Recording, RecordingContext


def chat(model: ScriptedModel | str, retries: int = 0) -> OpenAIChatModel:
    base_url = model if isinstance(model, str) else model.base_url
    client = AsyncOpenAI(base_url=base_url, api_key="k", max_retries=retries)
    return OpenAIChatModel("scripted", provider=OpenAIProvider(openai_client=client))


def served(wrapped: Agent[Any, Any]) -> PydanticAgent:
    return PydanticAgent(wrapped, name="poet")


async def run(wrapped: Agent[Any, Any], prompt: Any, recording: Recording | None = None, **context: Any):
    """One attempt; the output and the recording."""
    attempt = RecordingContext(prompt, recording, **context)
    return await served(wrapped).call(attempt), attempt.recording


def model_agent(model: ScriptedModel | str, *tools: Any, **definition: Any):
    base_url = model if isinstance(model, str) else model.base_url
    made = ModelAgent(model="scripted", base_url=base_url, tools=tuple(t.name for t in tools), **definition)
    found = Catalog(tools).find("poet", Json(msgspec.json.encode(made)))
    assert found is not None
    return found


async def test_text_and_reasoning_are_streamed_inside_the_models_step(model):
    output, recording = await run(Agent(chat(model)), "[[reason: hm hm]] [[say: one two three]]")
    assert output == "one two three"
    assert recording.of("text") == ["one ", "two ", "three"]
    assert "".join(recording.of("reasoning")) == "hm hm"
    assert {said.in_step for said in recording.said} == {"model"}
    assert recording.kinds == {"model": StepKind.MODEL}


async def test_usage_is_counted_per_request(model):
    tool_user = Agent(chat(model))

    @tool_user.tool_plain
    async def now() -> str:
        return "twelve noon"

    script = "[[say: a b]] [[tool: now]] [[reason: r]] [[say: c]]"
    _, recording = await run(tool_user, script)
    size = len(script.split())
    assert recording.usage == Usage(
        input_tokens=size + size + 2 + 2 + 2,  # the second has the first answer and the tool's in it
        output_tokens=2 + 2 + 2,
        reasoning_tokens=1,
        model_calls=2,
        tool_calls=1,
    )
    # A request is counted as it begins, its tokens when they are known.
    assert recording.of("usage") == ["scripted", "scripted", None, "scripted", "scripted"]


async def test_tools_are_called_in_steps_of_their_own_and_get_the_context(model):
    seen: list[Any] = []
    weather = Agent(chat(model), deps_type=Context)

    @weather.tool
    async def forecast(ctx: RunContext[Context], city: str, days: int = 1) -> dict[str, Any]:
        seen.append(ctx.deps)
        await ctx.deps.text(f"({city})")
        return {"city": city, "sun": days}

    script = (
        '[[tool: forecast {"city": "Rome", "days": 3}]] [[tool: forecast {"city": "Oslo"}]] [[say: Sunny.]]'
    )
    output, recording = await run(weather, script)
    assert output == "Sunny."
    assert isinstance(seen[0], RecordingContext)
    assert list(recording.kinds.values()) == [StepKind.MODEL, StepKind.TOOL, StepKind.TOOL, StepKind.MODEL]
    first, second = [key for key, kind in recording.kinds.items() if kind is StepKind.TOOL]
    assert first.startswith("forecast:call_")
    called = recording.of("tool_called")
    assert [(name, arguments) for _, name, arguments in called] == [
        ("forecast", {"city": "Rome", "days": 3}), ("forecast", {"city": "Oslo", "days": 1}),
    ]  # fmt: skip
    returned = {call_id: result for call_id, result, failed in recording.of("tool_returned") if not failed}
    assert returned[called[0][0]] == {"city": "Rome", "sun": 3}
    assert {said.in_step for said in recording.said if said.what != "text"} == {
        "model",
        "model#2",
        first,
        second,
    }
    assert decode(recording.steps[second]) == {"value": {"city": "Oslo", "sun": 1}}


async def test_a_later_attempt_asks_and_says_nothing_again(model):
    calls: list[str] = []
    tool_user = Agent(chat(model))

    @tool_user.tool_plain
    async def note(text: str) -> str:
        calls.append(text)
        return "noted"

    script = '[[say: First.]] [[tool: note {"text": "x"}]] [[say: Last.]]'
    output, recording = await run(tool_user, script)
    said, usage, served_before = list(recording.said), recording.usage, model.stats.requests
    again, _ = await run(tool_user, script, recording)
    assert output == again == "Last."
    assert calls == ["x"]
    assert (recording.said, recording.usage) == (said, usage)
    assert model.stats.requests == served_before == 2


@pytest.mark.parametrize("lost", ["model#2", "tool", "model"])
async def test_what_a_crash_lost_is_done_again_and_nothing_else(model, lost):
    calls: list[str] = []
    tool_user = Agent(chat(model))

    @tool_user.tool_plain
    async def note(text: str) -> str:
        calls.append(text)
        return "noted"

    script = '[[tool: note {"text": "x"}]] [[say: Last.]]'
    _, recording = await run(tool_user, script)
    order = list(recording.steps)
    keep = order[: {"model": 0, "tool": 1, "model#2": 2}[lost]]
    recording.steps = {key: recording.steps[key] for key in keep}
    output, _ = await run(tool_user, script, recording)
    assert output == "Last."
    if lost != "model":
        assert list(recording.steps) == order
    assert len(calls) == (1 if lost == "model#2" else 2)
    assert model.stats.requests == (4 if lost == "model" else 3)


async def test_a_tool_that_asks_the_model_to_try_again_is_remembered(model):
    tool_user = Agent(chat(model))
    calls: list[int] = []

    @tool_user.tool_plain
    async def even(n: int) -> int:
        calls.append(n)
        if n % 2:
            raise ModelRetry("n must be even")
        return n

    script = '[[tool: even {"n": 1}]] [[tool: even {"n": 2}]] [[say: ok]]'
    output, recording = await run(tool_user, script)
    assert output == "ok"
    assert [(r, failed) for _, r, failed in recording.of("tool_returned")] == [
        ("n must be even", True),
        (2, False),
    ]
    assert await run(tool_user, script, recording) == (output, recording)
    assert calls == [1, 2]


async def test_a_tool_that_breaks_fails_the_run_and_is_not_remembered(model):
    tool_user = Agent(chat(model))

    @tool_user.tool_plain
    async def broken() -> None:
        raise KeyError("spoon")

    recording = Recording()
    with pytest.raises(KeyError, match="spoon"):
        await run(tool_user, "[[tool: broken]]", recording)
    assert list(recording.steps) == ["model"]
    assert recording.of("tool_returned")[0][1:] == ("'spoon'", True)
    assert recording.usage.tool_calls == 1


async def test_rich_tool_results_survive_the_log(model):
    tool_user = Agent(chat(model))

    @tool_user.tool_plain
    async def look() -> ToolReturn:
        return ToolReturn("seen", content=["Look:", ImageUrl("https://example.org/a.png")])

    script = "[[tool: look]] [[say: nice]]"
    _, recording = await run(tool_user, script)
    sent = model.requests[-1]
    del recording.steps["model#2"]
    await run(tool_user, script, recording)
    assert model.requests[-1] == sent
    assert "https://example.org/a.png" in json.dumps(sent)
    assert recording.of("tool_returned")[0][1] == "seen"


async def test_one_bad_byte_loses_no_run(model):
    tool_user = Agent(chat(model))

    @tool_user.tool_plain
    async def page(url: str, size: int) -> list[Any]:
        return ["a\x00b", "\ud800", 2**70, float("nan"), url]

    script = '[[tool: page {"url": "u\\u0000", "size": SIZE}]] [[say: ok]]'.replace("SIZE", str(2**70))
    output, recording = await run(tool_user, script)
    assert output == "ok"
    assert recording.of("tool_called")[0][2] == {"url": "u\ufffd", "size": float(2**70)}
    assert recording.of("tool_returned")[0][1] == ["a\ufffdb", "\ufffd", float(2**70), None, "u\ufffd"]
    assert await run(tool_user, script, recording) == (output, recording)


class City(BaseModel):
    name: str
    people: int


async def test_a_structured_output_is_json(model):
    geographer = Agent(chat(model), output_type=City)
    output, recording = await run(geographer, '[[tool: final_result {"name": "Rome", "people": 3}]]')
    assert output == City(name="Rome", people=3)
    assert recording.of("tool_called") == []
    assert decode(served(geographer).spec.output_schema or b"")["title"] == "City"
    again, _ = await run(geographer, '[[tool: final_result {"name": "Rome", "people": 3}]]', recording)
    assert again == output
    assert model.stats.requests == 1


async def test_json_written_as_text_is_output_and_not_prose(model):
    geographer = Agent(chat(model), output_type=NativeOutput(City))
    output, recording = await run(geographer, '[[say: {"name": "Rome", "people": 3}]]')
    assert output == City(name="Rome", people=3)
    assert recording.text == ""


async def test_an_output_that_never_fits_is_a_model_error(model):
    with pytest.raises(AgentFailed, match="cannot be used") as failed:
        await run(Agent(chat(model), output_type=City), '[[tool: final_result {"name": 1}]]')
    assert failed.value.reason == Reason.MODEL_ERROR


async def test_the_thread_is_the_history(model):
    said = [
        (Role.SYSTEM, "Be brief."),
        (Role.USER, "Hi"),
        (Role.ASSISTANT, [{"type": "text", "text": "Hello"}]),
        (Role.TOOL, "left out"),
        (Role.ASSISTANT, {"sum": 3}),
    ]
    history = [Message(position=n, role=r, content=encode(c), at=0) for n, (r, c) in enumerate(said, 1)]
    await run(Agent(chat(model), system_prompt="You rhyme."), "[[say: x]]", history=history)
    sent = [(m["role"], m["content"]) for m in model.requests[0]["messages"]]
    assert ("user", "Hi") in sent
    assert sent[-1] == ("user", "[[say: x]]")
    assert ("system", "Be brief.") in sent
    assert [content for role, content in sent if role == "assistant"] == ['Hello\n\n{"sum":3}']


async def test_an_agents_own_system_prompt_is_there_with_a_history_too(model):
    history = [Message(position=1, role=Role.USER, content=encode("Hi"), at=0)]
    await run(Agent(chat(model), system_prompt="You rhyme."), "[[say: x]]", history=history)
    assert model.requests[0]["messages"][0] == {"role": "system", "content": "You rhyme."}


async def test_an_event_handler_of_the_users_sees_finished_responses(model):
    seen: list[str] = []

    async def handler(ctx, events):
        async for event in events:
            seen.append(type(event).__name__)

    output, recording = await run(
        Agent(chat(model), capabilities=[ProcessEventStream(handler)]), "[[say: a b]]"
    )
    assert (output, recording.text) == ("a b", "a b")
    assert "PartStartEvent" in seen


async def test_a_model_that_cannot_stream_says_its_answer_at_once():
    class Mute(TestModel):
        def request_stream(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

    _, recording = await run(Agent(Mute(custom_output_text="whole")), "hi")
    assert recording.of("text") == ["whole"]
    assert recording.usage.model_calls == 1


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("[[error: 401]]", "answered 401: the script says 401; check the API key"),
        ("[[error: 404]]", "check the model's name"),
        ("[[error: 429]]", "retry the run later"),
        ("[[error: 500]]", "retry the run"),
        ("[[error: 400]]", "it refused the request"),
        ("[[words: 9]] [[error: 500 after=2]]", "the script says 500"),
        ("[[words: 9]] [[drop after=2]]", "broke off at http://"),
        ("[[drop]]", "broke off at http://"),
    ],
)
async def test_errors_of_the_api_say_what_and_what_next(model, script, words):
    recording = Recording()
    with pytest.raises(AgentFailed) as failed:
        await run(Agent(chat(model)), script, recording)
    assert failed.value.reason == Reason.MODEL_ERROR
    assert "model scripted" in failed.value.message
    assert words in failed.value.message
    assert recording.steps == {}
    streamed = "after" in script
    assert recording.usage.model_calls == 1
    assert len(recording.of("text")) == (2 if streamed else 0)


async def test_the_client_tries_again_no_more_than_it_says(model):
    output, _ = await run(Agent(chat(model, retries=2)), "[[error: 503 times=2]] [[say: ok]]")
    assert output == "ok"
    with pytest.raises(AgentFailed, match="answered 503"):
        await model_agent(model).call(RecordingContext("[[error: 503]]"))
    assert model.stats.requests == 3 + 3


async def test_a_server_that_is_not_there_is_named(model):
    base_url = model.base_url
    model.stop()
    with pytest.raises(AgentFailed, match="cannot be reached") as failed:
        await run(Agent(chat(base_url)), "hi")
    assert failed.value.reason == Reason.MODEL_ERROR
    assert base_url in failed.value.message
    assert "check that its server runs" in failed.value.message


async def test_usage_limits_are_a_budget(model):
    tool_user = Agent(chat(model))

    @tool_user.tool_plain
    async def now() -> str:
        return "noon"

    @agent
    async def thrifty(ctx: Context, question: str) -> Any:
        limits = UsageLimits(request_limit=1)
        return await run_agent(tool_user, ctx, question, usage_limits=limits)

    context = RecordingContext("[[tool: now]] [[say: never]]")
    with pytest.raises(AgentFailed, match="limit") as failed:
        await thrifty.call(context)
    assert failed.value.reason == Reason.BUDGET_EXHAUSTED
    assert context.recording.usage.model_calls == 1


@pytest.mark.parametrize("script", ["[[hang]]", "[[words: 9]] [[hang after=4]]", "[[tool: wait]]"])
async def test_a_cancel_closes_the_connection_at_once(model, script):
    tool_user = Agent(chat(model))
    in_tool = asyncio.Event()

    @tool_user.tool_plain
    async def wait() -> None:
        in_tool.set()
        await asyncio.Event().wait()

    context = RecordingContext(script)
    task = asyncio.create_task(served(tool_user).call(context))
    if "tool" in script:
        await in_tool.wait()
        disconnects = 0
    else:
        await model.until(lambda stats: stats.open == 1)
        while "after" in script and len(context.recording.of("text")) < 4:
            context.heard.clear()
            await context.heard.wait()
        disconnects = 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stats = await model.until(lambda stats: stats.disconnects == disconnects and stats.open == 0)
    assert stats.requests == 1
    assert context.recording.usage.model_calls == 1


def approving(model: ScriptedModel, sent: list[str]) -> Agent[Any, Any]:
    mailer = Agent(chat(model))

    @mailer.tool_plain(requires_approval=True)
    async def send(to: str) -> str:
        sent.append(to)
        return "sent"

    return mailer


@pytest.mark.parametrize(
    ("answer", "to", "told"),
    [
        (True, ["ann"], "sent"),
        ("Yes!", ["ann"], "sent"),
        ({"approved": True, "arguments": {"to": "bob"}}, ["bob"], "sent"),
        (False, [], "The tool call was denied."),
        ("not today", [], "The tool call was denied: not today"),
        ({"approved": False, "message": "spam"}, [], "The tool call was denied: spam"),
    ],
)
async def test_a_tool_that_needs_approval_asks_a_person(model, answer, to, told):
    sent: list[str] = []
    mailer = approving(model, sent)
    script = '[[tool: send {"to": "ann"}]] [[say: Done.]]'
    recording = Recording()
    with pytest.raises(Suspended):
        await run(mailer, script, recording)
    key, question, schema = recording.question
    assert (question["kind"], question["tool"], question["arguments"]) == ("approval", "send", {"to": "ann"})
    assert key.startswith(f"approve:{question['call_id']}:")
    assert schema["anyOf"][0] == {"type": "boolean"}
    assert sent == []

    recording.answers[key] = answer
    output, _ = await run(mailer, script, recording)
    assert (output, sent) == ("Done.", to)
    assert model.requests[-1]["messages"][-1]["content"] == told
    assert model.stats.requests == 2


async def test_a_tool_may_ask_for_approval_when_it_knows_its_arguments(model):
    spent: list[int] = []
    buyer = Agent(chat(model))

    @buyer.tool
    async def spend(ctx: RunContext[Any], amount: int) -> str:
        if amount > 10 and not ctx.tool_call_approved:
            raise ApprovalRequired(metadata={"over": amount - 10})
        spent.append(amount)
        return "spent"

    script = '[[tool: spend {"amount": 3}]] [[tool: spend {"amount": 30}]] [[say: Done.]]'
    recording = Recording()
    with pytest.raises(Suspended):
        await run(buyer, script, recording)
    key, question, _ = recording.question
    assert question["metadata"] == {"over": 20}
    assert spent == [3]
    recording.answers[key] = True
    output, _ = await run(buyer, script, recording)
    assert (output, spent) == ("Done.", [3, 30])
    assert sum(1 for step in recording.steps if step.endswith("#2") and step.startswith("spend")) == 1


async def test_asking_inside_a_tool_is_an_error_that_says_so(model):
    asker = Agent(chat(model))

    @asker.tool
    async def guess(ctx: RunContext[Any]) -> str:
        return await ctx.deps.ask("which?")

    with pytest.raises(AskInsideStep, match="ask before the step"):
        await run(asker, "[[tool: guess]]")


def test_an_agent_with_other_deps_is_refused_when_it_is_loaded():
    with pytest.raises(CannotLoad, match="deps") as refused:
        PydanticAgent(Agent(TestModel(), deps_type=City), name="poet")
    assert "run_agent" in refused.value.hint


async def test_a_function_may_run_an_agent_with_deps_of_its_own(model):
    census = Agent(chat(model), deps_type=City)

    @census.tool
    async def people(ctx: RunContext[City]) -> int:
        return ctx.deps.people

    @agent
    async def count(ctx: Context, question: str) -> Any:
        return await run_agent(census, ctx, question, deps=City(name="Rome", people=3))

    context = RecordingContext("[[tool: people]]")
    assert await count.call(context) == "The tools returned: 3."
    assert context.recording.of("tool_returned")[0][1] == 3


async def test_two_runs_of_an_agent_in_one_do_not_share_their_tool_calls(model):
    calls: list[int] = []
    counter = Agent(chat(model))

    @counter.tool_plain
    async def count() -> int:
        calls.append(1)
        return len(calls)

    @agent
    async def twice(ctx: Context, question: str) -> Any:
        return [await run_agent(counter, ctx, question) for _ in range(2)]

    recording = Recording()
    outputs = [await twice.call(RecordingContext("[[tool: count]]", recording)) for _ in range(2)]
    assert outputs == [["The tools returned: 1.", "The tools returned: 2."]] * 2
    assert model.stats.requests == 4


class Interrupted(RecordingContext):
    """The attempt ends at its second step."""

    async def step(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if self.recording.steps:
            raise Suspended
        return await super().step(name, *args, **kwargs)


@pytest.mark.parametrize("script", ["[[tool: now]]", "[[tool: now]] [[tool: now]]"])
async def test_whatever_ends_the_attempt_comes_out_as_it_was(model, script):
    tool_user = Agent(chat(model))

    @tool_user.tool_plain
    async def now() -> str:
        return "noon"

    with pytest.raises(Suspended):
        await served(tool_user).call(Interrupted(script))


@agent(kind="tool")
async def look_up(ctx: Context, word: str, times: int = 1) -> str:
    """Look a word up."""
    await ctx.progress(50, "looking")
    return word * times


@agent(kind="tool")
def shout(word: str) -> str:
    return word.upper()


async def test_a_model_and_instructions_are_an_agent_with_tools(model):
    poet = model_agent(model, look_up, shout, instructions="Rhyme.", temperature=0.5, max_tokens=99)
    script = '[[tool: look_up {"word": "ab", "times": 2}]] [[tool: shout {"word": "ab"}]] [[say: Done.]]'
    context = RecordingContext(script)
    assert await poet.call(context) == "Done."
    first = model.requests[0]
    assert first["model"] == "scripted"
    assert first["messages"][0]["content"] == "Rhyme."
    assert (first["temperature"], first.get("max_tokens") or first.get("max_completion_tokens")) == (0.5, 99)
    tool = next(t["function"] for t in first["tools"] if t["function"]["name"] == "look_up")
    assert tool["description"] == "Look a word up."
    assert set(tool["parameters"]["properties"]) == {"word", "times"}
    assert sorted(r for _, r, _ in context.recording.of("tool_returned")) == ["AB", "abab"]
    assert context.recording.of("progress") == [(50, "looking")]


async def test_a_models_wrong_arguments_go_back_to_it(model):
    poet = model_agent(model, look_up)
    script = '[[tool: look_up {"word": 3}]] [[tool: look_up {"word": "a"}]] [[say: Done.]]'
    context = RecordingContext(script)
    assert await poet.call(context) == "Done."
    results = {(result, failed) for _, result, failed in context.recording.of("tool_returned")}
    assert results == {("$.word: input should be a valid string", True), ("a", False)}


async def test_a_model_agent_remembers_too(model):
    poet = model_agent(model)
    recording = Recording()
    outputs = [await poet.call(RecordingContext("Tell me", recording)) for _ in range(2)]
    assert outputs[0] == outputs[1]
    assert model.stats.requests == 1


async def test_a_key_is_read_from_the_variable_and_no_other_is_sent(model, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.delenv("POET_KEY", raising=False)
    with pytest.raises(AgentFailed, match="POET_KEY") as failed:
        await model_agent(model, api_key_env="POET_KEY").call(RecordingContext("hi"))
    assert failed.value.reason == Reason.ERROR
    await model_agent(model).call(RecordingContext("[[say: a]]"))
    monkeypatch.setenv("POET_KEY", "mine")
    await model_agent(model, api_key_env="POET_KEY").call(RecordingContext("[[say: a]]"))
    assert model.authorizations == ["Bearer none", "Bearer mine"]


@pytest.mark.parametrize("name", ["gpt-5", "nobody:gpt-5", "openai:gpt-5"])
async def test_a_model_that_cannot_be_made_says_why(monkeypatch, name):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    found = Catalog([]).find("poet", Json(msgspec.json.encode(ModelAgent(model=name))))
    assert found is not None
    with pytest.raises(AgentFailed, match=r"gpt-5|OPENAI_API_KEY") as failed:
        await found.call(RecordingContext("hi"))
    assert failed.value.reason == Reason.ERROR


async def test_any_model_that_pydantic_ai_knows_will_do():
    found = Catalog([]).find("poet", Json(msgspec.json.encode(ModelAgent(model="test"))))
    assert found is not None
    assert await found.call(RecordingContext("hi")) == "success (no tool calls)"


async def test_tools_that_this_worker_does_not_serve_are_named():
    made = ModelAgent(model="test", tools=("gone",))
    found = Catalog([]).find("poet", Json(msgspec.json.encode(made)))
    assert found is not None
    with pytest.raises(AgentFailed, match="does not serve: gone"):
        await found.call(RecordingContext("hi"))
