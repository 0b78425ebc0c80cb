"""The life of a run: one table of arrows, and `decide`, the one door every change goes through.

`decide` is pure and total. Given a run, a command and the time it returns the run as it will be and
the events that say so, or raises `IllegalTransition`. It never reads a clock or a store; the store
writes what it returns, all or nothing. `FINAL`, `CLAIMABLE` and `CANCELLABLE` are read off the
table, and `docs/lifecycle.md` is rendered from it.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from runwell.domain import arrows
from runwell.domain.arrows import Outcome
from runwell.domain.commands import (
    Answer,
    AskCancel,
    Cancel,
    Claim,
    Command,
    Continue,
    Create,
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
from runwell.domain.errors import IllegalTransition
from runwell.domain.events import Event
from runwell.domain.instant import Instant
from runwell.domain.run import Run, RunStatus

_Q, _R, _W = RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING
_OK, _BAD, _STOPPED = RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED


class Transition(NamedTuple):
    """One arrow. `source` empty: from nothing. `writes`: the event type, or a pattern of types."""

    command: str
    source: tuple[RunStatus, ...]
    target: RunStatus
    writes: str
    meaning: str


TRANSITIONS = (
    Transition("create", (), _Q, "run.created", "Somebody submits it."),
    Transition(
        "claim", (_Q,), _R, "attempt.started", "A worker takes it, after `not_before`, before `expires_at`."
    ),
    Transition("record", (_R,), _R, "output.* step.*", "The attempt says or does something."),
    Transition("pause", (_R,), _W, "run.waiting", "The agent asks; the attempt ends and costs nothing."),
    Transition("answer", (_W,), _Q, "run.resumed", "Somebody answers; the agent runs again from the top."),
    Transition("succeed", (_R,), _OK, "run.succeeded", "The agent returned."),
    Transition("fail", (_R,), _BAD, "run.failed", "The agent raised, and asked for no further try."),
    Transition("try_again", (_R,), _Q, "attempt.failed", "The agent raised, and has a try left."),
    Transition("lapse", (_R,), _Q, "attempt.lost", "The worker vanished; a try is left."),
    Transition(
        "lapse_last", (_R,), _BAD, "run.failed", "The worker vanished in the last try (reason `lost`)."
    ),
    Transition("hand_back", (_R,), _Q, "attempt.handed_back", "The worker shuts down; no try is burnt."),
    Transition("ask_cancel", (_R,), _R, "run.cancel_requested", "Somebody cancels; the attempt is told."),
    Transition(
        "stop", (_R,), _STOPPED, "run.cancelled", "The cancelled attempt has ended, however it ended."
    ),
    Transition("cancel", (_Q, _W), _STOPPED, "run.cancelled", "Somebody cancels what nobody works on."),
    Transition("expire", (_Q, _W), _BAD, "run.failed", "`expires_at` came first (reason `expired`)."),
    Transition(
        "time_out", (_R,), _BAD, "run.failed", "It ran for longer than `timeout` (reason `timed_out`)."
    ),
    Transition(
        "continue", (_W,), _OK, "run.succeeded", "Another run goes on from here (reason `continued`)."
    ),
)

_TABLE = {(row.command, source): row for row in TRANSITIONS for source in row.source or (None,)}

FINAL = frozenset(RunStatus) - {source for row in TRANSITIONS for source in row.source}
LIVE = frozenset(RunStatus) - FINAL
CLAIMABLE = frozenset(source for row in TRANSITIONS if row.command == "claim" for source in row.source)
CANCELLABLE = frozenset(
    s for row in TRANSITIONS if row.command in ("cancel", "ask_cancel") for s in row.source
)

_ENDS_AN_ATTEMPT = frozenset(
    {"pause", "succeed", "fail", "try_again", "lapse", "lapse_last", "hand_back", "time_out"}
)
"""Once a cancel is on record, each of these is decided as `stop`: the caller was promised it."""

_NAMES: dict[type[Command], str] = {
    Create: "create", Claim: "claim", Record: "record", Pause: "pause", Answer: "answer",
    Succeed: "succeed", Fail: "fail", TryAgain: "try_again", Lapse: "lapse", HandBack: "hand_back",
    AskCancel: "ask_cancel", Stop: "stop", Cancel: "cancel", Expire: "expire", TimeOut: "time_out",
    Continue: "continue",
}  # fmt: skip

_ARROWS: dict[str, Callable[..., Outcome]] = {
    "claim": arrows.claim, "record": arrows.record, "pause": arrows.pause, "answer": arrows.answer,
    "succeed": arrows.succeed, "fail": arrows.fail, "try_again": arrows.try_again,
    "lapse": arrows.lapse, "lapse_last": arrows.lapse_last, "hand_back": arrows.hand_back,
    "ask_cancel": arrows.ask_cancel, "stop": arrows.stop, "cancel": arrows.cancel,
    "expire": arrows.expire, "time_out": arrows.time_out, "continue": arrows.go_on,
}  # fmt: skip


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What `decide` decided, for the store to write in one transaction.

    `run` is the run as it will be, but for `version` and `last_seq`, which the store counts on
    under the row. `seen_version` guards everybody's change; a worker's `record` is guarded by
    `attempt` instead, since a cancel request may bump the version beside it. `visible` says that a
    status read will look different, so the version must grow.
    """

    command: str
    run: Run
    events: tuple[Event, ...]
    seen_version: int | None
    attempt: int | None
    visible: bool


def decide(run: Run | None, command: Command, now: Instant) -> Change:
    """What `command` makes of `run` at `now`. Raises `IllegalTransition`; changes nothing itself."""
    if isinstance(command, Create):
        return _created(run, command, now)
    if run is None:
        raise IllegalTransition("", "nothing", _NAMES[type(command)])
    name = _resolve(run, command)
    row = _TABLE.get((name, run.status))
    if row is None:
        raise IllegalTransition(run.id, run.status, name)
    outcome = _ARROWS[name](run, command, now)
    if outcome.run.status is not row.target:
        raise AssertionError(f"{name} led to {outcome.run.status}, the table says {row.target}")
    recording = name == "record"
    return Change(
        command=name,
        run=outcome.run,
        events=outcome.events,
        seen_version=None if recording else run.version,
        attempt=run.attempt if run.status is RunStatus.RUNNING else None,
        visible=outcome.visible,
    )


def _created(run: Run | None, command: Create, now: Instant) -> Change:
    if run is not None:
        raise IllegalTransition(run.id, run.status, "create")
    outcome = arrows.create(command, now)
    return Change(
        command="create",
        run=outcome.run,
        events=outcome.events,
        seen_version=None,
        attempt=None,
        visible=True,
    )


def _resolve(run: Run, command: Command) -> str:
    """The arrow meant: a cancel on record wins, and the last try is the last."""
    name = _NAMES[type(command)]
    if name in _ENDS_AN_ATTEMPT and run.cancel_requested_at is not None:
        return "stop"
    if run.tries + 1 >= run.max_attempts:
        if name == "lapse":
            return "lapse_last"
        if name == "try_again":
            return "fail"
    return name
