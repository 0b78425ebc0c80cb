"""Why a run is where it is, in one sentence made of its row, its log and what stands around it."""

from typing import NamedTuple, assert_never

import msgspec

from runwell.domain import json_gate
from runwell.domain.errors import LogPruned
from runwell.domain.events import (
    AttemptFailed,
    AttemptHandedBack,
    AttemptLost,
    Event,
    RunCancelled,
    RunCancelRequested,
    RunResumed,
)
from runwell.domain.instant import Instant, after, seconds_between, to_iso
from runwell.domain.json_gate import Json
from runwell.domain.lifecycle import LIVE
from runwell.domain.run import Reason, Run, RunStatus
from runwell.domain.worker import Heartbeat
from runwell.engine.core import Core
from runwell.ports.store import RunFilter

LONGEST_QUOTE = 300
"""Characters of an error or a question."""
COUNTED = 1_000
"""As far as places in the queue are counted."""

_RELEASED = frozenset(event.type for event in (AttemptFailed, AttemptLost, AttemptHandedBack, RunResumed))
_CANCELS = frozenset({RunCancelRequested.type, RunCancelled.type})


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that a sentence is made of.

    `released` is what led back into the queue last, and `released_at` when. `ahead` is how many queued runs
    go before this one, `oldest_at` since when the longest of its agent's waits. `predecessor` is the live run
    before it in its thread, `holder` the one that holds its concurrency key. `served`: a live worker serves
    its agent. `worker` is the last heartbeat of its worker. `asked_by` is who asked for a cancel. `grace` is
    the seconds that an agent has to let go.
    """

    run: Run
    now: Instant
    released: Event | None = None
    released_at: Instant | None = None
    ahead: int | None = None
    oldest_at: Instant | None = None
    predecessor: str | None = None
    holder: str | None = None
    served: bool = True
    worker: Heartbeat | None = None
    asked_by: str | None = None
    grace: float = 5.0


class Explained(NamedTuple):
    run: Run
    why: str


async def why(core: Core, owner: str, run_id: str) -> Explained:
    """Raises `RunNotFound`."""
    run = await core.store.runs.get(run_id, owner)
    return Explained(run, sentence(await gather(core, run)))


def sentence(facts: Facts) -> str:
    """One sentence in English, with its full stop."""
    match facts.run.status:
        case RunStatus.QUEUED:
            said = _queued(facts)
        case RunStatus.RUNNING:
            said = _running(facts)
        case RunStatus.WAITING:
            said = _waiting(facts)
        case RunStatus.SUCCEEDED:
            said = _succeeded(facts.run)
        case RunStatus.FAILED:
            said = _failed(facts.run)
        case RunStatus.CANCELLED:
            said = _cancelled(facts)
        case never:
            assert_never(never)
    return said if said.endswith((".", "?", "!", "…")) else f"{said}."


async def gather(core: Core, run: Run) -> Facts:
    """What is known of the run now; each part is read for itself, so they may be moments apart."""
    facts = Facts(run=run, now=core.clock.now(), grace=core.limits.grace)
    if run.status is RunStatus.QUEUED:
        facts = await _around(core, facts)
    elif run.status is RunStatus.RUNNING:
        beats = {beat.name: beat for beat in await core.store.workers.all()}
        facts = msgspec.structs.replace(facts, worker=beats.get(run.worker or ""))
    try:
        return await _from_log(core, facts)
    except LogPruned:
        return facts  # there is less to tell


async def _around(core: Core, facts: Facts) -> Facts:
    """What keeps a queued run from starting."""
    run, runs = facts.run, core.store.runs
    ready = [beat for beat in await core.store.workers.all() if beat.places and beat.alive(facts.now)]
    known = run.definition is not None
    before: list[Run] = []
    holders: list[Run] = []
    if run.in_order and run.thread_id is not None:
        where = RunFilter(thread_id=run.thread_id, statuses=LIVE)
        before = await runs.page(run.owner, where, before=run.id, after=None, limit=1)
    if run.concurrency_key is not None:
        lane = (run.owner, run.concurrency_key)
        holders = [each for each in await runs.held() if (each.owner, each.concurrency_key) == lane]
    return msgspec.structs.replace(
        facts,
        served=any(known or run.agent in beat.agents for beat in ready if not beat.stopping),
        predecessor=before[0].id if before else None,
        holder=holders[0].id if holders else None,
        ahead=await runs.position(run),
        oldest_at=await core.store.stats.oldest_queued(run.agent),
    )


async def _from_log(core: Core, facts: Facts) -> Facts:
    run, events = facts.run, core.store.events
    if run.cancel_requested_at is not None or run.status is RunStatus.CANCELLED:
        asked = [line.event for line in await events.newest(run.id, _CANCELS, 2)]
        names = [each.by for each in asked if isinstance(each, RunCancelRequested | RunCancelled) and each.by]
        return msgspec.structs.replace(facts, asked_by=names[0] if names else None)
    begun = run.attempt > 1 or (run.status is RunStatus.QUEUED and run.attempt == 1)
    if not begun or run.final:
        return facts
    lines = await events.newest(run.id, _RELEASED, 1)
    if not lines:
        return facts
    return msgspec.structs.replace(facts, released=lines[0].event, released_at=lines[0].at)


def _queued(facts: Facts) -> str:
    run, now = facts.run, facts.now
    if run.not_before is not None and run.not_before > now:
        until = f"Queued until {clock(run.not_before, now)}"
        if isinstance(facts.released, AttemptFailed):
            error = _said(facts.released.error.message)
            return f"{until} after a failed try ({run.tries} of {run.max_attempts}): {error}"
        return f"{until}, as it was asked to start no sooner"
    cause = _released(facts)
    head = f"Queued again ({cause})" if cause else "Queued"
    if not facts.served:
        return f"{head}: no live worker serves the agent `{run.agent}`"
    if facts.predecessor is not None:
        return f"{head} behind run_{facts.predecessor} in its thread"
    if facts.holder is not None:
        return f"{head}: run_{facts.holder} holds its concurrency key `{run.concurrency_key}`"
    if not facts.ahead:
        return f"{head}, and next: it starts when a worker has a free place"
    count = f"{facts.ahead:,} run{'' if facts.ahead == 1 else 's'}"
    if facts.ahead >= COUNTED:
        count = f"{COUNTED:,} runs or more"
    if facts.oldest_at is None:
        return f"{head} behind {count}"
    waited = span(seconds_between(facts.oldest_at, now))
    return f"{head} behind {count}; the oldest of `{run.agent}` waits {waited}"


def _running(facts: Facts) -> str:
    run, now = facts.run, facts.now
    since = clock(run.claimed_at if run.claimed_at is not None else now, now)
    if run.cancel_requested_at is not None:
        asked = f"Cancel asked for at {clock(run.cancel_requested_at, now)}{_by(facts)}"
        if now < after(run.cancel_requested_at, facts.grace):
            return f"{asked}; the agent has {facts.grace:g} s to let go"
        return f"{asked}; the agent has not let go in {facts.grace:g} s and is cut off"
    attempt = f"Attempt {run.attempt} since {since}"
    if facts.worker is None or not facts.worker.alive(now):
        heard = "is gone" if facts.worker is None else f"was last heard at {clock(facts.worker.seen_at, now)}"
        return f"{attempt}, but its worker `{run.worker}` {heard}: the run is about to be taken over"
    if cause := _released(facts):
        return f"{attempt}: {cause}"
    doing = f", now in step `{_said(run.steps.current)}`" if run.steps.current else ""
    return f"{attempt} on `{run.worker}`{doing}"


def _waiting(facts: Facts) -> str:
    run = facts.run
    until = "" if run.expires_at is None else f" until {clock(run.expires_at, facts.now)}"
    question = "" if run.question is None else f": {_said(_text(run.question.question))}"
    return f"Waiting for an answer{until}{question}"


def _succeeded(run: Run) -> str:
    if run.reason == Reason.CONTINUED:
        return "Succeeded: its question was answered in another run, which goes on from here"
    took = f"Succeeded in {span(run.duration or 0.0)}"
    if run.attempt > 1:
        took += f", in attempt {run.attempt}"
    return f"{took}, at its last step allowed" if run.reason == Reason.MAX_STEPS else took


def _failed(run: Run) -> str:
    error = _said(run.error.message) if run.error is not None else str(run.reason)
    if run.started_at is None:
        return f"Failed before it started: {error}"
    if run.tries > 1:
        return f"Failed after {run.tries} tries: {error}"
    return f"Failed after {span(run.duration or 0.0)}: {error}"


def _cancelled(facts: Facts) -> str:
    run = facts.run
    when = clock(run.finished_at if run.finished_at is not None else facts.now, facts.now)
    worked = "before it started" if run.duration is None else f"{span(run.duration)} after it started"
    return f"Cancelled at {when}{_by(facts)}, {worked}"


def _by(facts: Facts) -> str:
    return f" by {_said(facts.asked_by)}" if facts.asked_by else ""


def _released(facts: Facts) -> str:
    """What ended the attempt before, and when."""
    event = facts.released
    when = "" if facts.released_at is None else f" at {clock(facts.released_at, facts.now)}"
    if isinstance(event, AttemptLost):
        return f"the worker of attempt {event.attempt} vanished{when}"
    if isinstance(event, AttemptHandedBack):
        return f"the worker of attempt {event.attempt} shut down{when} and handed it back"
    if isinstance(event, AttemptFailed):
        return f"attempt {event.attempt} failed{when}: {_said(event.error.message)}"
    if isinstance(event, RunResumed):
        return f"it was answered{when}"
    return ""


def clock(instant: Instant, now: Instant) -> str:
    """`14:03:05 UTC`, with its date when that is not today's."""
    text = to_iso(instant)
    day = "" if text[:10] == to_iso(now)[:10] else f"{text[:10]} "
    return f"{day}{text[11:19]} UTC"


def span(seconds: float) -> str:
    """`0.4 s`, `40 s`, `3 min`, `5 h`, `2 d`: in the greatest unit of which there are two."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s".replace(".0 s", " s")
    for size, most, unit in ((1, 120, "s"), (60, 120, "min"), (3_600, 48, "h")):
        if seconds < size * most:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds // 86_400:,.0f} d"


def _said(text: str) -> str:
    """On one line, cut."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_QUOTE else f"{line[:LONGEST_QUOTE]}…"


def _text(question: Json) -> str:
    value = json_gate.decode(question)
    return value if isinstance(value, str) else bytes(question).decode()
