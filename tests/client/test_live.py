"""The SDK against the real server."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from runwell.client import ApiError, AsyncClient, Conflict, NotFound, RunStatus
from runwell.domain import events as facts
from tests.support.live_server import LiveServer

WORDS = "".join(f"{n} wörd\n" if n % 2 else f"{n} 🚀 " for n in range(120))


async def test_from_submit_to_result(live: LiveServer) -> None:
    async with AsyncClient(live.url) as client:
        run = await client.runs.create("echo", {"a": [1, None, "ü"]}, metadata={"team": "ops"}, priority=3)
        ended = await client.runs.wait(run.id)
        steps = await client.runs.steps(run.id)
        events = [event async for event in client.runs.events(run.id)]
    assert run.id.startswith("run_")
    assert (ended.status, ended.output) == (RunStatus.SUCCEEDED, {"a": [1, None, "ü"]})
    assert (ended.metadata, ended.priority, ended.usage.input_tokens) == ({"team": "ops"}, 3, 1200)
    assert ended.duration is not None
    assert ended.created_at <= (ended.finished_at or ended.created_at) <= datetime.now(UTC)
    assert [(step.key, step.status, step.output) for step in steps] == [("repeat", "finished", ended.output)]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert isinstance(events[0].fact, facts.RunCreated)
    assert isinstance(events[-1].fact, facts.RunSucceeded)
    assert all(event.fact is not None for event in events)


async def test_create_waits_when_asked(live: LiveServer) -> None:
    async with AsyncClient(live.url) as client:
        run = await client.runs.create("echo", "x", wait=20)
        assert (run.status, run.output) == ("succeeded", "x")
        waiting = await client.runs.create("ask", "sing", wait=0.01)
        assert not waiting.final


async def test_one_key_is_one_run(live: LiveServer) -> None:
    key = uuid4().hex
    async with AsyncClient(live.url) as client:
        first = await client.runs.create("echo", "x", idempotency_key=key)
        again = await client.runs.create("echo", "x", idempotency_key=key)
        with pytest.raises(ApiError) as caught:
            await client.runs.create("echo", "y", idempotency_key=key)
    assert again.id == first.id
    assert (caught.value.status, caught.value.code) == (422, "idempotency_mismatch")


async def test_watch_question_answer_retry(live: LiveServer) -> None:
    async with AsyncClient(live.url) as client:
        run = await client.runs.create("ask", "sing")
        async for state in client.runs.watch(run.id):
            if state.status is RunStatus.WAITING:
                assert state.question is not None
                assert state.question.question == "May I sing?"
                with pytest.raises(Conflict) as refused:
                    await client.runs.answer(run.id, {"yes": False}, key="another")
                assert refused.value.code == "question_changed"
                await client.runs.answer(run.id, {"yes": True}, key=state.question.key)
        assert state.status is RunStatus.SUCCEEDED
        assert state.output == "sing: {'yes': True}"
        with pytest.raises(Conflict) as caught:
            await client.runs.answer(run.id, "again")
        assert caught.value.code == "run_not_waiting"
        again = await client.runs.retry(run.id)
        ended = await client.runs.wait(again.id)
        assert (ended.retry_of, ended.output) == (run.id, state.output)


async def test_cancel_and_delete(live: LiveServer) -> None:
    async with AsyncClient(live.url) as client:
        run = await client.runs.create("hang", "hello")
        async for piece in client.runs.text(run.id):
            assert piece == "hello"
            with pytest.raises(Conflict):
                await client.runs.delete(run.id)
            await client.runs.cancel(run.id)
        ended = await client.runs.wait(run.id)
        assert (ended.status, ended.reason) == (RunStatus.CANCELLED, "requested")
        assert (await client.runs.cancel(run.id)).status is RunStatus.CANCELLED
        await client.runs.delete(run.id)
        with pytest.raises(NotFound) as caught:
            await client.runs.get(run.id)
    assert caught.value.code == "run_not_found"


async def test_list_filters_and_pages(live: LiveServer) -> None:
    marked = f"list-{uuid4().hex}"
    async with AsyncClient(live.url) as client:
        since = datetime.now(UTC) - timedelta(seconds=1)
        ids = [(await client.runs.create("fail", marked)).id for _ in range(5)]
        for id in ids:
            await client.runs.wait(id)
        found = [run async for run in client.runs.list(status="failed", agent="fail", since=since, limit=5)]
        assert [run.id for run in found] == ids[::-1]
        assert all(run.error is not None and marked in run.error.message for run in found)
        assert [run async for run in client.runs.list(until=since, agent="fail", limit=1)] == []


async def test_agents_and_threads(live: LiveServer) -> None:
    async with AsyncClient(live.url) as client:
        agents = await client.agents.list()
        assert {"echo", "talk", "ask", "fail", "hang"} <= {agent.name for agent in agents}
        assert [agent.name for agent in agents if agent.default] == ["echo"]
        assert (await client.agents.get("echo")).description == "Return what came in."
        made = await client.agents.put(
            "my.helper-1", model="m", base_url="http://127.0.0.1:9/v1", instructions="i"
        )
        assert (made.name, made.model) == ("my.helper-1", "m")
        await client.agents.delete("my.helper-1")
        with pytest.raises(NotFound):
            await client.agents.get("my.helper-1")

        thread = await client.threads.create(title="t", metadata={"a": 1})
        await client.threads.add_message(thread.id, "user", "first")
        await client.runs.create("echo", "second", thread_id=thread.id, wait=20)
        messages = [message async for message in client.threads.messages(thread.id)]
        assert [message.content for message in messages][:2] == ["first", "second"]
        assert [message.position for message in messages] == list(range(1, len(messages) + 1))
        assert (await client.threads.update(thread.id, title="new")).title == "new"
        assert (await client.threads.get(thread.id)).metadata == {"a": 1}
        assert thread.id in [t.id async for t in client.threads.list(limit=5)]
        await client.threads.delete(thread.id)


async def test_keys(live: LiveServer) -> None:
    async with AsyncClient(live.url) as client:
        key = await client.keys.create("ci", scopes=["runs:read"])
        assert key.secret is not None
        async with AsyncClient(live.url, key.secret) as reader:
            assert len([run async for run in reader.runs.list(limit=1)]) <= 1
            with pytest.raises(ApiError) as caught:
                await reader.runs.create("echo", "x")
            assert caught.value.status == 403
        assert (await client.keys.revoke(key.id)).revoked_at is not None
        assert key.id in [known.id for known in await client.keys.list()]


def test_the_plain_client_does_the_same(live: LiveServer) -> None:
    with live.client() as client:
        run = client.runs.create("talk", 6)
        assert "".join(client.runs.text(run.id)) == WORDS[: WORDS.index("6 ")]
        assert client.runs.wait(run.id).output == WORDS[: WORDS.index("6 ")]


async def test_a_stream_outlives_the_server(tmp_path: Path) -> None:
    """Killed twice and stopped once in the middle of it: no word is lost or said twice."""
    with LiveServer(tmp_path) as server:
        async with AsyncClient(server.url) as client:
            run = await client.runs.create("talk", 120, max_attempts=9)
            seqs: list[int] = []
            texts: list[str] = []
            ends = {20: server.kill, 90: server.stop, 150: server.kill}
            async for event in client.runs.events(run.id):
                seqs.append(event.seq)
                if event.type == "output.text_delta":
                    texts.append(event.data["text"])
                if event.seq in ends:
                    ends[event.seq]()
                    server.start()
            ended = await client.runs.wait(run.id)
    assert seqs == list(range(1, len(seqs) + 1))
    assert "".join(texts) == WORDS
    assert (ended.status, ended.output) == (RunStatus.SUCCEEDED, WORDS)
    assert ended.attempt > 1
