"""The Run object, lists of runs, and what a run is made of."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from runwell.dialects.letta import ids
from runwell.dialects.letta.dialect import build_letta
from runwell.dialects.letta.endings import STATUSES, STOP_REASONS, status_of, stop_reason_of
from runwell.dialects.letta.runs import RunRenderer
from runwell.domain.commands import Lapse, Succeed
from runwell.domain.errors import LogPruned
from runwell.domain.events import StepFinished, StepStarted, ToolCalled, ToolReturned, UsageCounted
from runwell.domain.json_gate import EMPTY, NULL, Json
from runwell.domain.run import Reason, Run, RunError, RunStatus, Usage
from runwell.domain.step import StepKind
from runwell.engine import control
from tests.dialects.letta.logs import QUESTION, a_run, an_origin
from tests.dialects.letta.sent import a_sent_run, an_agent, shown, types
from tests.support.asgi import AsgiClient
from tests.support.house import BEGINNING, House

FIELDS = [
    "id", "status", "created_at", "completed_at", "agent_id", "conversation_id", "base_template_id",
    "background", "metadata", "request_config", "stop_reason", "callback_url", "callback_sent_at",
    "callback_status_code", "callback_error", "ttft_ns", "total_duration_ns",
]  # fmt: skip
ENDED = {"finished_at": BEGINNING, "output": NULL}
STATES: dict[RunStatus, dict[str, Any]] = {
    RunStatus.QUEUED: {},
    RunStatus.RUNNING: {"attempt": 1, "worker": "w", "claimed_at": BEGINNING, "started_at": BEGINNING},
    RunStatus.WAITING: {"question": QUESTION},
    RunStatus.SUCCEEDED: ENDED,
    RunStatus.FAILED: {"reason": "error", "error": RunError("error", "x"), "finished_at": BEGINNING},
    RunStatus.CANCELLED: {"reason": "requested", "finished_at": BEGINNING},
}


@pytest.fixture(params=["front", "app"])
def client(house: House, request: pytest.FixtureRequest) -> AsgiClient:
    """Through the front, which has a hot route, and through the app alone: there is no difference."""
    return house.client if request.param == "front" else AsgiClient(build_letta(house.services).app)


@pytest.mark.parametrize("status", list(RunStatus))
async def test_every_status_is_shown(house: House, status):
    for extra in (an_origin().document(), None):
        run = a_run(status=status, **STATES[status])
        run = replace(run, extra=extra) if extra is not None else replace(run, source="native", extra=EMPTY)
        body = await RunRenderer(house.core).run(run)
        assert body.status in STATUSES
        assert body.stop_reason in (None, *STOP_REASONS)
        assert (body.stop_reason is None) == (body.status in ("created", "running"))


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("status", [RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED])
def test_every_reason_has_a_stop_reason(status, reason):
    run = a_run(status=status, **{**STATES[status], "reason": reason})
    assert stop_reason_of(run) in STOP_REASONS
    assert status_of(run) in STATUSES


async def test_a_sent_run(house: House, client: AsgiClient):
    agent = await an_agent(house.client)
    run = await a_sent_run(house, agent, callback_url="http://receiver.test/x")
    body = (await client.get(f"/v1/runs/{ids.run_id(run.id)}")).json
    assert list(body) == FIELDS
    assert (body["id"], body["agent_id"]) == (ids.run_id(run.id), agent)
    assert (body["status"], body["background"], body["completed_at"]) == ("created", True, None)
    assert body["metadata"] == {"run_type": "send_message_async", "lettuce": None}
    assert body["request_config"] == {
        "use_assistant_message": True, "assistant_message_tool_name": "send_message",
        "assistant_message_tool_kwarg": "message", "include_return_message_types": None,
    }  # fmt: skip
    assert body["callback_url"] == "http://receiver.test/x"
    assert body["created_at"] == "2027-01-15T08:00:01.000000Z"


async def test_a_run_from_beginning_to_end(house: House, client: AsgiClient):
    run = await a_sent_run(house, await an_agent(house.client))
    house.clock.move(1)
    await house.claim(run)
    assert (await client.get(f"/v1/runs/{run.id}")).json["status"] == "running"
    house.clock.move(1)
    await house.say(run, "a")
    house.clock.move(2)
    await house.succeed(run, "a")
    body = (await client.get(f"/v1/runs/{run.id}")).json
    assert (body["status"], body["stop_reason"]) == ("completed", "end_turn")
    assert body["completed_at"] == "2027-01-15T08:00:05.000000Z"
    assert (body["ttft_ns"], body["total_duration_ns"]) == (2_000_000_000, 4_000_000_000)


async def test_a_run_that_is_queued_again_is_running_still(house: House):
    run = await a_sent_run(house, await an_agent(house.client))
    await house.claim(run)
    await house.do(run, Lapse(seen_at=house.clock.now()))
    assert (await shown(house, run))["status"] == "running"


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("model_error", "llm_api_error"), ("budget_exhausted", "insufficient_credits"), ("error", "error"),
        ("timed_out", "error"), ("lost", "error"),
    ],
)  # fmt: skip
async def test_a_failed_run_says_why(house: House, reason, stop):
    run = await a_sent_run(house, await an_agent(house.client))
    await house.fail(await house.claim(run), reason)
    body = await shown(house, run)
    assert (body["status"], body["stop_reason"], body["metadata"]["error"]) == ("failed", stop, "it broke")


async def test_a_waiting_run_is_completed_and_stays_so_when_it_is_gone_on_from(house: House):
    run = await a_sent_run(house, await an_agent(house.client))
    await house.claim(run)
    house.clock.move(3)
    await house.ask(run, "sure?")
    house.clock.move(10)
    waiting = await shown(house, run)
    assert (waiting["status"], waiting["stop_reason"]) == ("completed", "requires_approval")
    assert waiting["completed_at"] == "2027-01-15T08:00:04.000000Z"
    await control.go_on(house.core, run.owner, run.id, "yes")
    assert await shown(house, run) == waiting


async def test_a_run_answered_through_another_api_is_running_again(house: House):
    run = await a_sent_run(house, await an_agent(house.client))
    await house.ask(await house.claim(run))
    await control.answer(house.core, run.owner, run.id, "yes")
    assert (await shown(house, run))["status"] == "running"


async def test_a_run_of_another_api_is_shown_too(house: House):
    run = await house.a_finished_run(input="hello", metadata={"team": "sea"})
    body = await shown(house, run)
    echo = await house.store.agents.get("echo", "local")
    assert body["agent_id"] == ids.agent_id(echo.id)
    assert (body["background"], body["request_config"]) == (None, None)
    assert body["metadata"] == {"team": "sea"}
    messages = (await house.client.get(f"/v1/runs/{run.id}/messages")).json
    assert [message["content"] for message in messages] == ["hello", "done"]


async def test_a_body_that_is_kept_changes_with_the_run(house: House):
    run = await a_sent_run(house, await an_agent(house.client))
    before = await shown(house, run)
    assert await shown(house, run) == before
    await house.claim(run)
    assert (await shown(house, run))["status"] == "running"


async def listed(house: House, query: str = "") -> list[str]:
    answer = await house.client.get(f"/v1/runs/?{query}")
    assert answer.status == 200, answer.text
    return [ids.read(run["id"]) or "" for run in answer.json]


async def every_kind(house: House) -> tuple[str, dict[str, Run]]:
    """One run in each state, oldest first."""
    agent = await an_agent(house.client)
    runs = {name: await a_sent_run(house, agent) for name in (
        "created", "running", "requires_approval", "continued", "end_turn", "max_steps", "error",
        "llm_api_error", "cancelled",
    )}  # fmt: skip
    for name, run in runs.items():
        if name not in ("created", "cancelled"):
            await house.claim(run)
    await house.ask(runs["requires_approval"])
    await house.ask(runs["continued"])
    await house.succeed(runs["end_turn"])
    await house.do(runs["max_steps"], Succeed(output=NULL, reason="max_steps"))
    await house.fail(runs["error"])
    await house.fail(runs["llm_api_error"], "model_error")
    await control.cancel(house.core, "local", runs["cancelled"].id)
    house.clock.move(1)
    runs["again"] = (
        await control.go_on(house.core, "local", runs["continued"].id, 1, source="letta",
                            extra=runs["continued"].extra, label="letta.foreground")
    ).run  # fmt: skip
    return agent, runs


async def test_lists_by_what_runs_show(house: House):
    agent, runs = await every_kind(house)
    names = {run.id: name for name, run in runs.items()}

    async def found(query: str) -> list[str]:
        return [names[id] for id in await listed(house, query)]

    everything = list(reversed(runs))
    assert await found("") == everything
    assert await found(f"agent_id={agent}") == everything
    assert await found("statuses=created") == ["again", "created"]
    assert await found("statuses=running&statuses=created") == ["again", "running", "created"]
    assert await found("active=true") == ["again", "running", "created"]
    assert await found("statuses=failed&active=true") == ["llm_api_error", "error"]
    assert await found("stop_reason=requires_approval") == ["continued", "requires_approval"]
    assert await found("stop_reason=end_turn") == ["end_turn"]
    assert await found("stop_reason=max_steps") == ["max_steps"]
    assert await found("stop_reason=error") == ["error"]
    assert await found("stop_reason=llm_api_error") == ["llm_api_error"]
    assert await found("stop_reason=cancelled&statuses=completed") == []
    assert await found("stop_reason=no_tool_call") == []
    assert await found("statuses=completed") == ["max_steps", "end_turn", "continued", "requires_approval"]
    assert await found("background=false") == ["again"]
    assert await found("background=true&statuses=cancelled") == ["cancelled"]
    assert await found("agent_id=bogus") == await found("agent_ids=bogus") == []
    assert await found("conversation_id=bogus") == []
    assert await found(f"conversation_id=default&agent_id={agent}") == everything
    assert await found("ascending=true") == await found("order=asc") == list(runs)
    active = (await house.client.get("/v1/runs/active")).json
    assert [names[ids.read(run["id"]) or ""] for run in active] == ["again", "running", "created"]


@pytest.mark.parametrize("query", ["", "stop_reason=requires_approval", "statuses=completed&background=true"])
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_cursors_mean_what_the_documentation_says(house: House, order, query):
    await every_kind(house)
    whole = await listed(house, f"order={order}&{query}")
    for size in (1, 2, 3):
        forwards = f"order={order}&limit={size}&{query}"
        seen: list[str] = []
        while page := await listed(house, forwards + (f"&after=run_{seen[-1]}" if seen else "")):
            assert len(page) <= size
            seen += page
        assert seen == whole
        backwards: list[str] = []
        edge = whole[-1]
        while page := await listed(house, f"{forwards}&before=run_{edge}"):
            backwards, edge = page + backwards, page[0]
        assert backwards == whole[:-1]
    if len(whole) > 2:
        between = await listed(house, f"order={order}&after=run_{whole[0]}&before=run_{whole[-1]}&{query}")
        assert between == whole[1:-1]


@pytest.mark.parametrize("cursor", ["bogus", "run-11111111-1111-4111-8111-111111111111"])
async def test_a_cursor_that_is_no_run_is_passed_over(house: House, cursor):
    run = await house.submit()
    assert await listed(house, f"after={cursor}") == await listed(house, f"before={cursor}") == [run.id]


async def a_told_run(house: House) -> Run:
    """A finished run with two turns and a tool between them."""
    run = await a_sent_run(house, await an_agent(house.client), "look")
    await house.claim(run)
    at = house.clock.now()
    model, tool = StepKind.MODEL, StepKind.TOOL
    await house.say(run, StepStarted(key="model", name="model", kind=model))
    await house.say(
        run, "Let me ",
        UsageCounted(usage=Usage(input_tokens=10, output_tokens=2, cached_tokens=4), in_step="model"),
        StepFinished(key="model", name="model", started_at=at, output=Json(b'{"parts":[]}'), kind=model),
        StepStarted(key="t:1", name="t", kind=tool),
        ToolCalled(call_id="c", name="t", arguments=Json(b"{}"), in_step="t:1"),
        ToolReturned(call_id="c", name="t", result=Json(b'"r"'), in_step="t:1"),
        StepFinished(key="t:1", name="t", started_at=at, output=NULL, kind=tool),
        StepStarted(key="model#2", name="model", kind=model), "done",
    )  # fmt: skip
    house.clock.move(2)
    await house.say(
        run, StepFinished(key="model#2", name="model", started_at=at, output=NULL, kind=model)
    )  # fmt: skip
    return await house.succeed(run, "done")


async def test_messages_of_a_run_and_their_cursors(house: House):
    run = await a_told_run(house)
    path = f"/v1/runs/{run.id}/messages"
    whole = (await house.client.get(path)).json
    assert types(whole) == [
        "user_message", "assistant_message", "tool_call_message", "tool_return_message", "assistant_message"
    ]  # fmt: skip
    assert all(message["seq_id"] is None for message in whole)
    newest = (await house.client.get(f"{path}?order=desc")).json
    assert newest == whole[::-1]
    rest = (await house.client.get(f"{path}?after={whole[0]['id']}&limit=1")).json
    assert rest == whole[1:3]  # two pieces of one message
    earlier = (await house.client.get(f"{path}?before={whole[4]['id']}&limit=1")).json
    assert types(earlier) == ["tool_return_message"]
    older = (await house.client.get(f"{path}?order=desc&after={whole[3]['id']}")).json
    assert older == whole[:3][::-1]
    for cursor in ("bogus", "message-11111111-1111-4111-8111-111111111111"):
        missing = await house.client.get(f"{path}?after={cursor}")
        assert missing.status == 404
        assert missing.json["detail"] == f"No message found with id '{cursor}' for agent 'None'."


async def test_pieces_of_one_message_are_never_parted(house: House):
    run = await a_sent_run(house, await an_agent(house.client))
    await house.claim(run)
    call = ToolCalled(call_id="c", name="t", arguments=NULL)
    await house.say(run, "text", call, ToolReturned(call_id="c", name="t", result=NULL), "more")
    page = (await house.client.get(f"/v1/runs/{run.id}/messages?limit=2")).json
    assert types(page) == ["user_message", "assistant_message", "tool_call_message"]
    rest = (await house.client.get(f"/v1/runs/{run.id}/messages?limit=2&after={page[-1]['id']}")).json
    assert types(rest) == ["tool_return_message", "assistant_message"]


async def test_steps_of_a_run(house: House):
    run = await a_told_run(house)
    steps = (await house.client.get(f"/v1/runs/{run.id}/steps")).json
    assert [step["stop_reason"] for step in steps] == ["end_turn", None]
    first = steps[1]
    assert (first["prompt_tokens"], first["completion_tokens"], first["total_tokens"]) == (10, 2, 12)
    assert (first["status"], first["run_id"]) == ("success", ids.run_id(run.id))
    page = (await house.client.get(f"/v1/runs/{run.id}/steps?order=asc&after={first['id']}")).json
    assert page == steps[:1]
    unknown = await house.client.get(f"/v1/runs/{run.id}/steps?after=bogus")
    assert (unknown.status, unknown.json) == (404, {"detail": "No Step found with id bogus"})
    one = (await house.client.get(f"/v1/steps/{first['id']}")).json
    assert one == first
    metrics = (await house.client.get(f"/v1/steps/{steps[0]['id']}/metrics")).json
    assert (metrics["step_ns"], metrics["llm_request_ns"]) == (2_000_000_000, 2_000_000_000)
    trace = (await house.client.get(f"/v1/steps/{first['id']}/trace")).json
    assert trace["response_json"] == {"parts": []}
    told = (await house.client.get(f"/v1/steps/{first['id']}/messages")).json
    assert {message["step_id"] for message in told} == {first["id"]}


async def test_steps_of_all_runs(house: House):
    runs = [await a_told_run(house) for _ in range(3)]
    whole = (await house.client.get("/v1/steps/")).json
    assert len(whole) == 6
    assert whole[0]["run_id"] == ids.run_id(runs[-1].id)
    seen: list = []
    while page := (await house.client.get(
        "/v1/steps/?limit=2" + (f"&after={seen[-1]['id']}" if seen else "")
    )).json:  # fmt: skip
        seen += page
    assert seen == whole
    upwards: list = []
    while page := (await house.client.get(
        "/v1/steps/?limit=4&order=asc" + (f"&after={upwards[-1]['id']}" if upwards else "")
    )).json:  # fmt: skip
        upwards += page
    assert upwards == whole[::-1]
    agent = (await house.client.get(f"/v1/steps/?agent_id={whole[0]['agent_id']}")).json
    assert [step["run_id"] for step in agent] == [ids.run_id(runs[-1].id)] * 2
    assert (await house.client.get("/v1/steps/?model=another")).json == []


async def test_usage_metrics_and_trace(house: House):
    run = await a_told_run(house)
    assert (await house.client.get(f"/v1/runs/{run.id}/usage")).json == {
        "completion_tokens": 2, "prompt_tokens": 10, "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_read_tokens": 4},
        "completion_tokens_details": None,
    }  # fmt: skip
    metrics = (await house.client.get(f"/v1/runs/{run.id}/metrics")).json
    assert (metrics["num_steps"], metrics["run_ns"]) == (2, 2_000_000_000)
    spans = (await house.client.get(f"/v1/runs/{run.id}/trace")).json
    assert [span["span_name"] for span in spans] == ["agent_step", "model", "t", "model"]
    assert len((await house.client.get(f"/v1/runs/{run.id}/trace?limit=1")).json) == 1


async def test_a_run_that_ended_can_be_deleted(house: House):
    run = await a_sent_run(house, await an_agent(house.client))
    refused = await house.client.delete(f"/v1/runs/{run.id}")
    assert refused.status == 409
    assert refused.headers["x-should-retry"] == "false"
    await house.succeed(await house.claim(run))
    assert (await house.client.delete(f"/v1/runs/{run.id}")).json["status"] == "completed"
    assert (await house.client.get(f"/v1/runs/{run.id}")).status == 404


async def test_a_log_that_was_pruned_is_gone(house: House, monkeypatch):
    run = await a_told_run(house)

    async def pruned(*args):
        raise LogPruned(run.id)

    monkeypatch.setattr(house.store.events, "read", pruned)
    answer = await house.client.get(f"/v1/runs/{run.id}/messages")
    assert (answer.status, answer.json["detail"][:8]) == (410, "EXPIRED:")
    assert (await house.client.post(f"/v1/runs/{run.id}/stream", {})).status == 410
    assert (await shown(house, run))["status"] == "completed"
    assert (await house.client.get(f"/v1/runs/{run.id}/steps")).status == 200


@pytest.mark.parametrize("path", ["/v1/steps/?model=nobody", "/v1/runs/?stop_reason=error&limit=1"])
async def test_who_looks_for_what_is_in_no_run_lets_others_have_their_turn(house: House, path):
    for _ in range(20):
        await house.fail(await house.claim(await house.submit()), "model_error")
    turns: list[int] = []

    async def other() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    others = asyncio.ensure_future(other())
    answer = await house.client.get(path)
    others.cancel()
    assert (answer.status, answer.json) == (200, [])
    assert len(turns) > 20
