"""Any sequence of commands, legal or not, against a model that fits on one page."""

import asyncio
import tempfile
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

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
from runwell.domain.errors import AttemptSuperseded, IllegalTransition, NotItsTurn, StaleRun
from runwell.domain.events import FINAL_TYPES, ProgressNoted, StepStarted, TextDelta
from runwell.domain.lifecycle import FINAL, decide
from runwell.domain.run import Progress, Run, RunStatus
from runwell.ports.store import Store
from tests.support.backends import databases
from tests.support.postgres import a_postgres_store
from tests.support.runs import AGENTS, BROKE, NOW, WHICH, WORKER, a_create, a_store, doc

COMMANDS: list[Command] = [
    Claim(worker=WORKER),
    Record(events=(TextDelta(text="a"),)),
    Record(events=(TextDelta(text="b"), TextDelta(text="c"))),
    Record(events=(StepStarted(key="s", name="s"), ProgressNoted(progress=Progress(5.0)))),
    Pause(question=WHICH),
    Answer(answer=doc(1)),
    Succeed(output=doc(2)),
    Fail(reason="error", error=BROKE),
    TryAgain(error=BROKE, delay=0),
    Lapse(seen_at=NOW),
    HandBack(),
    AskCancel(),
    Cancel(),
    Stop(),
    Expire(),
    TimeOut(),
    Continue(),
]
SOMETIMES = st.sampled_from([True, False, False, False])


@dataclass
class Known:
    """What the model remembers of one run: the latest row, and rows a slow caller may still hold."""

    latest: Run
    events: int = 1
    seen: list[Run] = field(default_factory=list)


class LifecycleThroughTheStore(RuleBasedStateMachine):
    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        folder = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
        self._folder = tempfile.TemporaryDirectory(dir=folder)
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._store = self._wait(self._stack.enter_async_context(self._open(Path(self._folder.name))))
        self._known: dict[str, Known] = {}
        self._now = NOW

    def _open(self, folder: Path) -> AbstractAsyncContextManager[Store]:
        return a_store(folder / "runs.db", durability="off")

    def _wait(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)

    def teardown(self) -> None:
        self._wait(self._stack.aclose())
        self._runner.close()
        self._folder.cleanup()

    @rule(target=runs, tries=st.integers(1, 3), key=st.sampled_from([None, None, "k"]))
    def submit(self, tries: int, key: str | None) -> str:
        create = a_create(self._now, max_attempts=tries, concurrency_key=key, timeout=50.0)
        added = self._wait(self._store.runs.add(decide(None, create, self._now), self._now))
        self._known[added.run.id] = Known(added.run, seen=[added.run])
        return create.id

    @rule(seconds=st.sampled_from([1, 30]))
    def pass_time(self, seconds: int) -> None:
        self._now += seconds * 1_000_000

    @rule(run_id=runs, command=st.sampled_from(COMMANDS), late=SOMETIMES, data=st.data())
    def command(self, run_id: str, command: Command, late: bool, data: st.DataObject) -> None:
        known = self._known[run_id]
        seen = data.draw(st.sampled_from(known.seen)) if late else known.latest
        try:
            change = decide(seen, command, self._now)
        except IllegalTransition:
            return
        try:
            stored = self._wait(self._store.runs.commit(change, self._now))
        except NotItsTurn:
            rows = [other.latest for other in self._known.values()]
            held = {row.concurrency_key for row in rows if row.status is RunStatus.RUNNING}
            assert change.command == "claim"
            assert seen.concurrency_key in held - {None}
            return
        except (StaleRun, AttemptSuperseded):
            if seen is known.latest:  # nobody came in between
                raise
            return
        worker_says = change.command == "record"
        if change.events:
            current = known.latest.status is RunStatus.RUNNING and known.latest.attempt == seen.attempt
            assert current if worker_says else seen.version == known.latest.version
            assert stored.status is change.run.status
            assert stored.version == known.latest.version + change.visible
        known.events += len(change.events)
        assert stored.last_seq == known.events
        known.latest = stored
        known.seen.append(stored)

    @invariant()
    def rows_and_logs_are_as_the_model_says(self) -> None:
        for run_id, known in self._known.items():
            assert self._wait(self._store.runs.get(run_id)) == known.latest
            log = self._wait(self._store.events.read(run_id, 0, 10_000))
            assert [line.seq for line in log] == list(range(1, known.events + 1))
            finals = [line.seq for line in log if line.type in FINAL_TYPES]
            assert finals == ([known.events] if known.latest.status in FINAL else [])
            starts = [line.event.attempt for line in log if line.type == "attempt.started"]
            assert starts == list(range(1, known.latest.attempt + 1))

    @invariant()
    def what_is_offered_can_be_claimed(self) -> None:
        offered = self._wait(
            self._store.runs.claimable(self._now, agents=AGENTS, limit=50, exclude=frozenset())
        )
        rows = [known.latest for known in self._known.values()]
        held = {run.concurrency_key for run in rows if run.status is RunStatus.RUNNING}
        ready = [
            run
            for run in sorted(rows, key=lambda run: (run.queued_at, rows.index(run)))
            if run.status is RunStatus.QUEUED and (run.not_before or 0) <= self._now
        ]
        expected: list[str] = []
        for run in ready:
            if run.concurrency_key is None or run.concurrency_key not in held:
                held.add(run.concurrency_key)
                expected.append(run.id)
        assert offered == expected


class LifecycleThroughPostgres(LifecycleThroughTheStore):
    """The same model, beside a database of the server's that is emptied for each sequence."""

    def _open(self, folder: Path) -> AbstractAsyncContextManager[Store]:
        return a_postgres_store(databases().of(folder))

    def teardown(self) -> None:
        super().teardown()
        databases().give_back(Path(self._folder.name))


LifecycleThroughTheStore.TestCase.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
LifecycleThroughPostgres.TestCase.settings = settings(
    max_examples=8, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLifecycleThroughTheStore = LifecycleThroughTheStore.TestCase
TestLifecycleThroughPostgres = pytest.mark.postgres(LifecycleThroughPostgres.TestCase)
