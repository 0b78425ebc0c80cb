"""The outbox: deliveries are written with the event they tell of, or not at all."""

from typing import Any

import pytest

from runwell.domain.callback import (
    ENDINGS,
    TELLABLE,
    Callback,
    Delivery,
    DeliveryStatus,
    Post,
    SigningSecret,
    StandingCallback,
)
from runwell.domain.commands import Cancel, Claim, Fail, Lapse, Succeed, TryAgain
from runwell.domain.errors import (
    AttemptSuperseded,
    CallbackNotFound,
    DeliveryNotFound,
    IdempotencyMismatch,
    StaleRun,
)
from runwell.domain.events import EVENT_TYPES
from runwell.domain.instant import SECOND, after
from runwell.domain.run import Run
from runwell.ports.signals import SignalKind
from runwell.ports.store import Idempotency, Store
from runwell.store.signals import LocalSignals
from runwell.store.sqlite import Database
from tests.support.runs import (
    AGENT,
    BROKE,
    NOW,
    OWNER,
    WORKER,
    a_queued_run,
    a_resumed_run,
    a_running_run,
    a_succeeded_run,
    add,
    an_id,
    do,
    doc,
)

URL = "https://app.test/hook"
PENDING, DELIVERED, GIVEN_UP = DeliveryStatus.PENDING, DeliveryStatus.DELIVERED, DeliveryStatus.GIVEN_UP
ALL = tuple(sorted(TELLABLE))
TOLD = (Callback(url=URL),)


def a_secret(callback_id: str | None = None, at: int = NOW, **fields: Any) -> SigningSecret:
    secret = bytes.fromhex(an_id(at)) * 2
    given = {"id": an_id(at), "owner": OWNER, "secret": secret, "created_at": at, **fields}
    return SigningSecret(callback_id=callback_id, **given)


async def a_callback(store: Store, at: int = NOW, **fields: Any) -> StandingCallback:
    given = {"id": an_id(at), "owner": OWNER, "url": URL, "created_at": at, **fields}
    callback = StandingCallback(**given)
    await store.callbacks.add(callback, a_secret(callback.id, at, owner=callback.owner))
    return callback


async def a_delivery(store: Store, at: int = NOW, **fields: Any) -> Delivery:
    run = await a_succeeded_run(store, at, callbacks=TOLD, **fields)
    (delivery,) = await store.deliveries.of(run.id)
    return delivery


async def events_of(store: Store, run: Run) -> list[str]:
    return [each.event for each in await store.deliveries.of(run.id)]


def a_post(at: int = NOW, **fields: Any) -> Post:
    given = {"number": 0, "at": at, "duration": 0.25, "status_code": 500, **fields}
    return Post(**given)


def test_what_can_be_told_are_events() -> None:
    assert TELLABLE.issubset(event.type for event in EVENT_TYPES)
    assert TELLABLE.issuperset(ENDINGS)


async def test_a_delivery_is_due_at_once_and_says_what_it_is_about(store: Store) -> None:
    run = await a_running_run(store, callbacks=(Callback(url=URL, format="klingon"),))
    assert await store.deliveries.of(run.id) == []
    run = await do(store, run, Succeed(output=doc(1)), NOW + 5)
    (delivery,) = await store.deliveries.of(run.id)
    assert delivery == Delivery(
        id=delivery.id, owner=OWNER, run_id=run.id, seq=run.last_seq, event="run.succeeded", url=URL,
        format="klingon", status=PENDING, created_at=NOW + 5, next_at=NOW + 5,
    )  # fmt: skip
    (line,) = await store.events.read(run.id, delivery.seq - 1, 1)
    assert line.type == delivery.event
    assert await store.deliveries.get(delivery.id) == delivery
    assert await store.deliveries.get(delivery.id, OWNER) == delivery
    with pytest.raises(DeliveryNotFound):
        await store.deliveries.get(delivery.id, "eve")


async def test_every_event_that_can_be_told_is_told_when_it_is_chosen(store: Store) -> None:
    told = (Callback(url=URL, events=ALL),)
    run = await a_resumed_run(store, callbacks=told, max_attempts=3)
    run = await do(store, run, Claim(worker=WORKER))
    run = await do(store, run, TryAgain(error=BROKE, delay=0.0))
    run = await do(store, run, Claim(worker=WORKER))
    run = await do(store, run, Lapse(seen_at=NOW))
    run = await do(store, run, Claim(worker=WORKER))
    run = await do(store, run, Fail(reason="error", error=BROKE))
    other = await do(store, await a_queued_run(store, callbacks=told), Cancel())
    third = await a_succeeded_run(store, callbacks=told)
    assert await events_of(store, run) == [
        "run.created", "run.waiting", "run.resumed", "attempt.failed", "attempt.lost", "run.failed",
    ]  # fmt: skip
    assert await events_of(store, other) == ["run.created", "run.cancelled"]
    assert await events_of(store, third) == ["run.created", "run.succeeded"]


async def test_a_commit_that_is_refused_tells_nothing(store: Store) -> None:
    queued = await a_queued_run(store, callbacks=(Callback(url=URL, events=ALL),))
    running = await do(store, queued, Claim(worker=WORKER))
    before = await store.deliveries.of(queued.id)
    with pytest.raises(StaleRun):
        await do(store, queued, Cancel())
    await do(store, running, Lapse(seen_at=NOW))
    with pytest.raises(AttemptSuperseded):
        await do(store, running, Succeed(output=doc(1)))
    events = [each.event for each in (await store.deliveries.of(queued.id))[len(before) :]]
    assert events == ["attempt.lost"]


async def test_a_submit_that_is_refused_or_repeated_tells_nothing_more(store: Store) -> None:
    told = (Callback(url=URL, events=("run.created",)),)
    key = Idempotency("native", "key", b"body")
    first = await add(store, callbacks=told, idempotency=key)
    await add(store, callbacks=told, idempotency=key)
    with pytest.raises(IdempotencyMismatch):
        await add(store, callbacks=told, idempotency=key._replace(fingerprint=b"other"))
    assert len(await store.deliveries.page(OWNER, limit=10)) == 1
    assert await events_of(store, first.run) == ["run.created"]


async def test_an_event_whose_delivery_cannot_be_written_has_not_happened(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await a_running_run(store, callbacks=TOLD)
    telling = f"{type(store).__module__.rpartition('.')[0]}.telling"
    with monkeypatch.context() as patch:
        patch.setattr(f"{telling}._INSERT", "INSERT INTO no_such_table VALUES (1)")
        with pytest.raises(Exception, match="no_such_table"):
            await do(store, run, Succeed(output=doc(1)))
    assert await store.runs.get(run.id) == run
    assert [line.seq for line in await store.events.read(run.id, 0, 10)] == [1, 2]
    await do(store, run, Succeed(output=doc(1)))
    assert await events_of(store, run) == ["run.succeeded"]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, True),
        ({"events": ("run.failed",)}, False),
        ({"agents": (AGENT, "other")}, True),
        ({"agents": ("other",)}, False),
        ({"owner": "eve"}, False),
        ({"paused": True}, False),
    ],
)
async def test_a_standing_callback_is_told_of_what_it_chose(
    store: Store, fields: dict[str, Any], wanted: bool
) -> None:
    callback = await a_callback(store, **fields)
    run = await a_succeeded_run(store)
    found = await store.deliveries.of(run.id)
    assert [each.callback_id for each in found] == ([callback.id] if wanted else [])


async def test_a_standing_callback_that_changes_is_told_from_then_on(store: Store) -> None:
    callback = await a_callback(store, paused=True)
    missed = await a_succeeded_run(store)
    resumed = StandingCallback(id=callback.id, owner=OWNER, url=f"{URL}/2", created_at=NOW)
    await store.callbacks.update(callback.id, OWNER, lambda _: resumed)
    told = await a_succeeded_run(store)
    await store.callbacks.delete(callback.id, OWNER)
    late = await a_succeeded_run(store)
    assert await store.deliveries.of(missed.id) == []
    assert [each.url for each in await store.deliveries.of(told.id)] == [f"{URL}/2"]
    assert await store.deliveries.of(late.id) == []


async def test_everybody_who_wants_it_is_told_once(store: Store) -> None:
    first, second = await a_callback(store), await a_callback(store, NOW + SECOND)
    run = await a_succeeded_run(store, callbacks=(*TOLD, Callback(url=f"{URL}/own")))
    found = await store.deliveries.of(run.id)
    assert [(each.url, each.callback_id) for each in found] == [
        (URL, None), (f"{URL}/own", None), (URL, first.id), (URL, second.id),
    ]  # fmt: skip
    assert len({each.id for each in found}) == 4


async def test_callbacks_belong_to_their_owner(store: Store) -> None:
    first, second = await a_callback(store), await a_callback(store, NOW + SECOND)
    hers = await a_callback(store, owner="eve")
    assert await store.callbacks.all(OWNER) == [second, first]
    assert await store.callbacks.get(first.id, OWNER) == first
    for attempt in (
        store.callbacks.get(hers.id, OWNER),
        store.callbacks.update(hers.id, OWNER, lambda seen: seen),
        store.callbacks.delete(hers.id, OWNER),
    ):
        with pytest.raises(CallbackNotFound):
            await attempt
    assert await store.callbacks.get(hers.id, "eve") == hers


async def test_what_is_due_longest_comes_first_and_not_before_its_time(store: Store) -> None:
    late, early, future = [await a_delivery(store, NOW + at) for at in (20, 10, 99)]
    assert [each.id for each in await store.deliveries.due(NOW + 50, 10)] == [early.id, late.id]
    assert [each.id for each in await store.deliveries.due(NOW + 50, 1)] == [early.id]
    left = await store.deliveries.due(NOW + 50, 1, exclude=frozenset({early.id}))
    assert [each.id for each in left] == [late.id]
    assert await store.deliveries.due(NOW + 9, 10) == []
    assert await store.deliveries.next_due(NOW + 50) == future.next_at
    assert await store.deliveries.next_due(NOW + 99) is None
    await store.deliveries.record(early.id, a_post(), DELIVERED, None)
    assert [each.id for each in await store.deliveries.due(NOW + 50, 10)] == [late.id]


@pytest.mark.parametrize(
    ("busy", "url", "passed"),
    [
        ("https://app.test", "https://app.test/hook", True),
        ("https://app.test", "https://app.test", True),
        ("https://app.test", "https://app.test?x=/", True),
        ("https://app.test", "HTTPS://App.Test/other", True),
        ("https://app.test", "https://app.test.evil/hook", False),
        ("https://app.test", "https://app.test:8443/hook", False),
        ("https://app.test", "http://app.test/hook", False),
        ("https://a%.test", "https://app.test/hook", False),
    ],
)
async def test_what_busy_receivers_should_get_is_passed_over(
    store: Store, busy: str, url: str, passed: bool
) -> None:
    for _ in range(3):
        await a_succeeded_run(store, callbacks=(Callback(url=url),))
    other = await a_succeeded_run(store, NOW + 1, callbacks=(Callback(url="https://other.test/"),))
    found = await store.deliveries.due(NOW + 1, 10, busy=frozenset({busy, "https://nobody.test"}))
    assert len(found) == (1 if passed else 4)
    assert found[-1].run_id == other.id


async def test_a_body_is_rendered_once(store: Store) -> None:
    delivery = await a_delivery(store)
    assert delivery.body is None
    assert await store.deliveries.render(delivery.id, b"first") == b"first"
    assert await store.deliveries.render(delivery.id, b"second") == b"first"
    assert (await store.deliveries.get(delivery.id)).body == b"first"
    with pytest.raises(DeliveryNotFound):
        await store.deliveries.render(an_id(), b"x")


async def test_posts_are_counted_and_kept(store: Store) -> None:
    delivery = await a_delivery(store)
    again = await store.deliveries.record(delivery.id, a_post(NOW + 1), PENDING, NOW + 9)
    assert (again.status, again.next_at, again.posts, again.tries) == (PENDING, NOW + 9, 1, 1)
    lost = a_post(NOW + 9, status_code=None, error="no connection")
    done = await store.deliveries.record(delivery.id, lost, GIVEN_UP, None)
    assert (done.status, done.next_at, done.posts, done.tries) == (GIVEN_UP, None, 2, 2)
    posts = await store.deliveries.posts(delivery.id)
    assert [(post.number, post.at, post.status_code, post.error) for post in posts] == [
        (1, NOW + 1, 500, None), (2, NOW + 9, None, "no connection"),
    ]  # fmt: skip
    assert done.last == posts[-1]
    with pytest.raises(DeliveryNotFound):
        await store.deliveries.record(an_id(), a_post(), DELIVERED, None)


async def test_one_is_given_up_without_a_post(store: Store) -> None:
    delivery = await a_delivery(store)
    given_up = await store.deliveries.record(delivery.id, None, GIVEN_UP, None)
    assert (given_up.status, given_up.posts, given_up.last) == (GIVEN_UP, 0, None)
    assert await store.deliveries.due(NOW + SECOND, 10) == []


async def test_a_redelivery_begins_anew_and_keeps_what_was_posted(store: Store) -> None:
    ended, waits = await a_delivery(store), await a_delivery(store)
    await store.deliveries.render(ended.id, b"body")
    await store.deliveries.record(ended.id, a_post(), GIVEN_UP, None)
    await store.deliveries.record(waits.id, a_post(), PENDING, NOW + 99)
    assert await store.deliveries.redeliver([ended.id, waits.id, an_id()], OWNER, NOW + 5) == 2
    assert await store.deliveries.redeliver([ended.id], "eve", NOW + 6) == 0
    again, sooner = [await store.deliveries.get(each.id) for each in (ended, waits)]
    assert (again.status, again.next_at, again.tries, again.posts, again.body) == (
        PENDING, NOW + 5, 0, 1, b"body",
    )  # fmt: skip
    assert (sooner.next_at, sooner.tries) == (NOW + 5, 1)
    assert len(await store.deliveries.posts(ended.id)) == 1


async def test_pages_are_newest_first_and_filtered(store: Store) -> None:
    made = [await a_delivery(store, NOW + at * SECOND) for at in range(4)]
    hers = await a_delivery(store, owner="eve")
    await store.deliveries.record(made[1].id, a_post(), DELIVERED, None)
    await store.deliveries.record(made[2].id, a_post(), GIVEN_UP, None)
    callback = await a_callback(store)
    await a_succeeded_run(store, NOW + 9 * SECOND)

    async def page(**fields: Any) -> list[str]:
        return [each.id for each in await store.deliveries.page(OWNER, **{"limit": 10, **fields})]

    everything = await page()
    assert everything[1:] == [each.id for each in reversed(made)]
    assert hers.id not in everything
    assert await page(limit=2) == everything[:2]
    assert await page(limit=2, before=everything[1]) == everything[2:4]
    assert await page(statuses=frozenset({DELIVERED, GIVEN_UP})) == [made[2].id, made[1].id]
    assert await page(callback_id=callback.id) == everything[:1]
    assert await page(since=NOW + SECOND, until=NOW + 3 * SECOND) == [made[2].id, made[1].id]


async def test_what_ended_long_ago_is_forgotten_and_what_waits_is_not(store: Store) -> None:
    old, waits = await a_delivery(store), await a_delivery(store)
    fresh = await a_delivery(store, NOW + SECOND)
    for each in (old, fresh):
        await store.deliveries.record(each.id, a_post(), DELIVERED, None)
    assert await store.deliveries.forget(NOW, 10) == 0
    assert await store.deliveries.forget(NOW + SECOND, 0) == 0
    assert await store.deliveries.forget(NOW + SECOND, 10) == 1
    assert [each.id for each in await store.deliveries.page(OWNER, limit=10)] == [fresh.id, waits.id]
    assert await store.deliveries.posts(old.id) == []
    assert len(await store.deliveries.posts(fresh.id)) == 1


async def test_deliveries_outlive_their_run(store: Store) -> None:
    delivery = await a_delivery(store)
    await store.runs.delete(delivery.run_id, OWNER)
    assert await store.deliveries.get(delivery.id) == delivery


async def test_a_rotated_secret_is_valid_beside_the_new_one_for_a_while(store: Store) -> None:
    callback = await a_callback(store)
    (first,) = await store.callbacks.secrets(OWNER, callback.id, NOW)
    second, third = a_secret(callback.id, NOW + SECOND), a_secret(callback.id, NOW + 2 * SECOND)
    until = after(NOW, 60)
    await store.callbacks.rotate(second, until)

    async def valid(at: int) -> list[bytes]:
        return [each.secret for each in await store.callbacks.secrets(OWNER, callback.id, at)]

    assert await valid(until - 1) == [second.secret, first.secret]
    assert await valid(until) == [second.secret]
    await store.callbacks.rotate(third, until + 5)
    assert await valid(NOW) == [third.secret, second.secret], "two are valid at most"
    assert await valid(until + 5) == [third.secret]
    assert await store.callbacks.secrets("eve", callback.id, NOW) == []


async def test_an_owners_own_secret_is_made_once(store: Store) -> None:
    mine, other = a_secret(), a_secret()
    assert await store.callbacks.first_secret(mine) == mine
    assert await store.callbacks.first_secret(other) == mine
    assert await store.callbacks.secrets(OWNER, None, NOW) == [mine]
    await store.callbacks.rotate(a_secret(at=NOW + SECOND), NOW + 5)
    assert await store.callbacks.first_secret(other) != mine
    callback = await a_callback(store)
    await store.callbacks.delete(callback.id, OWNER)
    with pytest.raises(CallbackNotFound):
        await store.callbacks.rotate(a_secret(callback.id), NOW + 5)
    assert await store.callbacks.secrets(OWNER, callback.id, NOW) == []
    assert len(await store.callbacks.secrets(OWNER, None, NOW)) == 2


async def test_whoever_posts_is_told_when_something_is_durable(tmp_path: Any) -> None:
    database = Database.open(tmp_path / "runs.db", durability="off")
    signals, heard = LocalSignals(), []
    signals.listen(lambda kind, run_id: heard.append((kind, run_id)))
    store: Store = database.store(signals.publish)
    quiet, told = await a_succeeded_run(store), await a_succeeded_run(store, callbacks=TOLD)
    due = [run_id for kind, run_id in heard if kind is SignalKind.DELIVERY_DUE]
    assert due == [told.id]
    assert quiet.id in {run_id for _, run_id in heard}
    await store.close()
    database.close()
