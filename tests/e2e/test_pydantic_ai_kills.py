"""Kill -9 between two tool calls, in mid-stream and in mid-step: what was paid for is neither asked
again nor forgotten. Real servers, real HTTP; the model is asked in this process and counts.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from runwell.agents.scripted import ScriptedModel
from runwell.client import Client
from runwell.client.models import Event, Run, Step
from runwell.domain.run import NO_USAGE, Usage
from tests.e2e.test_endings import faults_in
from tests.support.live_server import LiveServer

AGENTS = str(Path(__file__).with_name("modelled_agents.py"))
CONFIG = """
[agents.poet]
model = "scripted"
base_url = "{model}"
tools = ["first", "second"]

[prices."scripted*"]
input = 100
output = 1000
credits_output = 10
"""
IN_TURN = "[[tool: first]] [[say: And now]] [[tool: second]] [[say: Done.]]"
AT_ONCE = "[[tool: first]] [[tool: second]] [[say: Done.]]"


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as model:
        yield model


@pytest.fixture
def server(tmp_path: Path, model: ScriptedModel) -> LiveServer:
    """Not started. What blocks in it goes on when `tmp_path / "gate"` is there."""
    (tmp_path / "runwell.toml").write_text(CONFIG.format(model=model.base_url), encoding="utf-8")
    files = {"JOURNAL": str(tmp_path / "journal"), "GATE": str(tmp_path / "gate")}
    return LiveServer(tmp_path, AGENTS, env={"MODEL": model.base_url, **files})


def watch(client: Client, run: Run, enough: Callable[[list[Event]], bool]) -> list[Event]:
    """The log at the first moment that it is enough."""
    seen: list[Event] = []
    for event in client.runs.events(run.id):
        seen.append(event)
        if enough(seen):
            return seen
    raise AssertionError(f"it ended before: {[event.type for event in seen]}")


def said(text: str) -> Callable[[list[Event]], bool]:
    return lambda seen: any(event.data.get("text") == text for event in seen)


def finished(seen: list[Event], name: str) -> bool:
    return any(event.type == "step.finished" and event.data["name"] == name for event in seen)


def sum_of(steps: Iterable[Step]) -> Usage:
    return sum((step.usage for step in steps), NO_USAGE)


@pytest.mark.e2e
@pytest.mark.parametrize(("agent", "script"), [("clerk", IN_TURN), ("poet", AT_ONCE)])
async def test_a_kill_between_two_tool_calls_repeats_no_model_request(
    tmp_path: Path, model: ScriptedModel, server: LiveServer, agent: str, script: str
) -> None:
    with server, server.client() as client:
        run = client.runs.create(agent, script)
        watch(client, run, lambda seen: finished(seen, "first") and said("(second)")(seen))
        asked_before = model.stats.requests
        server.kill()
        (tmp_path / "gate").touch()
        server.start()
        ended = client.runs.wait(run.id, timeout=20)
        steps = client.runs.steps(run.id)
        assert server.stop() == 0

    assert (ended.status, ended.output, ended.attempt) == ("succeeded", "Done.", 2)
    requests = [step for step in steps if step.kind == "model"]
    assert model.stats.requests == len(requests) == asked_before + 1 == (3 if script is IN_TURN else 2)
    assert Counter((tmp_path / "journal").read_text().split()) == {"first": 1, "second": 2}
    tools = {step.name: (step.attempt, step.usage.tool_calls) for step in steps if step.kind == "tool"}
    assert tools == {"first": (1, 1), "second": (2, 2)}

    usage = ended.usage
    assert (usage.model_calls, usage.tool_calls) == (len(requests), 3)
    assert usage.cost == pytest.approx((usage.input_tokens * 100 + usage.output_tokens * 1_000) / 1e6)
    assert usage.credits == pytest.approx(usage.output_tokens * 10 / 1_000)
    kept = sum_of(steps)
    assert (kept.input_tokens, kept.output_tokens) == (usage.input_tokens, usage.output_tokens)
    assert kept.cost == pytest.approx(usage.cost)
    assert kept.credits == pytest.approx(usage.credits)
    assert await faults_in(server.database) == []


@pytest.mark.e2e
async def test_a_request_that_a_kill_cut_off_is_still_a_call(
    model: ScriptedModel, server: LiveServer
) -> None:
    with server, server.client() as client:
        run = client.runs.create("clerk", "[[tool: first]] [[say: one two]] [[hang]]")
        watch(client, run, said("two"))
        before = client.runs.get(run.id).usage
        server.kill()
        server.start()
        await model.until(lambda stats: stats.requests == 3 and stats.open == 1)
        client.runs.cancel(run.id)
        ended = client.runs.wait(run.id, timeout=20)
        steps = client.runs.steps(run.id)
        assert server.stop() == 0
    assert (before.model_calls, before.tool_calls) == (2, 1)
    assert ended.status == "cancelled"
    assert ended.usage.model_calls == model.stats.requests == 3
    assert (ended.usage.input_tokens, ended.usage.cost) == (before.input_tokens, before.cost)
    assert ended.usage.cost > 0
    assert [step.usage.model_calls for step in steps] == [1, 0, 2]
    assert await faults_in(server.database) == []


@pytest.mark.e2e
async def test_what_was_counted_before_a_kill_is_kept_and_the_takeover_adds_its_own(
    tmp_path: Path, server: LiveServer
) -> None:
    with server, server.client() as client:
        run = client.runs.create("spender", "x")
        watch(client, run, said("(stuck)"))
        server.kill()
        (tmp_path / "gate").touch()
        server.start()
        ended = client.runs.wait(run.id, timeout=20)
        steps = client.runs.steps(run.id)
        assert server.stop() == 0
    assert (ended.status, ended.output) == ("succeeded", 2)
    assert {step.key: step.usage.input_tokens for step in steps} == {"finished": 20, "interrupted": 2_000}
    outside = 2 * 1
    assert ended.usage.input_tokens == sum_of(steps).input_tokens + outside
    assert ended.usage.cost == pytest.approx(2_022 * 100 / 1e6)
    assert await faults_in(server.database) == []
