"""The verbs, on a real store, without a worker moving anything."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runwell import agent
from runwell.agents.catalogue import Catalog
from runwell.domain import errors
from runwell.domain.agent import ModelAgent
from runwell.domain.audit import Audit
from runwell.domain.commands import Claim, Pause, Succeed
from runwell.domain.events import RunCreated
from runwell.domain.ids import new_id
from runwell.domain.json_gate import decode, encode
from runwell.domain.lifecycle import decide
from runwell.domain.run import Question, Run, RunStatus
from runwell.domain.thread import IfBusy, Role
from runwell.engine import agents, control, read, threads
from runwell.engine.audit import audit
from runwell.engine.core import Core
from runwell.engine.submit import Submission, submit
from runwell.ports.store import Idempotency, RunFilter
from runwell.store.signals import LocalSignals
from tests.support.backends import a_store_at


class StandingClock:
    """Time moves when a test says so."""

    def __init__(self) -> None:
        self.time = 1_800_000_000_000_000

    def now(self) -> int:
        self.time += 1
        return self.time


@agent
async def first(question: str) -> str:
    return question


@agent(timeout=30)
async def typed(number: int) -> int:
    return number


@agent(retries=5)
async def stubborn(question: str) -> str:
    return question


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Core]:
    signals, clock = LocalSignals(), StandingClock()
    async with a_store_at(tmp_path / "runs.db", signals) as store:
        catalog = Catalog([first, typed, stubborn])
        await store.agents.publish(catalog.specs, clock.now())
        yield Core(store, signals, clock, catalog)


async def start(core: Core, owner: str = "me", **fields) -> Run:
    return (await submit(core, Submission(owner=owner, **{"input": "hi", **fields}))).run


async def move(core: Core, run: Run, *commands) -> Run:
    for command in commands:
        now = core.clock.now()
        run = await core.store.runs.commit(decide(run, command, now), now)
    return run


CLAIM = Claim(worker="w")
ASK = Pause(question=Question(key="ask", question=encode("?")))
DONE = Succeed(output=encode("done"))


async def test_the_first_agent_answers_where_none_is_named(core: Core) -> None:
    run = await start(core)
    assert (run.agent, run.status, run.last_seq) == ("first", RunStatus.QUEUED, 1)
    created = (await core.store.events.read(run.id, 0, 10))[0].event
    assert isinstance(created, RunCreated) and decode(created.input) == "hi"


async def test_an_agents_own_timeout_is_the_default(core: Core) -> None:
    assert (await start(core, agent="typed", input=1)).timeout == 30
    assert (await start(core, agent="typed", input=1, timeout=5)).timeout == 5


async def test_an_unknown_agent_is_refused_with_the_names_that_exist(core: Core) -> None:
    with pytest.raises(errors.AgentNotFound, match="nobody") as refused:
        await start(core, agent="nobody")
    assert "first" in refused.value.hint and "typed" in refused.value.hint


@pytest.mark.parametrize(
    "fields",
    [
        {"agent": "typed", "input": "not a number"},
        {"priority": 101},
        {"max_attempts": 0},
        {"timeout": 0.0},
        {"expires_in": -1.0},
        {"concurrency_key": ""},
        {"metadata": {"a": float("nan")}},
        {"input": "\x00"},
    ],
)
async def test_what_is_wrong_is_refused_and_nothing_is_written(core: Core, fields: dict) -> None:
    with pytest.raises(errors.Invalid):
        await start(core, **fields)
    assert await read.page(core, "me", RunFilter(), limit=10) == []


async def test_a_repeated_key_is_the_same_run(core: Core) -> None:
    idempotency = Idempotency("native", "k", b"body")
    wanted = Submission(owner="me", input="hi", idempotency=idempotency)
    one, again = await submit(core, wanted), await submit(core, wanted)
    assert (one.run.id, one.replayed) == (again.run.id, False) and again.replayed
    other = Submission(owner="me", input="hi", idempotency=Idempotency("native", "k", b"other"))
    with pytest.raises(errors.IdempotencyMismatch):
        await submit(core, other)
    stranger = await submit(core, Submission(owner="you", input="hi", idempotency=idempotency))
    assert stranger.run.id != one.run.id


async def test_another_owner_sees_nothing(core: Core) -> None:
    run = await start(core)
    for verb in (
        read.get(core, "you", run.id),
        read.events(core, "you", run.id, 0, 10),
        read.steps(core, "you", run.id),
        control.cancel(core, "you", run.id),
        control.answer(core, "you", run.id, 1),
        control.retry(core, "you", run.id),
        control.delete(core, "you", run.id),
    ):
        with pytest.raises(errors.RunNotFound):
            await verb
    assert await read.page(core, "you", RunFilter(), limit=10) == []


async def test_cancel_by_status(core: Core) -> None:
    queued = await start(core)
    assert (await control.cancel(core, "me", queued.id)).status is RunStatus.CANCELLED
    waiting = await move(core, await start(core), CLAIM, ASK)
    assert (await control.cancel(core, "me", waiting.id)).status is RunStatus.CANCELLED
    running = await move(core, await start(core), CLAIM)
    asked = await control.cancel(core, "me", running.id, by="a person")
    assert asked.status is RunStatus.RUNNING and asked.cancel_requested_at is not None
    assert (await control.cancel(core, "me", running.id)).version == asked.version
    succeeded = await move(core, await start(core), CLAIM, DONE)
    with pytest.raises(errors.IllegalTransition):
        await control.cancel(core, "me", succeeded.id)


async def test_only_a_waiting_run_takes_an_answer_and_only_one(core: Core) -> None:
    run = await start(core)
    with pytest.raises(errors.RunNotWaiting):
        await control.answer(core, "me", run.id, "x")
    await move(core, run, CLAIM, ASK)
    assert (await control.answer(core, "me", run.id, "x")).status is RunStatus.QUEUED
    with pytest.raises(errors.RunNotWaiting):
        await control.answer(core, "me", run.id, "y")


async def test_an_answer_sent_twice_does_not_answer_the_next_question(core: Core) -> None:
    run = await move(core, await start(core), CLAIM, ASK)
    run = await control.answer(core, "me", run.id, "yes", "ask")
    with pytest.raises(errors.RunNotWaiting):
        await control.answer(core, "me", run.id, "yes", "ask")
    await move(core, run, CLAIM, Pause(question=Question(key="ask#2", question=encode("?"))))
    with pytest.raises(errors.QuestionChanged, match="ask#2"):
        await control.answer(core, "me", run.id, "yes", "ask")
    assert (await control.answer(core, "me", run.id, "no", "ask#2")).status is RunStatus.QUEUED


async def test_an_agents_retries_are_not_capped_by_default(core: Core) -> None:
    assert [(await start(core, agent=name)).max_attempts for name in ("first", "stubborn")] == [3, 6]
    assert (await start(core, agent="stubborn", max_attempts=2)).max_attempts == 2


async def test_a_code_agent_is_known_without_asking_the_store(core: Core, monkeypatch) -> None:
    async def unasked(name: str, owner: str) -> None:
        raise AssertionError(f"the store was asked for {name}")

    monkeypatch.setattr(core.store.agents, "get", unasked)
    assert (await start(core, agent="typed", input=1)).timeout == 30


async def test_only_final_runs_are_retried_and_deleted(core: Core) -> None:
    run = await start(core, metadata={"a": 1}, priority=3)
    for verb in (control.retry(core, "me", run.id), control.delete(core, "me", run.id)):
        with pytest.raises(errors.RunNotFinal):
            await verb
    await move(core, run, CLAIM, DONE)
    again = (await control.retry(core, "me", run.id)).run
    assert (again.retry_of, again.agent, again.priority, decode(again.metadata)) == (
        run.id,
        "first",
        3,
        {"a": 1},
    )
    await control.delete(core, "me", run.id)
    with pytest.raises(errors.RunNotFound):
        await read.get(core, "me", run.id)


async def test_a_busy_thread_refuses_queues_or_runs_together(core: Core) -> None:
    thread = new_id(core.clock.now())
    first_run = await start(core, thread_id=thread)
    with pytest.raises(errors.ThreadBusy) as refused:
        await start(core, thread_id=thread, if_busy=IfBusy.REFUSE)
    assert refused.value.run_id == first_run.id
    queued = await start(core, thread_id=thread)
    together = await start(core, thread_id=thread, if_busy=IfBusy.TOGETHER)
    names = frozenset({"first", "typed"})
    found = await core.store.runs.claimable(core.clock.now(), agents=names, limit=9, exclude=frozenset())
    assert found == [first_run.id, together.id]
    await move(core, first_run, CLAIM, DONE)
    found = await core.store.runs.claimable(core.clock.now(), agents=names, limit=9, exclude=frozenset())
    assert queued.id not in found or together.id in found
    messages = await threads.messages(core, "me", thread, limit=10)
    assert [message.role for message in messages] == [Role.USER] * 3
    with pytest.raises(errors.ThreadNotFound):
        await start(core, owner="you", thread_id=thread)


async def test_an_owners_agents_are_their_own(core: Core) -> None:
    definition = ModelAgent(model="openai:x", instructions="Be kind.")
    spec, new = await agents.put_agent(core, "me", "helper", definition, "helps")
    assert new and spec.definition == definition
    again, new = await agents.put_agent(core, "me", "helper", ModelAgent(model="openai:y"))
    assert not new and again.id == spec.id
    assert [each.name for each in await agents.all_agents(core, "you")] == ["first", "stubborn", "typed"]
    run = await start(core, agent="helper")
    assert run.definition is not None and decode(run.definition)["model"] == "openai:y"
    with pytest.raises(errors.AgentNotFound):
        await start(core, owner="you", agent="helper")
    with pytest.raises(errors.Conflict):
        await agents.put_agent(core, "me", "first", definition)
    with pytest.raises(errors.InvalidInput):
        await agents.put_agent(core, "me", "a b", definition)
    with pytest.raises(errors.InvalidInput, match="HOME"):
        await agents.put_agent(core, "me", "thief", ModelAgent(model="m", api_key_env="HOME"))
    with pytest.raises(errors.Conflict):
        await agents.delete_agent(core, "me", "first")
    await agents.delete_agent(core, "me", "helper")
    with pytest.raises(errors.AgentNotFound):
        await agents.get_agent(core, "me", "helper")


async def test_the_audit_finds_what_is_wrong_and_only_that(core: Core) -> None:
    run = await move(core, await start(core), CLAIM, DONE)
    await start(core)
    assert [findings for _, findings in [each async for each in audit(core.store)]] == [[], []]
    log = await core.store.events.read(run.id, 0, 10)
    judge = Audit()
    for line in (log[0], log[2], log[2]):
        judge.see(line)
    faults = " ".join(judge.close(run))
    for word in ("seq 3 follows 1", "cannot happen", "after the final event", "attempt"):
        assert word in faults
