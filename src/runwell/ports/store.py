"""The store: everything that outlives a process, in domain words.

One object, a few small protocols. Every method is one transaction: it happens whole or not at all,
and it is durable before it returns. Time is an argument everywhere. Ids are 32 hex digits. Every
method may raise `StoreUnavailable`, after which nothing of the call has happened.
A `Store` belongs to one event loop.
"""

from collections.abc import Collection
from typing import NamedTuple, Protocol

import msgspec

from runwell.domain.agent import AgentSpec
from runwell.domain.events import LoggedEvent
from runwell.domain.instant import Instant
from runwell.domain.json_gate import Json
from runwell.domain.lifecycle import Change
from runwell.domain.principal import Key
from runwell.domain.run import Run, RunStatus
from runwell.domain.step import Step
from runwell.domain.thread import IfBusy, Message, Role, Thread
from runwell.ports.accounts import Sessions, Users
from runwell.ports.outbox import Callbacks, Deliveries, Triggers
from runwell.ports.schedules import Schedules
from runwell.ports.stats import Stats
from runwell.ports.workers import Leases, Workers


class Idempotency(NamedTuple):
    """The caller's key. `scope` is a dialect's opaque word; `fingerprint` is a digest of the body."""

    scope: str
    key: str
    fingerprint: bytes


class NewMessage(NamedTuple):
    role: Role
    content: Json


class Added(NamedTuple):
    """`replayed`: the idempotency key was known, `run` is the earlier one as it is now."""

    run: Run
    replayed: bool


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs. Every given field must hold; `since` and `until` bound `created_at` [since, until).

    `reasons` are those of ended runs; None among them is a run without one. `label` is a dialect's. `text`
    are words that the error holds, in any case, the last of them perhaps only begun: only failed runs have
    one.
    """

    statuses: frozenset[RunStatus] = frozenset()
    reasons: frozenset[str | None] = frozenset()
    label: str | None = None
    agent: str | None = None
    thread_id: str | None = None
    source: str | None = None
    text: str | None = None
    since: Instant | None = None
    until: Instant | None = None


class QueueDepth(NamedTuple):
    """`agent` has `queued` runs, the oldest since `oldest_at`, and `running` ones."""

    agent: str
    queued: int
    running: int
    oldest_at: Instant | None


class Pruned(NamedTuple):
    """`runs` were done with, and `rows` of theirs (events or steps) removed."""

    runs: int
    rows: int


class Runs(Protocol):
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
        """Write a new run, its first event, its steps, its message, its deliveries and its idempotency key.

        `ending` is the end of the run that this one continues, committed with it or not at all; it
        raises what `commit` raises.

        With `change.run.thread_id` the thread is made if absent, for the run's owner, and `message`
        is appended to it. A known idempotency key of this owner and scope returns the earlier run
        and writes nothing. Raises `IdempotencyMismatch` for a known key with another fingerprint,
        `ThreadBusy` when a live run is in the thread and `if_busy` is refuse, `ThreadNotFound` when
        the thread is another owner's.
        """
        ...

    async def get(self, run_id: str, owner: str | None = None) -> Run:
        """The run as committed last. `owner` None is the core itself. Raises `RunNotFound`, also
        for another owner's run."""
        ...

    async def page(
        self,
        owner: str | None,
        where: RunFilter,
        *,
        before: str | None,
        after: str | None,
        limit: int,
        offset: int = 0,
        brief: bool = False,
    ) -> list[Run]:
        """Newest first, by id. `before` (id, exclusive) continues to older runs. `after` (id,
        exclusive) is the next `limit` newer ones, still newest first. Stable under inserts, but for
        `offset`, which passes over so many first: it is for APIs that have page numbers. `owner` None is
        all owners. With `text` there is no `after`, and runs of one moment may come in another order.
        `brief` reads of long outputs the beginning only: what `domain.preview` shows of them."""
        ...

    async def count(self, owner: str, where: RunFilter) -> int:
        """How many there are; walks an index over all of them."""
        ...

    async def owners(self, run_ids: Collection[str]) -> dict[str, str]:
        """Whose each run is; those that are not there are left out."""
        ...

    async def commit(self, change: Change, now: Instant, *, message: NewMessage | None = None) -> Run:
        """Write the run, its events, its steps and its deliveries, and append `message` to its thread.

        Returns the run as stored, with the version and `last_seq` counted on under the row and any
        `cancel_requested_at` that came meanwhile. Events get the numbers after the row's
        `last_seq`, without gaps. Raises `StaleRun` when `change.seen_version` is given and is not
        the row's; `AttemptSuperseded` when `change.attempt` is given and the row is not running in
        that attempt; `NotItsTurn` for a claim while an earlier live run is in the thread of a run
        `in_order`, or another of its owner is running under its `concurrency_key`; `RunNotFound`.
        """
        ...

    async def delete(self, run_id: str, owner: str) -> None:
        """Remove a final run, its log and its steps. Messages it left in a thread stay, and deliveries
        that were rendered before. Raises `RunNotFound`, `RunNotFinal`."""
        ...

    async def claimable(
        self,
        now: Instant,
        *,
        agents: frozenset[str],
        limit: int,
        exclude: frozenset[str],
        full: frozenset[str] = frozenset(),
    ) -> list[str]:
        """Ids of queued runs that may start now, best first: higher priority, then queued earlier.

        Only runs of the named `agents` and those that carry their own `definition`; none of an agent
        named in `full`, which has no place left here, and not `exclude`.

        May start: `not_before` has come and `expires_at` has not; with `in_order`, no earlier live
        run in its thread; with a `concurrency_key`, no running run of the same owner and key. Of
        several that exclude each other only the first is named.
        """
        ...

    async def next_due(self, now: Instant) -> Instant | None:
        """The earliest `not_before` or `expires_at` after `now` that something may have to be done
        at, or None."""
        ...

    async def expired(self, now: Instant, limit: int) -> list[Run]:
        """Queued or waiting runs whose `expires_at` ≤ now. This and the two below pass over rows
        that cannot be read, and log them."""
        ...

    async def held(self, workers: frozenset[str] | None = None) -> list[Run]:
        """All `running` runs, or those of the named workers."""
        ...

    async def every(self, after: str | None, limit: int) -> list[Run]:
        """All owners' runs by id, oldest first, from `after` (exclusive). For operators' tools."""
        ...

    async def position(self, run: Run) -> int | None:
        """How many queued runs go before this one, from 0, counted to 1,000; None if not queued."""
        ...

    async def queued(self, owner: str | None, at_most: int) -> int:
        """How many runs are queued, delayed ones too, counted to `at_most`; all owners' for None."""
        ...

    async def earlier(self, owner: str, idempotency: Idempotency) -> Run | None:
        """The run that `add` would return for this key, as it is now; None for a key that is free.
        One that is being added this moment may not be seen yet. Raises `IdempotencyMismatch`."""
        ...

    async def depths(self) -> list[QueueDepth]:
        """Per agent with queued or running runs."""
        ...

    async def forget_idempotency(self, before: Instant, limit: int) -> int:
        """Drop keys made before this instant; how many were dropped."""
        ...

    async def prune_logs(self, before: Instant, limit: int) -> Pruned:
        """Remove logs of runs that ended before this instant, the oldest first: at most `limit` events.

        A log that is longer goes in several calls. From the first on it reads as pruned, and the next
        call goes on with it, whatever its `before`: a process that dies in between leaves a run that
        says so, never a log with a hole. (0, 0) means that nothing is left to do.
        """
        ...

    async def forget(self, before: Instant, limit: int) -> Pruned:
        """Remove runs that ended before this instant and whose log is pruned, the oldest first: at most
        `limit` of them, with at most `limit` steps. A run with more goes in several calls, and has no
        steps from the first on. What `delete` leaves stays. (0, 0) means that nothing is left to do."""
        ...


class Events(Protocol):
    async def read(self, run_id: str, after: int, limit: int) -> list[LoggedEvent]:
        """Events with seq > `after`, in order, at most `limit`. An unknown run has none.
        Raises `LogPruned`."""
        ...

    async def newest(self, run_id: str, types: frozenset[str], limit: int) -> list[LoggedEvent]:
        """The last events of these types, newest first, at most `limit`. It walks back over all others:
        ask for what is there. Raises `LogPruned`."""
        ...


class Steps(Protocol):
    async def of(self, run_id: str) -> list[Step]:
        """In the order of their first start, with outputs and usage summed over attempts. Without
        outputs and errors when the log was pruned."""
        ...


class Threads(Protocol):
    async def add(self, thread: Thread) -> Thread:
        """Make it, or return the owner's existing one with that id. Raises `ThreadNotFound` when
        the id is another owner's."""
        ...

    async def get(self, thread_id: str, owner: str) -> Thread:
        """Raises `ThreadNotFound`."""
        ...

    async def owner(self, thread_id: str) -> str | None:
        """Whose it is; None when there is none. The only owner-less read; returns an owner, never a row:
        for APIs that tell "not yours" from "not there"."""
        ...

    async def page(self, owner: str, *, before: str | None, limit: int) -> list[Thread]:
        """Newest first by id; `before` is exclusive."""
        ...

    async def update(self, thread: Thread, now: Instant) -> Thread:
        """Write title and metadata. Raises `ThreadNotFound`."""
        ...

    async def delete(self, thread_id: str, owner: str) -> None:
        """Remove it and its messages; its runs stay, without a thread. Raises `ThreadNotFound`,
        and `ThreadBusy` while a run in it is live."""
        ...

    async def append(self, thread_id: str, owner: str, message: NewMessage, now: Instant) -> Message:
        """Raises `ThreadNotFound`."""
        ...

    async def messages(self, thread_id: str, *, after: int = 0, limit: int) -> list[Message]:
        """By position, from `after` (exclusive)."""
        ...

    async def seen_by(self, run: Run, limit: int) -> list[Message]:
        """What the run's agent sees of its thread, see `domain.thread.seen_by`: of what came before
        its input the newest, about `limit` in all. A run whose input is not there sees the newest
        messages. Raises `ThreadNotFound`."""
        ...


class Keys(Protocol):
    async def add(self, key: Key) -> None: ...

    async def by_digest(self, digest: bytes) -> Key | None:
        """Also a revoked one: the caller looks at `revoked_at`."""
        ...

    async def all(self, owner: str | None) -> list[Key]:
        """All owners' for None; newest first, revoked ones too."""
        ...

    async def revoke(self, key_id: str, owner: str | None, now: Instant) -> Key:
        """Idempotent. Raises `KeyNotFound`."""
        ...

    async def any(self) -> bool:
        """Whether a key that is not revoked exists."""
        ...


class Agents(Protocol):
    async def publish(self, specs: list[AgentSpec], now: Instant) -> None:
        """A worker says which code agents it serves (owner None): add or replace by name."""
        ...

    async def put(self, spec: AgentSpec, now: Instant) -> bool:
        """Add an owner's agent, or replace the one with its id. False, and nothing is written, when
        another of the owner's agents has its name."""
        ...

    async def get(self, name: str, owner: str) -> AgentSpec | None:
        """The owner's own agent of that name, else everybody's."""
        ...

    async def by_id(self, agent_id: str, owner: str) -> AgentSpec | None:
        """The owner's or everybody's agent with this id."""
        ...

    async def all(self, owner: str) -> list[AgentSpec]:
        """Everybody's and the owner's, by name."""
        ...

    async def delete(self, name: str, owner: str) -> bool:
        """Remove an owner's agent; False when there is none."""
        ...


class Documents(Protocol):
    """What only a dialect knows: JSON by owner, space (the dialect's word) and id."""

    async def put(self, owner: str, space: str, id: str, value: Json, now: Instant) -> None: ...

    async def get(self, owner: str, space: str, id: str) -> Json | None: ...

    async def delete(self, owner: str, space: str, id: str) -> bool:
        """False when there is none."""
        ...

    async def page(
        self, owner: str, space: str, *, before: str | None = None, limit: int
    ) -> list[tuple[str, Json]]:
        """By id, the greatest first (ids of ours: the newest); `before` is exclusive."""
        ...


class Store(Protocol):
    @property
    def runs(self) -> Runs: ...
    @property
    def stats(self) -> Stats: ...
    @property
    def events(self) -> Events: ...
    @property
    def steps(self) -> Steps: ...
    @property
    def threads(self) -> Threads: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def agents(self) -> Agents: ...
    @property
    def callbacks(self) -> Callbacks: ...
    @property
    def deliveries(self) -> Deliveries: ...
    @property
    def triggers(self) -> Triggers: ...
    @property
    def schedules(self) -> Schedules: ...
    @property
    def documents(self) -> Documents: ...
    @property
    def users(self) -> Users: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def workers(self) -> Workers: ...
    @property
    def leases(self) -> Leases: ...

    async def check(self) -> None:
        """Write and read back something small. Raises `StoreUnavailable`."""
        ...

    async def close(self) -> None: ...
