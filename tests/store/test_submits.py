"""A submit is one transaction: the run, its thread, its message and its idempotency key."""

import asyncio

import pytest

from runwell.domain.commands import Cancel, Claim, Pause, Succeed
from runwell.domain.errors import IdempotencyMismatch, ThreadBusy, ThreadNotFound
from runwell.domain.events import InheritedStep, RunCreated
from runwell.domain.run import RunStatus
from runwell.domain.step import StepKind, StepStatus
from runwell.domain.thread import IfBusy, Role
from runwell.ports.store import Idempotency, NewMessage, Store
from tests.support.runs import (
    NOW,
    OWNER,
    WHICH,
    WORKER,
    a_queued_run,
    a_succeeded_run,
    add,
    an_id,
    do,
    doc,
    log_of,
    startable,
)

KEY = Idempotency("native", "key-1", b"body")
HELLO = NewMessage(Role.USER, doc("hello"))


async def test_a_new_run_is_queued_and_its_log_begins_with_the_request(store: Store) -> None:
    added = await add(store, input=doc({"q": 1}), metadata=doc({"m": 2}))
    assert not added.replayed
    assert (added.run.status, added.run.version, added.run.last_seq) == (RunStatus.QUEUED, 1, 1)
    (created,) = await log_of(store, added.run)
    assert isinstance(created, RunCreated)
    assert (created.input, created.metadata) == (doc({"q": 1}), doc({"m": 2}))


async def test_a_repeated_submit_is_the_run_it_made_as_it_is_now(store: Store) -> None:
    first = await add(store, idempotency=KEY)
    claimed = await do(store, first.run, Claim(worker=WORKER))
    again = await add(store, NOW + 5, idempotency=KEY)
    assert (again.run, again.replayed) == (claimed, True)
    assert len(await store.runs.every(None, 10)) == 1


async def test_repeated_at_the_same_moment_it_is_still_one_run(store: Store) -> None:
    added = await asyncio.gather(*(add(store, idempotency=KEY) for _ in range(10)))
    assert len({one.run.id for one in added}) == 1
    assert sum(not one.replayed for one in added) == 1
    assert added[-1].run == added[0].run


async def test_a_known_key_with_another_body_is_refused_and_names_the_run(store: Store) -> None:
    first = await add(store, idempotency=KEY)
    with pytest.raises(IdempotencyMismatch) as refused:
        await add(store, idempotency=KEY._replace(fingerprint=b"other"))
    assert refused.value.run_id == first.run.id
    assert len(await store.runs.every(None, 10)) == 1


async def test_a_key_belongs_to_its_owner_and_scope(store: Store) -> None:
    first = await add(store, idempotency=KEY)
    other_owner = await add(store, idempotency=KEY, owner="eve")
    other_scope = await add(store, idempotency=KEY._replace(scope="letta"))
    other_key = await add(store, idempotency=KEY._replace(key="key-2"))
    assert not any(one.replayed for one in (other_owner, other_scope, other_key))
    assert len({one.run.id for one in (first, other_owner, other_scope, other_key)}) == 4


async def test_the_key_of_a_deleted_run_is_free_again(store: Store) -> None:
    first = await a_succeeded_run(store, idempotency=KEY)
    await store.runs.delete(first.id, OWNER)
    again = await add(store, idempotency=KEY)
    assert not again.replayed
    assert (await add(store, idempotency=KEY)).run == again.run


async def test_keys_older_than_asked_are_forgotten(store: Store) -> None:
    for number in range(5):
        await add(store, NOW + number, idempotency=KEY._replace(key=f"key-{number}"))
    assert await store.runs.forget_idempotency(NOW + 3, 2) == 2
    assert await store.runs.forget_idempotency(NOW + 3, 10) == 1
    assert await store.runs.forget_idempotency(NOW + 3, 10) == 0
    assert (await add(store, idempotency=KEY._replace(key="key-3"))).replayed
    assert not (await add(store, idempotency=KEY._replace(key="key-2"))).replayed


async def test_a_thread_is_made_with_its_first_run_and_keeps_the_message(store: Store) -> None:
    thread = an_id()
    run = await a_queued_run(store, thread_id=thread, message=HELLO)
    made = await store.threads.get(thread, OWNER)
    assert (made.messages, made.created_at, made.updated_at) == (1, NOW, NOW)
    (message,) = await store.threads.messages(thread, limit=10)
    assert (message.position, message.content, message.run_id) == (1, doc("hello"), run.id)


async def test_another_owners_thread_does_not_exist(store: Store) -> None:
    thread = an_id()
    await a_queued_run(store, thread_id=thread, owner="eve")
    with pytest.raises(ThreadNotFound):
        await add(store, thread_id=thread, message=HELLO)
    assert (await store.threads.get(thread, "eve")).messages == 0
    assert len(await store.runs.every(None, 10)) == 1


async def test_a_refused_submit_writes_nothing(store: Store) -> None:
    thread = an_id()
    busy = await a_queued_run(store, thread_id=thread, message=HELLO)
    with pytest.raises(ThreadBusy) as refused:
        await add(store, thread_id=thread, message=HELLO, idempotency=KEY, if_busy=IfBusy.REFUSE)
    assert refused.value.run_id == busy.id
    assert (await store.threads.get(thread, OWNER)).messages == 1
    assert not (await add(store, idempotency=KEY)).replayed


async def test_a_thread_is_busy_from_queued_to_final(store: Store) -> None:
    thread = an_id()
    run = await a_queued_run(store, thread_id=thread)

    async def refused() -> bool:
        try:
            await add(store, thread_id=thread, if_busy=IfBusy.REFUSE, in_order=True)
        except ThreadBusy:
            return True
        return False

    assert await refused()
    run = await do(store, run, Claim(worker=WORKER))
    assert await refused()
    run = await do(store, run, Pause(question=WHICH))
    assert await refused()
    await do(store, run, Cancel())
    assert not await refused()


async def test_queued_into_a_busy_thread_waits_its_turn_and_together_does_not(store: Store) -> None:
    thread = an_id()
    first = await a_queued_run(store, thread_id=thread, in_order=True)
    behind = await a_queued_run(store, thread_id=thread, in_order=True, if_busy=IfBusy.QUEUE)
    beside = await a_queued_run(store, thread_id=thread, if_busy=IfBusy.TOGETHER)
    assert await startable(store) == [first.id, beside.id]
    first = await do(store, first, Claim(worker=WORKER))
    beside = await do(store, beside, Claim(worker=WORKER))
    await do(store, first, Succeed(output=doc(1)))
    assert await startable(store) == [behind.id]


async def test_inherited_steps_are_finished_steps_with_their_outputs(store: Store) -> None:
    steps = (
        InheritedStep(key="search", name="search", kind=StepKind.TOOL, output=doc(["a"]), parent="plan"),
        InheritedStep(key="plan", name="plan", kind=StepKind.CODE, output=doc("p")),
    )
    run = await a_queued_run(store, NOW + 3, steps=steps, answers={"ask": doc("yes")}, retry_of=an_id())
    shown = await store.steps.of(run.id)
    assert [(step.key, step.output, step.kind, step.parent) for step in shown] == [
        ("search", doc(["a"]), StepKind.TOOL, "plan"),
        ("plan", doc("p"), StepKind.CODE, None),
    ]
    assert all(step.inherited and step.status is StepStatus.FINISHED for step in shown)
    assert all(step.started_at == step.finished_at == NOW + 3 for step in shown)
    assert (await store.runs.get(run.id)).steps.finished == 2


async def test_what_a_key_was_used_for_can_be_read(store: Store) -> None:
    assert await store.runs.earlier(OWNER, KEY) is None
    first = await add(store, idempotency=KEY)
    claimed = await do(store, first.run, Claim(worker=WORKER))
    assert await store.runs.earlier(OWNER, KEY) == claimed
    assert await store.runs.earlier("somebody else", KEY) is None
    assert await store.runs.earlier(OWNER, KEY._replace(scope="other")) is None
    with pytest.raises(IdempotencyMismatch) as refused:
        await store.runs.earlier(OWNER, KEY._replace(fingerprint=b"other"))
    assert refused.value.run_id == first.run.id


async def test_the_key_of_a_deleted_run_reads_as_free(store: Store) -> None:
    run = (await add(store, idempotency=KEY)).run
    await do(store, run, Cancel())
    assert await store.runs.earlier(OWNER, KEY) is not None
    await store.runs.delete(run.id, OWNER)
    for fingerprint in (KEY.fingerprint, b"other"):
        assert await store.runs.earlier(OWNER, KEY._replace(fingerprint=fingerprint)) is None
