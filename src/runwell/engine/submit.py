"""Start a run: check the request, name the agent, write everything in one transaction."""

from collections.abc import Sequence
from typing import Any

import msgspec

from runwell.domain import json_gate
from runwell.domain.agent import AgentSpec, ModelAgent, Refused, ServedBy
from runwell.domain.callback import TELLABLE, Callback
from runwell.domain.commands import Create
from runwell.domain.errors import AgentNotFound, InvalidInput, QueueFull, RunwellError
from runwell.domain.events import InheritedStep
from runwell.domain.ids import id_of_name, new_id
from runwell.domain.instant import Instant, after
from runwell.domain.json_gate import Json
from runwell.domain.lifecycle import Change, decide
from runwell.domain.run import Run
from runwell.domain.thread import IfBusy, Role
from runwell.engine.core import Core
from runwell.ports.store import Added, Idempotency, NewMessage


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller wants run. Durations are seconds; `input` and `metadata` are plain JSON values.

    `timeout` None takes the agent's; `agent` None takes the first one served; `max_attempts` None is
    3, or as many as the agent's own `retries` need. `ending` is the end of the run that this one
    continues, written with it. `label` and `extra` are the dialect's own, see `Run`. With a `definition`
    the run brings its agent along, and `agent` is only what that one is called.
    """

    owner: str
    input: Any
    agent: str | None = None
    definition: ModelAgent | Refused | None = None
    source: str = "native"
    thread_id: str | None = None
    if_busy: IfBusy = IfBusy.QUEUE
    concurrency_key: str | None = None
    metadata: dict[str, Any] | Json = json_gate.EMPTY
    priority: int = 0
    not_before: Instant | None = None
    timeout: float | None = None
    max_attempts: int | None = None
    expires_in: float | None = None
    idempotency: Idempotency | None = None
    retry_of: str | None = None
    continues: str | None = None
    steps: tuple[InheritedStep, ...] = ()
    answers: dict[str, Json] = {}
    ending: Change | None = None
    label: str | None = None
    extra: Json = json_gate.EMPTY
    callbacks: tuple[Callback, ...] = ()


DEFAULT_ATTEMPTS = 3
MOST_CALLBACKS = 10
LONGEST_URL = 2_048
"""Characters of a callback's address."""


async def submit(core: Core, wanted: Submission) -> Added:
    """Queue a run and return it, durable. A known idempotency key returns the run it made.

    Raises `AgentNotFound`, `InvalidInput`, `InvalidJson`, `IdempotencyMismatch`, `ThreadBusy`,
    `ThreadNotFound`, `QueueFull`, `StoreUnavailable`.
    """
    now = core.clock.now()
    spec = await _agent(core, wanted)
    attempts = _attempts(core, wanted, spec)
    _check(core, wanted)
    document = json_gate.encode(wanted.input)
    if wanted.definition is None:
        _check_input(core, wanted, spec)
    message = None
    if wanted.thread_id is not None and wanted.retry_of is None and wanted.continues is None:
        # Such a run repeats the work, not the message: it is in the thread already.
        message = NewMessage(Role.USER, document)
    change = decide(None, _create(wanted, spec, attempts, document, now), now)
    try:
        await core.queue.enter(core.store.runs, now)
    except QueueFull:
        # A submit that is repeated wants nothing new.
        earlier = await _earlier(core, wanted)
        if earlier is None:
            raise
        return Added(earlier, True)
    return await _add(core, wanted, change, message, now)


async def check(core: Core, wanted: Submission) -> AgentSpec:
    """Raise what `submit` would say of this request, whenever it came; its agent. Nothing is queued."""
    spec = await _agent(core, wanted)
    _attempts(core, wanted, spec)
    _check(core, wanted)
    for name, value in (("input", wanted.input), ("metadata", wanted.metadata)):
        if not isinstance(value, Json):
            json_gate.check(value, f"$.{name}")
    if wanted.definition is None:
        _check_input(core, wanted, spec)
    return spec


async def _earlier(core: Core, wanted: Submission) -> Run | None:
    if wanted.idempotency is None:
        return None
    return await core.store.runs.earlier(wanted.owner, wanted.idempotency)


async def _add(
    core: Core, wanted: Submission, change: Change, message: NewMessage | None, now: Instant
) -> Added:
    """Write the run, which has its place in the queue."""
    written = True  # also when the caller is gone before the answer: it may well be
    try:
        added = await core.store.runs.add(
            change,
            now,
            if_busy=wanted.if_busy,
            message=message,
            idempotency=wanted.idempotency,
            ending=wanted.ending,
        )
        written = not added.replayed
    except RunwellError:
        written = False
        raise
    finally:
        core.queue.leave(written)
    return added


def _create(wanted: Submission, spec: AgentSpec, attempts: int, document: Json, now: Instant) -> Create:
    return Create(
        id=new_id(now),
        owner=wanted.owner,
        agent=spec.name,
        input=document,
        source=wanted.source,
        thread_id=wanted.thread_id,
        in_order=wanted.thread_id is not None and wanted.if_busy is not IfBusy.TOGETHER,
        concurrency_key=wanted.concurrency_key,
        metadata=json_gate.encode(wanted.metadata),
        priority=wanted.priority,
        not_before=wanted.not_before,
        expires_at=after(now, wanted.expires_in) if wanted.expires_in is not None else None,
        timeout=wanted.timeout if wanted.timeout is not None else spec.timeout,
        max_attempts=attempts,
        definition=_definition(wanted, spec),
        retry_of=wanted.retry_of,
        continues=wanted.continues,
        steps=wanted.steps,
        answers=wanted.answers,
        label=wanted.label,
        extra=wanted.extra,
        callbacks=wanted.callbacks,
    )


def _definition(wanted: Submission, spec: AgentSpec) -> Json | None:
    """What is frozen on the run of an agent that has no code of its own."""
    if wanted.definition is not None:
        return Json(msgspec.json.encode(wanted.definition))
    if spec.definition is not None:
        return Json(msgspec.json.encode(spec.definition))
    if spec.workflow is not None and spec.owner is not None:
        # One of everybody's is found by its name: its steps are done by agents of the same process.
        return Json(msgspec.json.encode(spec.workflow))
    return Json(msgspec.json.encode(ServedBy(spec.served_by))) if spec.served_by is not None else None


async def _agent(core: Core, wanted: Submission) -> AgentSpec:
    default = core.default_agent
    if wanted.definition is not None and (name := wanted.agent or (default and default.name)):
        return AgentSpec(id=id_of_name(name), name=name, kind="inline")
    if wanted.agent is None:
        if default is None:
            raise AgentNotFound("(the default one)")
        return default
    if default is not None and default.name == wanted.agent:
        return default
    served = core.catalog.find(wanted.agent, None) if core.catalog is not None else None
    if served is not None and served.spec.definition is None:
        return served.spec  # no owner can have made another of that name: no need to read
    spec = await core.store.agents.get(wanted.agent, wanted.owner)
    if spec is None:
        known = await core.store.agents.all(wanted.owner)
        raise AgentNotFound(wanted.agent, tuple(each.name for each in known))
    return spec


def _attempts(core: Core, wanted: Submission, spec: AgentSpec) -> int:
    most = core.limits.most_attempts
    if wanted.max_attempts is None:
        return min(max(DEFAULT_ATTEMPTS, spec.retries + 1), most)
    if not 1 <= wanted.max_attempts <= most:
        raise InvalidInput("$.max_attempts", f"must be between 1 and {most}")
    return wanted.max_attempts


def _check_input(core: Core, wanted: Submission, spec: AgentSpec) -> None:
    """Refuse at once what the agent would refuse later; only code agents of this process can tell."""
    if core.catalog is None or spec.definition is not None:
        return
    agent = core.catalog.find(spec.name, _definition(wanted, spec))
    if agent is not None:
        agent.check_input(wanted.input)


def _check(core: Core, wanted: Submission) -> None:
    limits = core.limits
    if not -100 <= wanted.priority <= 100:
        raise InvalidInput("$.priority", "must be between -100 and 100")
    for name, seconds in (("timeout", wanted.timeout), ("expires_in", wanted.expires_in)):
        if seconds is not None and not 0 < seconds <= limits.longest_timeout:
            raise InvalidInput(
                f"$.{name}", f"must be more than 0 and at most {limits.longest_timeout:g} seconds"
            )
    if wanted.concurrency_key is not None and not 1 <= len(wanted.concurrency_key) <= 200:
        raise InvalidInput("$.concurrency_key", "must have 1 to 200 characters")
    check_callbacks(wanted.callbacks)


def check_callbacks(callbacks: Sequence[Callback]) -> None:
    """Raise `InvalidInput` for what no callback can be. Whether an address may be posted to is for
    whoever posts to say, when it posts: names move."""
    if len(callbacks) > MOST_CALLBACKS:
        raise InvalidInput("$.callbacks", f"a run may have at most {MOST_CALLBACKS}")
    for place, callback in enumerate(callbacks):
        path = f"$.callbacks[{place}]"
        if not 1 <= len(callback.url) <= LONGEST_URL:
            raise InvalidInput(f"{path}.url", f"must have 1 to {LONGEST_URL} characters")
        check_events(callback.events, f"{path}.events")


def check_events(events: Sequence[str], path: str) -> None:
    """Raise `InvalidInput` for events that nobody is told of."""
    unknown = sorted(set(events) - TELLABLE)
    if unknown:
        known = ", ".join(sorted(TELLABLE))
        raise InvalidInput(path, f"{unknown[0][:80]!r} cannot be told", f"What can: {known}.")
    if not events:
        raise InvalidInput(path, "must name at least one event")
