"""Threads and their messages."""

import asyncio

import pytest

from runwell.domain.commands import Cancel, Claim, Succeed
from runwell.domain.errors import ThreadBusy, ThreadNotFound
from runwell.domain.lifecycle import decide
from runwell.domain.thread import Role, Thread
from runwell.ports.store import NewMessage, Store
from tests.support.runs import (
    NOW,
    OWNER,
    WORKER,
    a_queued_run,
    a_running_run,
    a_succeeded_run,
    add,
    an_id,
    do,
    doc,
)


def a_thread(at: int = NOW, **fields) -> Thread:
    given = {"id": an_id(at), "owner": OWNER, "created_at": at, "updated_at": at, **fields}
    return Thread(**given)


def said(text: str, role: Role = Role.USER) -> NewMessage:
    return NewMessage(role, doc(text))


async def test_a_thread_is_made_once(store: Store) -> None:
    thread = a_thread(title="t", metadata=doc({"a": 1}))
    assert await store.threads.add(thread) == thread
    assert await store.threads.add(a_thread(NOW + 9, id=thread.id, title="other")) == thread
    assert await store.threads.get(thread.id, OWNER) == thread


async def test_another_owners_thread_is_as_unknown_as_none(store: Store) -> None:
    foreign = await store.threads.add(a_thread(owner="eve"))
    for id in (foreign.id, an_id()):
        with pytest.raises(ThreadNotFound):
            await store.threads.get(id, OWNER)
        with pytest.raises(ThreadNotFound):
            await store.threads.append(id, OWNER, said("x"), NOW)
        with pytest.raises(ThreadNotFound):
            await store.threads.update(a_thread(id=id), NOW)
        with pytest.raises(ThreadNotFound):
            await store.threads.delete(id, OWNER)
    with pytest.raises(ThreadNotFound):
        await store.threads.add(a_thread(id=foreign.id))
    assert await store.threads.get(foreign.id, "eve") == foreign


async def test_whose_a_thread_is_can_be_asked_without_being_its_owner(store: Store) -> None:
    foreign = await store.threads.add(a_thread(owner="eve"))
    assert await store.threads.owner(foreign.id) == "eve"
    assert await store.threads.owner(an_id()) is None


async def test_threads_are_listed_newest_first(store: Store) -> None:
    threads = [await store.threads.add(a_thread(NOW + n * 1_000_000)) for n in range(5)][::-1]
    await store.threads.add(a_thread(owner="eve"))
    assert await store.threads.page(OWNER, before=None, limit=3) == threads[:3]
    assert await store.threads.page(OWNER, before=threads[2].id, limit=3) == threads[3:]


async def test_title_and_metadata_can_be_changed(store: Store) -> None:
    thread = await store.threads.add(a_thread())
    await store.threads.append(thread.id, OWNER, said("x"), NOW + 1)
    changed = await store.threads.update(a_thread(id=thread.id, title="new", metadata=doc({"b": 2})), NOW + 5)
    assert (changed.title, changed.metadata, changed.updated_at) == ("new", doc({"b": 2}), NOW + 5)
    assert (changed.created_at, changed.messages) == (NOW, 1)
    assert await store.threads.get(thread.id, OWNER) == changed


async def test_messages_are_numbered_in_order_also_when_they_come_at_once(store: Store) -> None:
    thread = await store.threads.add(a_thread())
    appended = await asyncio.gather(
        *(store.threads.append(thread.id, OWNER, said(str(n)), NOW + n) for n in range(20))
    )
    assert [message.position for message in appended] == list(range(1, 21))
    read = await store.threads.messages(thread.id, limit=100)
    assert read == appended
    assert await store.threads.messages(thread.id, after=5, limit=3) == read[5:8]
    assert await store.threads.messages(thread.id, after=20, limit=3) == []
    kept = await store.threads.get(thread.id, OWNER)
    assert (kept.messages, kept.updated_at) == (20, NOW + 19)
    assert await store.threads.messages(an_id(), limit=3) == []


async def test_question_and_answer_of_a_run_carry_its_id(store: Store) -> None:
    thread = an_id()
    run = await a_queued_run(store, thread_id=thread, message=said("question"))
    run = await do(store, run, Claim(worker=WORKER))
    change = decide(run, Succeed(output=doc("answer")), NOW + 5)
    await store.runs.commit(change, NOW + 5, message=said("answer", Role.ASSISTANT))
    question, answer = await store.threads.messages(thread, limit=10)
    assert (question.role, question.run_id, question.position) == (Role.USER, run.id, 1)
    assert (answer.role, answer.run_id, answer.position, answer.at) == (Role.ASSISTANT, run.id, 2, NOW + 5)
    assert (await store.threads.get(thread, OWNER)).updated_at == NOW + 5


async def test_a_refused_change_leaves_no_message(store: Store) -> None:
    thread = an_id()
    run = await a_running_run(store, thread_id=thread)
    change = decide(run, Succeed(output=doc("answer")), NOW)
    await store.runs.commit(change, NOW, message=said("answer"))
    results = await asyncio.gather(
        *(store.runs.commit(change, NOW, message=said("again")) for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(result, Exception) for result in results)
    assert len(await store.threads.messages(thread, limit=10)) == 1


async def test_a_thread_with_a_live_run_is_not_deleted(store: Store) -> None:
    thread = an_id()
    run = await a_queued_run(store, thread_id=thread, message=said("x"))
    with pytest.raises(ThreadBusy):
        await store.threads.delete(thread, OWNER)
    await do(store, run, Cancel())
    await store.threads.delete(thread, OWNER)
    with pytest.raises(ThreadNotFound):
        await store.threads.get(thread, OWNER)


async def test_a_deleted_thread_takes_its_messages_and_leaves_its_runs(store: Store) -> None:
    thread, other = an_id(), an_id()
    run = await a_succeeded_run(store, thread_id=thread, message=said("x"))
    await a_succeeded_run(store, thread_id=other, message=said("y"))
    await store.threads.delete(thread, OWNER)
    left = await store.runs.get(run.id, OWNER)
    assert left.thread_id is None
    assert left.version == run.version + 1
    assert await store.threads.messages(thread, limit=10) == []
    assert len(await store.threads.messages(other, limit=10)) == 1
    await store.threads.add(a_thread(id=thread))
    assert await store.threads.messages(thread, limit=10) == []


async def test_messages_stay_when_their_run_is_deleted(store: Store) -> None:
    thread = an_id()
    run = await a_succeeded_run(store, thread_id=thread, message=said("x"))
    await store.runs.delete(run.id, OWNER)
    (message,) = await store.threads.messages(thread, limit=10)
    assert message.run_id == run.id


async def test_a_run_sees_its_input_last_however_many_came_after_it(store: Store) -> None:
    thread = an_id()
    for number in range(4):
        await store.threads.add(a_thread(id=thread))
        await store.threads.append(thread, OWNER, said(f"old {number}"), NOW)
    run = (await add(store, NOW + 1, thread_id=thread, in_order=True, message=said("mine"))).run
    for number in range(20):
        await store.threads.append(thread, OWNER, said(f"new {number}"), NOW + 2)
    reply = await store.threads.append(thread, OWNER, said("reply", Role.ASSISTANT), NOW + 3)
    seen = await store.threads.seen_by(run, 3)
    assert [message.content for message in seen] == [doc(f"old {n}") for n in (1, 2, 3)] + [
        reply.content,
        doc("mine"),
    ]
    together = (await add(store, NOW + 4, thread_id=thread, message=said("beside"))).run
    assert [message.content for message in await store.threads.seen_by(together, 1)] == [
        reply.content,
        doc("beside"),
    ]


async def test_a_retry_sees_what_had_come_when_the_original_started(store: Store) -> None:
    thread = an_id()
    await store.threads.add(a_thread(id=thread))
    first = (await add(store, NOW, thread_id=thread, in_order=True, message=said("one"))).run
    await store.threads.append(thread, OWNER, said("before", Role.ASSISTANT), NOW + 1)
    first = await do(store, first, Claim(worker=WORKER), NOW + 2)
    first = await do(store, first, Succeed(output=doc("done")), NOW + 3)
    await store.threads.append(thread, OWNER, said("after", Role.ASSISTANT), NOW + 4)
    retried = await a_succeeded_run(store, NOW + 5, thread_id=thread, in_order=True, retry_of=first.id)
    again = await a_queued_run(store, NOW + 6, thread_id=thread, in_order=True, retry_of=retried.id)
    for run in (retried, again):
        seen = await store.threads.seen_by(run, 10)
        assert [message.content for message in seen] == [doc("before"), doc("one")]
    await store.runs.delete(first.id, OWNER)
    assert (await store.threads.seen_by(again, 10))[-1].content == doc("one")
    with pytest.raises(ThreadNotFound):
        await store.threads.seen_by(await a_queued_run(store), 10)
