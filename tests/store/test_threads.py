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
