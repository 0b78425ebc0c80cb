"""From the outbox to a receiver: real posts over loopback, with a clock that is moved by hand."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from runwell.callbacks.guard import AddressGuard
from runwell.callbacks.retention import forget_deliveries
from runwell.callbacks.schedule import DELAYS, MOST_POSTS
from runwell.callbacks.sender import Sender
from runwell.domain.callback import TELLABLE, Callback, Delivery, DeliveryStatus
from runwell.domain.errors import StoreUnavailable
from runwell.domain.instant import SECOND, seconds_between
from runwell.domain.principal import LOCAL_OWNER
from runwell.domain.run import Run
from runwell.engine import callbacks, control
from tests.support.asgi import soon
from tests.support.house import ALLOWED, BEGINNING, House, a_house, lookup
from tests.support.receiver import Receiver, Says

PENDING, DELIVERED, GIVEN_UP = DeliveryStatus.PENDING, DeliveryStatus.DELIVERED, DeliveryStatus.GIVEN_UP


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    # Whatever is posted is posted because somebody was woken.
    monkeypatch.setattr("runwell.callbacks.sender.LONGEST_IDLE", 3600.0)
    async with a_house(tmp_path) as house:
        # Receivers look at the real time.
        house.clock.move(time.time() - BEGINNING / SECOND)
        yield house


@asynccontextmanager
async def a_sender(house: House, **given: Any) -> AsyncIterator[Sender]:
    given = {"chance": lambda: 0.5, "timeout": 5.0, "patience": 0.0, **given}
    guard = AddressGuard(ALLOWED, resolve=lookup)
    sender = Sender(house.core, guard, house.app.callback_bodies, **given)
    sender.start()
    try:
        yield sender
    finally:
        await sender.stop()


async def finished(house: House, url: str, **fields: Any) -> Run:
    return await house.a_finished_run(callbacks=(Callback(url=url, **fields),))


async def delivery_of(house: House, run: Run) -> Delivery:
    (delivery,) = await house.store.deliveries.of(run.id)
    return delivery


async def until(house: House, delivery: Delivery, true: Callable[[Delivery], bool]) -> Delivery:
    """The delivery at the first moment that `true` holds."""
    async with asyncio.timeout(20):
        while not true(found := await house.store.deliveries.get(delivery.id)):  # noqa: ASYNC110
            await asyncio.sleep(0)
    return found


async def posted(house: House, run: Run, count: int) -> Delivery:
    """The run's delivery once so many posts of it are recorded."""
    found = await until(house, await delivery_of(house, run), lambda delivery: delivery.posts >= count)
    assert len(await house.store.deliveries.posts(found.id)) == count
    return found


async def ended(house: House, run: Run) -> Delivery:
    """The run's delivery once nothing more will be done about it."""
    return await until(house, await delivery_of(house, run), _is_over)


def _is_over(delivery: Delivery) -> bool:
    return delivery.status is not PENDING


async def own_secret(house: House) -> str:
    return callbacks.spell_secret(await callbacks.own_secret(house.core, LOCAL_OWNER))


async def test_the_end_of_a_run_is_told_signed_and_recorded(house: House) -> None:
    async with Receiver() as receiver, a_sender(house):
        run = await finished(house, receiver.url + "?token=x")
        (got,) = await receiver.posts(1)
        delivery = await posted(house, run, 1)
    assert (delivery.status, delivery.event, delivery.next_at) == (DELIVERED, "run.succeeded", None)
    assert got.path == "/hook?token=x"
    assert got.id == f"msg_{delivery.id}"
    assert got.headers["content-type"] == "application/json"
    assert got.body == delivery.body
    told = Webhook(await own_secret(house)).verify(got.body, got.headers)
    assert list(told) == ["type", "timestamp", "data"]
    assert told["type"] == "run.succeeded"
    assert told["data"]["run"]["id"] == f"run_{run.id}"
    assert told["data"]["run"]["output"] == "done"
    assert told["data"]["run"] == (await house.client.get(f"/runs/{run.id}")).json
    events = (await house.client.get(f"/runs/{run.id}/events")).json["events"]
    assert told["data"]["event"] == events[-1]
    assert told["timestamp"] == events[-1]["at"]
    (post,) = await house.store.deliveries.posts(delivery.id)
    assert (post.number, post.status_code, post.error) == (1, 200, None)
    assert post == delivery.last


async def test_every_event_that_can_be_told_has_a_body(house: House) -> None:
    events = tuple(sorted(TELLABLE))
    async with Receiver() as receiver, a_sender(house, per_receiver=1):
        run = await house.submit(callbacks=(Callback(url=receiver.url, events=events),))
        await house.ask(await house.claim(run))
        await control.answer(house.core, LOCAL_OWNER, run.id, "yes")
        await house.fail(await house.claim(run))
        got = await receiver.posts(4)
    assert {each.json["type"] for each in got} == {"run.created", "run.waiting", "run.resumed", "run.failed"}
    assert all(each.json["data"]["event"]["type"] == each.json["type"] for each in got)


@pytest.mark.parametrize(
    ("answer", "status_code", "fault"),
    [
        (500, 500, None), (404, 404, None), (Says(302, {"Location": "/other"}), 302, None),
        ("reset", None, "lost before an answer"), ("close", None, "closed the connection"),
        ("hang", None, "did not answer within 0.05 s"),
    ],
)  # fmt: skip
async def test_what_fails_is_posted_again_with_the_same_id_and_body(
    house: House, answer: Any, status_code: int | None, fault: str | None
) -> None:
    timeout = 0.05 if answer == "hang" else 10.0
    async with Receiver([answer, 200]) as receiver, a_sender(house, timeout=timeout) as sender:
        run = await finished(house, receiver.url)
        first = await posted(house, run, 1)
        assert first.last is not None
        assert first.status is PENDING
        assert first.last.status_code == status_code
        assert (fault or "") in (first.last.error or "")
        assert seconds_between(house.clock.now(), first.next_at or 0) == DELAYS[0]
        sender.wake()
        house.clock.move(DELAYS[0])
        sender.wake()
        second = await posted(house, run, 2)
        one, two = await receiver.posts(2)
    assert second.status is DELIVERED
    assert one.id == two.id
    assert one.body == two.body
    assert int(two.headers["webhook-timestamp"]) - int(one.headers["webhook-timestamp"]) == DELAYS[0]
    assert one.headers["webhook-signature"] != two.headers["webhook-signature"]
    assert {got.path for got in receiver.got} == {"/hook"}, "a redirect was followed"


async def test_nothing_is_posted_before_its_time(house: House) -> None:
    async with Receiver([500]) as receiver, a_sender(house) as sender:
        run = await finished(house, receiver.url)
        await posted(house, run, 1)
        house.clock.move(DELAYS[0] - 0.1)
        sender.wake()
        other = await finished(house, receiver.url)
        await posted(house, other, 1)
    assert len(receiver.got) == 2


async def test_a_receiver_that_is_gone_for_good_is_left_alone(house: House) -> None:
    async with Receiver([410]) as receiver, a_sender(house):
        delivery = await ended(house, await finished(house, receiver.url))
    assert (delivery.status, delivery.posts, delivery.next_at) == (GIVEN_UP, 1, None)


async def test_a_receiver_says_when_to_come_back(house: House) -> None:
    async with Receiver([Says(429, {"Retry-After": "120"})]) as receiver, a_sender(house):
        delivery = await posted(house, await finished(house, receiver.url), 1)
    assert seconds_between(house.clock.now(), delivery.next_at or 0) == 120.0


async def test_nobody_tries_for_ever_and_a_redelivery_begins_anew(house: House) -> None:
    async with Receiver([500]) as receiver, a_sender(house) as sender:
        run = await finished(house, receiver.url)
        for number in range(1, MOST_POSTS + 1):
            delivery = await posted(house, run, number)
            house.clock.move(DELAYS[-1] * 2)
            sender.wake()
        assert (delivery.status, delivery.tries) == (GIVEN_UP, MOST_POSTS)
        receiver.answers = [500, 200]
        await callbacks.redeliver(house.core, LOCAL_OWNER, delivery.id)
        again = await posted(house, run, MOST_POSTS + 1)
        assert (again.status, again.tries) == (PENDING, 1)
        assert seconds_between(house.clock.now(), again.next_at or 0) == DELAYS[0]
        house.clock.move(DELAYS[0])
        sender.wake()
        assert (await posted(house, run, MOST_POSTS + 2)).status is DELIVERED
    assert len({got.id for got in receiver.got}) == 1
    assert len({got.body for got in receiver.got}) == 1
    assert sum(DELAYS) > 20 * 3600


async def test_both_secrets_sign_during_a_rotation(house: House) -> None:
    async with Receiver() as receiver, a_sender(house):
        callback, first = await callbacks.create(house.core, LOCAL_OWNER, url=receiver.url)
        await house.a_finished_run()
        await receiver.posts(1)
        second = await callbacks.rotate(house.core, LOCAL_OWNER, callback.id, overlap=60)
        await house.a_finished_run()
        await receiver.posts(2)
        house.clock.move(61)
        await house.a_finished_run()
        before, during, after = await receiver.posts(3)
    old, new = (Webhook(callbacks.spell_secret(secret)) for secret in (first, second))
    for hook, good in ((old, (before, during)), (new, (during, after))):
        for got in good:
            assert hook.verify(got.body, got.headers)["type"] == "run.succeeded"
    for hook, bad in ((old, after), (new, before)):
        with pytest.raises(WebhookVerificationError):
            hook.verify(bad.body, bad.headers)
    assert during.headers["webhook-signature"].count("v1,") == 2


async def test_what_nothing_is_left_of_is_given_up_without_a_post(house: House) -> None:
    async with Receiver() as receiver:
        gone = await finished(house, receiver.url)
        delivery = await delivery_of(house, gone)
        await control.delete(house.core, LOCAL_OWNER, gone.id)
        callback, _ = await callbacks.create(house.core, LOCAL_OWNER, url=receiver.url)
        unwanted = await house.a_finished_run()
        await house.store.callbacks.delete(callback.id, LOCAL_OWNER)
        async with a_sender(house):
            assert (await ended(house, unwanted)).posts == 0
            left = await until(house, delivery, _is_over)
    assert (left.status, left.posts, left.last) == (GIVEN_UP, 0, None)
    assert receiver.got == []


async def test_a_body_outlives_its_run(house: House) -> None:
    async with Receiver([500, 200]) as receiver, a_sender(house) as sender:
        run = await finished(house, receiver.url)
        delivery = await posted(house, run, 1)
        await control.delete(house.core, LOCAL_OWNER, run.id)
        house.clock.move(DELAYS[0])
        sender.wake()
        one, two = await receiver.posts(2)
        await soon(lambda: not sender.under_way)
    assert one.body == two.body
    assert (await house.store.deliveries.get(delivery.id)).status is DELIVERED


@pytest.mark.parametrize(
    ("url", "status", "sentence"),
    [
        ("http://10.0.0.1/hook", GIVEN_UP, "is an address that is not posted to"),
        ("http://inner.test/hook", GIVEN_UP, "resolves to an address that is not posted to"),
        ("http://localhost/hook", GIVEN_UP, "points to this machine"),
        ("ftp://public.test/", GIVEN_UP, "does not begin with http"),
        ("http://unknown.test/hook", PENDING, "could not be resolved"),
    ],
)
async def test_an_address_that_may_not_be_posted_to(
    house: House, url: str, status: DeliveryStatus, sentence: str
) -> None:
    async with a_sender(house):
        delivery = await posted(house, await finished(house, url), 1)
    assert delivery.last is not None
    assert delivery.status is status
    assert sentence in (delivery.last.error or "")
    assert delivery.last.status_code is None


async def test_a_body_that_cannot_be_written_is_a_fault_that_is_seen(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Receiver() as receiver, a_sender(house) as sender:
        unknown = await posted(house, await finished(house, receiver.url, format="klingon"), 1)

        async def broken(*args: Any) -> bytes:
            raise ZeroDivisionError("secret detail")

        with monkeypatch.context() as patch:
            patch.setitem(sender._delivering._bodies, "native", broken)
            run = await finished(house, receiver.url)
            failed = await posted(house, run, 1)
        house.clock.move(DELAYS[0])
        sender.wake()
        healed = await posted(house, run, 2)
    assert unknown.last is not None
    assert "'klingon'" in (unknown.last.error or "")
    assert failed.last is not None
    assert (failed.status, healed.status) == (PENDING, DELIVERED)
    assert "secret" not in (failed.last.error or "")
    assert "secret detail" in caplog.text


async def test_a_receiver_that_hangs_holds_up_nobody_else(house: House) -> None:
    async with Receiver(["hang"]) as slow, Receiver() as quick:
        # Found in one look, or one by one: neither takes all places.
        for _ in range(5):
            await finished(house, slow.url)
        async with a_sender(house, at_once=3, per_receiver=2):
            await slow.posts(2)
            for _ in range(5):
                await finished(house, slow.url)
                assert (await ended(house, await finished(house, quick.url))).status is DELIVERED
            assert (len(slow.got), len(quick.got)) == (2, 5)
            slow.let_go()
            await slow.posts(10)
    assert len({got.id for got in slow.got}) == 10


async def test_no_more_are_posted_at_once_than_may_be(house: House) -> None:
    one, two = Receiver(["hang"]), Receiver(["hang"])
    async with one, two, a_sender(house, at_once=3, per_receiver=2) as sender:
        for _ in range(4):
            await finished(house, one.url)
            await finished(house, two.url)
        await soon(lambda: len(one.got) + len(two.got) == 3)
        assert sender.under_way == 3
        one.let_go()
        two.let_go()
        await one.posts(4)
        await two.posts(4)


async def test_stopping_lets_posts_end(house: House) -> None:
    async with Receiver(["hang"]) as receiver:
        async with a_sender(house) as sender:
            run = await finished(house, receiver.url)
            await receiver.posts(1)
            stopping = asyncio.create_task(sender.stop())
            for _ in range(100):
                await asyncio.sleep(0)
            assert not stopping.done()
            receiver.let_go()
            await stopping
        assert (await delivery_of(house, run)).status is DELIVERED


async def test_what_was_cut_off_is_posted_again_under_its_id(house: House) -> None:
    async with Receiver(["hang", 200]) as receiver:
        async with a_sender(house, grace=0.0):
            run = await finished(house, receiver.url)
            await receiver.posts(1)
        cut = await delivery_of(house, run)
        assert (cut.status, cut.posts) == (PENDING, 0)
        async with a_sender(house):
            await ended(house, run)
    one, two = receiver.got
    assert (one.id, one.body) == (two.id, two.body)


async def test_a_store_that_is_away_is_waited_for(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    deliveries = house.store.deliveries
    refusals = {"due": 3, "render": 2, "record": 3}

    def refusing(name: str) -> Any:
        real = getattr(deliveries, name)

        async def call(*args: Any, **given: Any) -> Any:
            refusals[name] -= 1
            if refusals[name] >= 0:
                raise StoreUnavailable("disk full")
            return await real(*args, **given)

        return call

    for name in refusals:
        monkeypatch.setattr(deliveries, name, refusing(name))
    async with Receiver() as receiver, a_sender(house):
        delivery = await ended(house, await finished(house, receiver.url))
    assert max(refusals.values()) < 0
    assert (delivery.status, delivery.posts) == (DELIVERED, 1)
    assert len(receiver.got) == 1, "what was posted once was posted again for want of a record"
    assert "disk full" in caplog.text
    assert "Traceback" not in caplog.text, "it is no fault of the sender"


async def test_what_is_due_long_before_the_sender_starts_is_posted(house: House) -> None:
    async with Receiver() as receiver:
        runs = [await finished(house, receiver.url) for _ in range(100)]
        async with a_sender(house):
            for run in runs:
                assert (await ended(house, run)).status is DELIVERED
    assert len({got.id for got in receiver.got}) == len(receiver.got) == 100


async def test_a_lost_signal_costs_only_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runwell.callbacks.sender.LONGEST_IDLE", 0.01)
    monkeypatch.setattr(house.signals, "publish", lambda kind, run_id: None)
    monkeypatch.setattr(Sender, "_heard", lambda self, kind, run_id: None)
    async with Receiver() as receiver, a_sender(house):
        run = await finished(house, receiver.url)
        assert (await ended(house, run)).status is DELIVERED


async def test_ended_deliveries_are_forgotten_in_time(house: House) -> None:
    async with Receiver([200, 500]) as receiver, a_sender(house, per_receiver=1):
        done, waits = await finished(house, receiver.url), await finished(house, receiver.url)
        old = await ended(house, done)
        await posted(house, waits, 1)
    house.clock.move(3600)
    fresh = await house.a_finished_run()
    assert await forget_deliveries(house.store, house.clock, 7200.0) == 0
    assert await forget_deliveries(house.store, house.clock, 1800.0) == 1
    assert await house.store.deliveries.of(done.id) == []
    assert await house.store.deliveries.posts(old.id) == []
    assert (await delivery_of(house, waits)).status is PENDING
    assert await house.store.deliveries.of(fresh.id) == []


async def test_what_becomes_due_between_two_looks_is_not_waited_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Receiver([500, 200]) as receiver, a_sender(house) as sender:
        run = await finished(house, receiver.url)
        await posted(house, run, 1)
        await soon(lambda: not sender.under_way and not sender._woken.is_set())
        due = house.store.deliveries.due

        async def late(*given: Any) -> list[Delivery]:
            """The time comes while the answer that it has not come is on its way."""
            found = await due(*given)
            monkeypatch.setattr(house.store.deliveries, "due", due)
            house.clock.move(DELAYS[0])
            return found

        monkeypatch.setattr(house.store.deliveries, "due", late)
        sender.wake()
        assert (await posted(house, run, 2)).status is DELIVERED
