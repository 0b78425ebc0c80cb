"""SQLite and PostgreSQL, given the same operations, give the same answers and write the same logs."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from runwell.domain.callback import ENDINGS, Callback, Delivery, DeliveryStatus, Post, StandingCallback
from runwell.domain.commands import (
    Answer,
    AskCancel,
    Cancel,
    Claim,
    Command,
    Continue,
    Expire,
    Fail,
    HandBack,
    Lapse,
    Pause,
    Record,
    Stop,
    Succeed,
    TimeOut,
    TryAgain,
)
from runwell.domain.errors import IllegalTransition, RunwellError
from runwell.domain.events import (
    InheritedStep,
    ProgressNoted,
    StepFailed,
    StepFinished,
    StepStarted,
    TextDelta,
    UsageCounted,
)
from runwell.domain.instant import SECOND
from runwell.domain.lifecycle import FINAL, Change, decide
from runwell.domain.run import Progress, Run, RunStatus, Usage
from runwell.domain.step import StepKind
from runwell.domain.thread import IfBusy, Role, Thread
from runwell.ports.store import Idempotency, NewMessage, RunFilter, Store
from runwell.store.postgres import Database as PostgresDatabase
from runwell.store.sqlite import Database
from tests.store.test_outbox import a_secret
from tests.support.postgres import empty
from tests.support.runs import BROKE, NOW, WHICH, WORKER, a_create, an_id, doc

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

URL = "https://app.test/hook"
OWNERS = ["ada", "bob"]
THREADS = [f"{number:032x}" for number in (0x1 << 80, 0x2 << 80, 0x3 << 80)]
AGENTS = ["echo", "other", "Zeta", "élan"]
KEYS = ["k", "K", "ß"]
STEPS = ["a", "b", "a" * 4_000]
DELTAS = (TextDelta(text="a"), TextDelta(text="ü\u2028"))
COMMANDS: list[Command] = [
    Claim(worker=WORKER),
    Claim(worker="worker-2"),
    Record(events=DELTAS[:1]),
    Record(events=DELTAS),
    Record(events=(StepStarted(key="a", name="a"), ProgressNoted(progress=Progress(5.0, "x")))),
    *(
        Record(
            events=(
                UsageCounted(usage=Usage(1, 2, cost=0.1), in_step=key),
                StepStarted(key=key, name=key, kind=StepKind.TOOL, parent="p"),
                UsageCounted(usage=Usage(3, cost=0.2, credits=1.5), in_step=key, model="m"),
            )
        )
        for key in STEPS
    ),
    *(Record(events=(StepFinished(key=key, name=key, started_at=NOW, output=doc([key])),)) for key in STEPS),
    Record(events=(StepFailed(key="b", name="b", started_at=NOW, error=BROKE),)),
    Pause(question=WHICH),
    Pause(question=WHICH, expires_at=NOW + 40 * SECOND),
    Answer(answer=doc(1)),
    Succeed(output=doc({"b": 1, "a": [2.50, None]})),
    Fail(reason="error", error=BROKE),
    TryAgain(error=BROKE, delay=20.0),
    Lapse(seen_at=NOW),
    HandBack(),
    AskCancel(by="ada"),
    Cancel(),
    Stop(),
    Expire(),
    TimeOut(),
    Continue(),
]
INHERITED = (
    InheritedStep(key="late", name="late", kind=StepKind.TOOL, output=doc(["z"]), parent="early"),
    InheritedStep(key="early", name="early", kind=StepKind.CODE, output=doc("e")),
)

TOLD = (Callback(url=URL, events=("run.created", *ENDINGS)),)
REASONS = [frozenset(), frozenset({None, "error"}), frozenset({"requested"})]


def optional(values: list[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.none(), st.sampled_from(values))


class Differential(RuleBasedStateMachine):
    def __init__(self, url: str, compared: Counter[str]) -> None:
        super().__init__()
        folder = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
        self._folder = tempfile.TemporaryDirectory(dir=folder)
        self._runner = asyncio.Runner()
        self._compared = compared
        self._now = NOW
        self._run_ids: list[str] = []
        self._seen: dict[str, list[Run]] = {}
        self._sqlite = Database.open(Path(self._folder.name) / "runs.db", durability="off")
        self._runner.run(self._open(url))

    async def _open(self, url: str) -> None:
        await empty(url)
        self._postgres = await PostgresDatabase.open(url)
        self._told: tuple[list[Any], list[Any]] = ([], [])
        one, other = ((lambda kind, id, told=told: told.append((kind, id))) for told in self._told)
        self._stores: tuple[Store, Store] = (self._sqlite.store(one), self._postgres.store(other))

    def teardown(self) -> None:
        self._runner.run(self._close())
        self._sqlite.close()
        self._runner.close()
        self._folder.cleanup()

    async def _close(self) -> None:
        for store in self._stores:
            await store.close()
        await self._postgres.close()

    def _same(self, what: str, ask: Callable[[Store], Awaitable[Any]]) -> Any:
        """The answer of both, which is one. A refusal is an answer."""

        async def answer(store: Store) -> Any:
            try:
                return await ask(store)
            except RunwellError as error:
                return type(error), error.message, error.hint

        async def both() -> tuple[Any, Any]:
            return await answer(self._stores[0]), await answer(self._stores[1])

        ours, theirs = self._runner.run(both())
        assert theirs == ours, f"{what}: PostgreSQL says {theirs}, SQLite {ours}"
        refused = isinstance(ours, tuple) and len(ours) == 3 and isinstance(ours[0], type)
        self._compared[f"{what}: {ours[0].__name__}" if refused else what] += 1
        return None if refused else ours

    # -- operations

    @rule(data=st.data())
    def live(self, data: st.DataObject) -> None:
        """Submits, and commands to the runs there are; sometimes decided on what is long past."""
        for _ in range(data.draw(st.integers(3, 15))):
            if not self._run_ids or data.draw(st.integers(0, 3)) == 0:
                self._submit(data.draw)
            else:
                self._work(data.draw)

    def _submit(self, draw: Any) -> None:
        fields = {
            "owner": draw(st.sampled_from(OWNERS)), "agent": draw(st.sampled_from(AGENTS)),
            "thread_id": draw(optional(THREADS)), "in_order": draw(st.booleans()),
            "concurrency_key": draw(optional(KEYS)), "priority": draw(st.sampled_from([0, 0, 5, -5])),
            "not_before": draw(optional([self._now + 10 * SECOND, self._now])),
            "expires_at": draw(optional([self._now + 15 * SECOND])),
            "definition": draw(optional([doc({"model": "m"})])), "label": draw(optional(["l:1"])),
            "steps": draw(st.sampled_from([(), (), INHERITED])),
            "callbacks": draw(st.sampled_from([(), TOLD])),
        }  # fmt: skip
        change = decide(None, a_create(self._now, max_attempts=2, timeout=50.0, **fields), self._now)
        message = draw(optional([NewMessage(Role.USER, doc("hello"))]))
        named = draw(optional([Idempotency("s", key, body) for key in "ij" for body in (b"x", b"x", b"y")]))
        busy, ending = draw(st.sampled_from(IfBusy)), self._an_ending(draw)

        def add(store: Store) -> Awaitable[Any]:
            return store.runs.add(
                change, self._now, if_busy=busy, message=message, idempotency=named, ending=ending
            )

        added = self._same("add", add)
        if added is not None and not added.replayed:
            self._run_ids.append(added.run.id)
            self._seen[added.run.id] = [added.run]
            if ending is not None:
                self._refresh(ending.run.id)

    def _an_ending(self, draw: Any) -> Change | None:
        waiting = [seen[-1] for seen in self._seen.values() if seen[-1].status is RunStatus.WAITING]
        if not waiting or not draw(st.booleans()):
            return None
        return decide(draw(st.sampled_from(waiting)), Continue(), self._now)

    @rule(seconds=st.sampled_from([1, 12, 30]))
    def pass_time(self, seconds: int) -> None:
        self._now += seconds * SECOND

    def _work(self, draw: Any) -> None:
        seen = self._seen[draw(st.sampled_from(self._run_ids))]
        run = draw(st.sampled_from(seen)) if draw(st.integers(0, 5)) == 0 else seen[-1]
        changes = [change for command in COMMANDS if (change := self._decide(run, command)) is not None]
        if not changes:
            return
        change, said = draw(st.sampled_from(changes)), draw(optional([NewMessage(Role.ASSISTANT, doc("a"))]))
        stored = self._same("commit", lambda store: store.runs.commit(change, self._now, message=said))
        if stored is not None:
            seen.append(stored)

    def _decide(self, run: Run, command: Command) -> Change | None:
        try:
            return decide(run, command, self._now)
        except IllegalTransition:
            return None

    def _refresh(self, run_id: str) -> None:
        run = self._same("get", lambda store: store.runs.get(run_id))
        if run is not None:
            self._seen[run_id].append(run)

    @precondition(lambda self: self._run_ids)
    @rule(which=st.integers(0, 100), owner=st.sampled_from(OWNERS))
    def delete_run(self, which: int, owner: str) -> None:
        run_id = self._run_ids[which % len(self._run_ids)]
        self._same("delete a run", lambda store: store.runs.delete(run_id, owner))

    @rule(thread=st.sampled_from(THREADS), owner=st.sampled_from(OWNERS))
    def delete_thread(self, thread: str, owner: str) -> None:
        self._same("delete a thread", lambda store: store.threads.delete(thread, owner))
        for run_id in self._run_ids:
            self._refresh(run_id)

    @rule(thread=st.sampled_from(THREADS), owner=st.sampled_from(OWNERS), make=st.booleans())
    def write_in_a_thread(self, thread: str, owner: str, make: bool) -> None:
        if make:
            wanted = Thread(id=thread, owner=owner, created_at=self._now, updated_at=self._now, title="t")
            self._same("add a thread", lambda store: store.threads.add(wanted))
        words = NewMessage(Role.USER, doc("said"))
        self._same("append", lambda store: store.threads.append(thread, owner, words, self._now))

    @rule(owner=st.sampled_from(OWNERS), agents=st.sampled_from([(), ("echo",)]), paused=st.booleans())
    def change_a_callback(self, owner: str, agents: tuple[str, ...], paused: bool) -> None:
        id = f"{OWNERS.index(owner):032x}"
        wanted = StandingCallback(
            id=id, owner=owner, url=f"{URL}/standing", created_at=NOW, agents=agents, paused=paused
        )

        async def put(store: Store) -> None:
            if id not in [each.id for each in await store.callbacks.all(owner)]:
                await store.callbacks.add(wanted, a_secret(id, owner=owner))
            await store.callbacks.update(id, owner, lambda _: wanted)

        self._same("change a callback", put)

    @rule(post=st.booleans(), status=st.sampled_from(DeliveryStatus), again=st.booleans())
    def deliver(self, post: bool, status: DeliveryStatus, again: bool) -> None:
        next_at = self._now + SECOND if status is DeliveryStatus.PENDING else None
        told = Post(number=0, at=self._now, duration=0.5, status_code=200) if post else None

        async def record(store: Store) -> Any:
            due = await store.deliveries.due(self._now, 3)
            if not due:
                return None
            done = await store.deliveries.record(due[-1].id, told, status, next_at)
            count = await store.deliveries.redeliver([done.id], done.owner, self._now) if again else 0
            return plain(done), [plain(each) for each in due], count

        self._same("deliver", record)

    @rule(before=st.sampled_from([0, 20]), limit=st.sampled_from([1, 9]))
    def forget(self, before: int, limit: int) -> None:
        at = self._now - before * SECOND
        self._same("forget keys", lambda store: store.runs.forget_idempotency(at, limit))
        self._same("forget deliveries", lambda store: store.deliveries.forget(at, limit))

    # -- what can be read

    @rule(
        owner=st.sampled_from(OWNERS), before=st.booleans(), after=st.booleans(),
        limit=st.sampled_from([2, 50]), offset=st.sampled_from([0, 1]), data=st.data(),
    )  # fmt: skip
    def list_runs(self, owner, before, after, limit, offset, data) -> None:
        where = RunFilter(
            statuses=data.draw(st.sampled_from([frozenset(), FINAL, frozenset({RunStatus.QUEUED})])),
            reasons=data.draw(st.sampled_from(REASONS)),
            agent=data.draw(optional(AGENTS)), thread_id=data.draw(optional(THREADS)),
            label=data.draw(optional(["l:1"])), since=data.draw(optional([NOW, NOW + 13 * SECOND])),
            until=data.draw(optional([NOW + 30 * SECOND])),
        )  # fmt: skip
        ids = st.sampled_from(sorted(self._run_ids) or [an_id()])
        cursors: dict[str, Any] = {
            "before": data.draw(ids) if before else None,
            "after": data.draw(ids) if after else None,
        }
        self._same("page", lambda store: store.runs.page(owner, where, limit=limit, offset=offset, **cursors))
        self._same("count", lambda store: store.runs.count(owner, where))

    @rule(
        served=st.frozensets(st.sampled_from(AGENTS)),
        full=st.frozensets(st.sampled_from(AGENTS), max_size=1),
        limit=st.sampled_from([1, 3, 100]),
        exclude=st.integers(0, 3),
    )
    def look_who_may_start(self, served, full, limit, exclude) -> None:
        tried = frozenset(self._run_ids[-exclude:] if exclude else ())

        def claimable(store: Store) -> Awaitable[list[str]]:
            return store.runs.claimable(self._now, agents=served, full=full, limit=limit, exclude=tried)

        self._same("claimable", claimable)

    @invariant()
    def both_show_the_same(self) -> None:
        self._same("whole", lambda store: whole(store, self._run_ids, self._now))
        assert self._told[0] == self._told[1], "what was told"


async def whole(store: Store, run_ids: list[str], now: int) -> Any:
    """Everything there is to see."""
    runs = await store.runs.every(None, 1_000)
    return (
        runs,
        [await store.events.read(id, 0, 1_000) for id in run_ids],
        [await store.events.read(id, 1, 2) for id in run_ids[-2:]],
        [await store.steps.of(id) for id in run_ids],
        [[plain(each) for each in await store.deliveries.of(id)] for id in run_ids],
        [await store.runs.position(run) for run in runs],
        [await store.threads.seen_by(run, 3) for run in runs if run.thread_id is not None],
        [await store.threads.messages(id, limit=1_000) for id in THREADS],
        [await store.threads.page(owner, before=None, limit=9) for owner in OWNERS],
        [await store.runs.queued(owner, 5) for owner in (None, *OWNERS)],
        await store.runs.held(frozenset({WORKER})),
        await store.runs.expired(now, 100),
        depths := await store.runs.depths(),
        [await store.stats.oldest_queued(depth.agent) for depth in depths],
        (await store.runs.next_due(now), await store.deliveries.next_due(now)),
        [plain(each) for each in await store.deliveries.due(now, 100)],
    )


def plain(delivery: Delivery) -> Delivery:
    """Without the id, which each store has thrown its own dice for."""
    return replace(delivery, id="")


def test_random_operations_have_the_same_answers_on_both(kept_postgres: str) -> None:
    compared: Counter[str] = Counter()
    run_state_machine_as_test(
        lambda: Differential(kept_postgres, compared),  # type: ignore[arg-type]
        settings=settings(
            max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    assert compared["whole"] > 100
    wanted = {"add", "commit", "claimable", "page", "deliver", "commit: StaleRun", "add: ThreadNotFound"}
    assert wanted <= set(compared), compared
