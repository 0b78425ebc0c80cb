"""Letta's own client against a live server: every answer must be of exactly the shape it expects.

The model is scripted and spoken to over real HTTP, so tools, reasoning and approvals are real ones.
"""

import asyncio
from typing import Any

import pytest

from tests.dialects.letta.conftest import PATIENCE, Receiver
from tests.support.live_server import LiveServer

letta_client = pytest.importorskip("letta_client")
pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

MANY = 250


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def agent_called(letta: Any, name: str) -> str:
    return next(agent.id for agent in letta.agents.list() if agent.name == name)


def end_of(letta: Any, run_id: str) -> Any:
    """The run when it has ended: its stream ends with it."""
    for _ in letta.runs.messages.stream(run_id):
        continue
    return letta.runs.retrieve(run_id)


@pytest.fixture
def agent(letta: Any) -> Any:
    made = letta.agents.create(
        name="probe",
        model="openai/gpt-4o-mini",
        system="Be kind.",
        memory_blocks=[{"label": "human", "value": "Ann"}],
        tags=["one"],
    )
    yield made
    letta.agents.delete(made.id)


def test_health_and_models(letta: Any):
    assert letta.health().version == "0.16.8"
    assert [model.handle for model in letta.models.list()] == ["scripted/one"]
    assert letta.models.embeddings.list() == []


def test_agents(letta: Any, agent: Any):
    assert letta.agents.retrieve(agent.id) == agent
    assert [found.id for found in letta.agents.list(name="probe", tags=["one"])] == [agent.id]
    assert letta.agents.update(agent.id, description="helps").description == "helps"
    with pytest.raises(letta_client.NotFoundError):
        letta.agents.retrieve("agent-11111111-1111-4111-8111-111111111111")
    with pytest.raises(letta_client.UnprocessableEntityError):
        letta.agents.retrieve("bogus")


def test_a_send_that_waits(letta: Any, agent: Any):
    answer = letta.agents.messages.create(
        agent.id, messages=said("[[reason: hm]] [[say: hello there]]"), timeout=PATIENCE
    )
    thought, text = answer.messages
    assert (thought.message_type, thought.reasoning) == ("reasoning_message", "hm")
    assert (text.message_type, text.content) == ("assistant_message", "hello there")
    assert thought.id == text.id
    assert (thought.otid[-1], text.otid[-1]) == ("0", "1")
    assert answer.stop_reason.stop_reason == "end_turn"
    assert (answer.usage.step_count, answer.usage.total_tokens) == (
        1, answer.usage.prompt_tokens + answer.usage.completion_tokens
    )  # fmt: skip
    assert answer.usage.completion_tokens == 3


def test_a_run_in_the_background_and_what_it_is_made_of(letta: Any, agent: Any):
    sent = letta.agents.messages.create_async(agent.id, messages=said("[[say: well then]]"))
    assert (sent.status, sent.background) == ("created", True)
    run = end_of(letta, sent.id)
    assert (run.status, run.stop_reason, run.agent_id) == ("completed", "end_turn", agent.id)
    assert run.total_duration_ns >= run.ttft_ns > 0
    messages = list(letta.runs.messages.list(run.id))
    assert [message.message_type for message in messages] == ["user_message", "assistant_message"]
    usage = letta.runs.usage.retrieve(run.id)
    steps = list(letta.runs.steps.list(run.id))
    assert [(step.status, step.total_tokens) for step in steps] == [("success", usage.total_tokens)]
    assert [span["span_name"] for span in letta.runs.trace.retrieve(run.id)] == ["agent_step", "model"]
    assert letta.steps.retrieve(steps[0].id).status == "success"
    assert letta.steps.metrics.retrieve(steps[0].id).llm_request_ns > 0
    assert letta.steps.trace.retrieve(steps[0].id).response_json["parts"][0]["content"] == "well then"
    assert list(letta.steps.messages.list(steps[0].id)) == messages[1:]
    assert steps[0].id in [step.id for step in letta.steps.list(agent_id=agent.id)]
    assert list(letta.agents.messages.list(agent.id, order="asc")) == messages


@pytest.mark.parametrize("tokens", [True, False])
@pytest.mark.parametrize("background", [True, False])
def test_streams(letta: Any, agent: Any, tokens: bool, background: bool):
    chunks = list(
        letta.agents.messages.stream(
            agent.id,
            messages=said("[[reason: deep]] [[say: one two three]]"),
            stream_tokens=tokens,
            background=background,
        )
    )
    texts = [chunk.content for chunk in chunks if chunk.message_type == "assistant_message"]
    assert "".join(texts) == "one two three"
    assert (len(texts) > 1) == tokens
    assert [chunk.message_type for chunk in chunks[-2:]] == ["stop_reason", "usage_statistics"]
    numbers = [chunk.seq_id for chunk in chunks[:-2]]
    assert numbers == (list(range(1, len(numbers) + 1)) if background else [None] * len(numbers))
    run_id = chunks[0].run_id
    for seen in range(len(numbers)):
        again = list(letta.runs.messages.stream(run_id, starting_after=seen))
        assert [chunk.seq_id for chunk in again[:-2]] == list(range(seen + 1, len(numbers) + 1))
        if background:
            assert again == chunks[seen:]


def test_a_stream_through_messages_create(letta: Any, agent: Any):
    chunks = list(letta.agents.messages.create(agent.id, input="[[say: hi]]", streaming=True))
    assert [chunk.message_type for chunk in chunks] == [
        "ping", "assistant_message", "stop_reason", "usage_statistics"
    ]  # fmt: skip


def test_a_tool_and_an_approval(letta: Any):
    careful = agent_called(letta, "careful")
    script = '[[tool: look_up {"name": "bees"}]] [[tool: delete_file {"path": "hive"}]] [[say: All done.]]'
    answer = letta.agents.messages.create(careful, messages=said(script))
    kinds = [message.message_type for message in answer.messages]
    assert kinds == ["tool_call_message", "tool_return_message", "approval_request_message"]
    call, back, request = answer.messages
    assert (call.tool_call.name, back.tool_return) == ("look_up", "bees: 20,000 species")
    assert back.tool_call_id == call.tool_call.tool_call_id
    assert request.tool_call.name == "delete_file"
    assert answer.stop_reason.stop_reason == "requires_approval"
    with pytest.raises(letta_client.ConflictError) as refused:
        letta.agents.messages.create(careful, messages=said("and now?"))
    assert refused.value.body["detail"]["pending_request_id"] == request.id
    with pytest.raises(letta_client.BadRequestError, match="Invalid tool call IDs"):
        letta.agents.messages.create(careful, messages=[approval("other", True)])
    further = letta.agents.messages.create(careful, messages=[approval(request.tool_call.tool_call_id, True)])
    assert [message.message_type for message in further.messages] == [
        "tool_return_message", "assistant_message"
    ]  # fmt: skip
    assert further.messages[0].tool_return == "hive is gone"
    assert further.messages[1].content == "All done."
    asked = letta.runs.retrieve(request.run_id)
    assert (asked.status, asked.stop_reason) == ("completed", "requires_approval")


def approval(call_id: str, approve: bool, **fields: Any) -> dict[str, Any]:
    given = {"type": "approval", "approve": approve, "tool_call_id": call_id, **fields}
    return {"type": "approval", "approvals": [given]}


def test_a_denial_in_a_token_stream(letta: Any):
    careful = agent_called(letta, "careful")
    script = '[[tool: delete_file {"path": "hive"}]] [[say: Very well.]]'
    chunks = list(
        letta.agents.messages.stream(careful, messages=said(script), stream_tokens=True, background=True)
    )
    pieces = [chunk.tool_call for chunk in chunks if chunk.message_type == "approval_request_message"]
    assert [(piece.name, piece.arguments) for piece in pieces] == [
        ("delete_file", None), (None, '{"path":"hive"}')
    ]  # fmt: skip
    denied = approval(pieces[0].tool_call_id, False, reason="keep it")
    further = list(letta.agents.messages.stream(careful, messages=[denied]))
    shown = [chunk for chunk in further if chunk.message_type in ("tool_return_message", "assistant_message")]
    assert (shown[0].status, "keep it" in shown[0].tool_return) == ("error", True)
    assert shown[1].content == "Very well."


def test_a_question_in_words(letta: Any):
    asks = agent_called(letta, "asks")
    first = letta.agents.messages.create(asks, messages=said("go"))
    request = first.messages[-1]
    assert (request.tool_call.name, request.tool_call.arguments) == ("ask", '{"question":"May I go?"}')
    given = approval(request.tool_call.tool_call_id, True, reason="yes, please")
    second = letta.agents.messages.create(asks, messages=[given])
    assert second.messages[-1].content == "go: yes, please"


def test_cancelling(letta: Any):
    hangs = agent_called(letta, "hangs")
    with letta.agents.messages.stream(
        hangs, messages=said("words"), stream_tokens=True, background=True
    ) as stream:
        for chunk in stream:
            if chunk.message_type == "assistant_message":
                break
        assert letta.agents.messages.cancel(hangs, run_ids=[chunk.run_id]) == {chunk.run_id: "cancelled"}
        assert [last.message_type for last in stream] == ["stop_reason"]
    run = letta.runs.retrieve(chunk.run_id)
    assert (run.status, run.stop_reason) == ("cancelled", "cancelled")
    with pytest.raises(letta_client.ConflictError):
        letta.agents.messages.cancel(hangs)


def test_failures(letta: Any, agent: Any):
    breaks = agent_called(letta, "breaks")
    with pytest.raises(letta_client.InternalServerError, match="it broke"):
        letta.agents.messages.create(breaks, messages=said("it broke"))
    with pytest.raises(letta_client.APIStatusError) as failed:
        list(letta.agents.messages.stream(agent.id, messages=said("[[error: 429]]"), background=True))
    assert failed.value.body["error_type"] == "llm_error"
    run = letta.runs.retrieve(failed.value.body["run_id"])
    assert (run.status, run.stop_reason) == ("failed", "llm_api_error")
    assert run.metadata["error"]["message"] == failed.value.body["message"]


def test_a_failed_send_is_not_repeated(server: LiveServer):
    with letta_client.Letta(base_url=server.url, max_retries=2, timeout=PATIENCE) as patient:
        breaks = agent_called(patient, "breaks")
        before = len(list(patient.runs.list(agent_id=breaks)))
        with pytest.raises(letta_client.InternalServerError):
            patient.agents.messages.create(breaks, messages=said("once"))
        assert len(list(patient.runs.list(agent_id=breaks))) == before + 1


def test_a_callback(letta: Any, agent: Any, receiver: Receiver):
    sent = letta.agents.messages.create_async(
        agent.id, messages=said("[[say: told you]]"), callback_url=receiver.url
    )
    headers, told = receiver.next()
    assert headers["content-type"] == "application/json"
    assert "webhook-signature" in headers
    assert (told["run_id"], told["status"]) == (sent.id, "completed")
    messages = told["metadata"]["result"]["messages"]
    assert [message["message_type"] for message in messages] == ["user_message", "assistant_message"]
    run = letta.runs.retrieve(sent.id)
    assert run.callback_url == receiver.url
    assert run.callback_error is None


def test_conversations(letta: Any, agent: Any):
    made = letta.conversations.create(agent_id=agent.id, summary="tides")
    assert letta.conversations.retrieve(made.id) == made
    assert [each.id for each in letta.conversations.list(agent_id=agent.id)] == [made.id]
    assert letta.conversations.update(made.id, summary="moons").summary == "moons"
    chunks = list(letta.conversations.messages.create(made.id, messages=said("[[say: hello]]")))
    assert [chunk.message_type for chunk in chunks][1:] == [
        "assistant_message", "stop_reason", "usage_statistics"
    ]  # fmt: skip
    messages = list(letta.conversations.messages.list(made.id, order="asc"))
    assert [message.message_type for message in messages] == ["user_message", "assistant_message"]
    runs = list(letta.runs.list(conversation_id=made.id))
    assert [run.conversation_id for run in runs] == [made.id]
    again = list(letta.conversations.messages.stream(made.id, run_id=runs[0].id))
    assert [chunk.message_type for chunk in again] == [chunk.message_type for chunk in chunks]
    with pytest.raises(letta_client.BadRequestError):
        letta.conversations.messages.stream(made.id)
    with pytest.raises(letta_client.ConflictError):
        letta.conversations.cancel(made.id)
    letta.conversations.delete(made.id)
    with pytest.raises(letta_client.NotFoundError):
        letta.conversations.retrieve(made.id)


def test_the_same_otid_is_the_same_run(letta: Any, agent: Any):
    made = letta.conversations.create(agent_id=agent.id)
    named = [{"role": "user", "content": "[[say: once]]", "otid": "mine"}]
    streams = [
        list(letta.conversations.messages.create(made.id, messages=named, background=True)) for _ in range(2)
    ]
    assert streams[0] == streams[1]
    assert len(list(letta.runs.list(conversation_id=made.id))) == 1


def test_the_pager_finds_every_run_once(letta: Any):
    plain = agent_called(letta, "plain")
    sent = [letta.agents.messages.create_async(plain, messages=said(str(n))).id for n in range(MANY)]
    for order, expected in (("desc", sent[::-1]), ("asc", sent)):
        found = [run.id for run in letta.runs.list(agent_id=plain, order=order, limit=40)]
        assert found == expected
    messages = [message.id for message in letta.agents.messages.list(plain, limit=60)]
    assert len(set(messages)) == len(messages)
    assert end_of(letta, sent[-1]).status == "completed"
    everything = list(letta.agents.messages.list(plain, limit=100))
    asked = [message.content for message in everything if message.message_type == "user_message"]
    assert asked == [str(n) for n in reversed(range(MANY))]


def test_the_asynchronous_client(server: LiveServer):
    async def talk() -> None:
        async with letta_client.AsyncLetta(
            base_url=server.url, _strict_response_validation=True, max_retries=0, timeout=PATIENCE
        ) as letta:
            agent = await letta.agents.create(name="async", model="x")
            run = await letta.agents.messages.create_async(agent.id, messages=said("[[say: a b]]"))
            stream = await letta.runs.messages.stream(run.id)
            kinds = [chunk.message_type async for chunk in stream]
            assert kinds == ["ping", "assistant_message", "stop_reason", "usage_statistics"]
            assert (await letta.runs.retrieve(run.id)).status == "completed"
            answers = await asyncio.gather(
                *(letta.agents.messages.create(agent.id, messages=said(f"[[say: {n}]]")) for n in range(5))
            )
            assert [answer.messages[0].content for answer in answers] == [str(n) for n in range(5)]
            runs = [found.id async for found in letta.runs.list(agent_id=agent.id, limit=2)]
            assert len(runs) == len(set(runs)) == 6

    asyncio.run(talk())


def test_the_same_below_the_dialect_s_name(server: LiveServer):
    with letta_client.Letta(base_url=f"{server.url}/letta", _strict_response_validation=True) as letta:
        assert letta.health().status == "ok"
        assert list(letta.runs.list(limit=3))
