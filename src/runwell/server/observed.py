"""A store whose changes of runs are counted. Neither the store nor the core knows."""

from collections import Counter

from runwell.domain.instant import Instant
from runwell.domain.lifecycle import Change
from runwell.domain.run import Run
from runwell.domain.thread import IfBusy
from runwell.ports.store import Added, Idempotency, NewMessage, Runs, Store

Transitions = Counter[tuple[str, str]]
"""How often each command led to each status. Belongs to one thread."""


class ObservedRuns:
    """`Runs` that count what was written. Reads are the inner store's own methods, at no cost."""

    def __init__(self, runs: Runs, transitions: Transitions) -> None:
        self._runs = runs
        self._transitions = transitions
        self.get = runs.get
        self.page = runs.page
        self.count = runs.count
        self.owners = runs.owners
        self.every = runs.every
        self.delete = runs.delete
        self.claimable = runs.claimable
        self.next_due = runs.next_due
        self.expired = runs.expired
        self.held = runs.held
        self.position = runs.position
        self.queued = runs.queued
        self.earlier = runs.earlier
        self.depths = runs.depths
        self.forget_idempotency = runs.forget_idempotency
        self.prune_logs = runs.prune_logs
        self.forget = runs.forget

    async def add(
        self,
        change: Change,
        now: Instant,
        *,
        if_busy: IfBusy = IfBusy.QUEUE,
        message: NewMessage | None = None,
        idempotency: Idempotency | None = None,
        ending: Change | None = None,
    ) -> Added:
        added = await self._runs.add(
            change, now, if_busy=if_busy, message=message, idempotency=idempotency, ending=ending
        )
        if not added.replayed:
            self._transitions[change.command, change.run.status] += 1
            if ending is not None:
                self._transitions[ending.command, ending.run.status] += 1
        return added

    async def commit(self, change: Change, now: Instant, *, message: NewMessage | None = None) -> Run:
        run = await self._runs.commit(change, now, message=message)
        if change.command != "record":
            self._transitions[change.command, change.run.status] += 1
        return run


def observed(store: Store, transitions: Transitions) -> Store:
    """The same store; `transitions` grows with every change of a run that it has written."""
    return _ObservedStore(store, transitions)


class _ObservedStore:
    def __init__(self, store: Store, transitions: Transitions) -> None:
        self.runs: Runs = ObservedRuns(store.runs, transitions)
        self.stats = store.stats
        self.events = store.events
        self.steps = store.steps
        self.threads = store.threads
        self.keys = store.keys
        self.agents = store.agents
        self.callbacks = store.callbacks
        self.deliveries = store.deliveries
        self.triggers = store.triggers
        self.schedules = store.schedules
        self.documents = store.documents
        self.users = store.users
        self.sessions = store.sessions
        self.workers = store.workers
        self.leases = store.leases
        self.check = store.check
        self.close = store.close
