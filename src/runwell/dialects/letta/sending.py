"""From a request with messages to a run: a new one, the earlier one of the same name, or one that goes
on from what an earlier one asked."""

import hashlib
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET

from runwell.dialects.exchange import Call
from runwell.dialects.letta import conversations, ids
from runwell.dialects.letta.conversations import Place
from runwell.dialects.letta.endings import ended
from runwell.dialects.letta.errors import LettaRefusal, invalid_argument
from runwell.dialects.letta.incoming import Incoming, answer, incoming
from runwell.dialects.letta.letta import Letta
from runwell.dialects.letta.origin import SOURCE, Origin, origin_of
from runwell.dialects.letta.questions import asked_of
from runwell.dialects.letta.requests import SendMessages
from runwell.dialects.letta.runs import FORMAT
from runwell.dialects.letta.telling import response_of
from runwell.domain.callback import ENDINGS, Callback
from runwell.domain.errors import RunNotWaiting, ThreadBusy, Unavailable
from runwell.domain.run import Question, Reason, Run, RunStatus
from runwell.domain.thread import IfBusy
from runwell.engine import control
from runwell.engine.core import Core
from runwell.engine.submit import Submission, submit
from runwell.ports.store import Idempotency, RunFilter
from runwell.stream.poll import wait_until
from runwell.stream.presence import Attended

LONGEST = 86_400.0
"""Seconds that a send waits for its run, if its client does."""
MOST_WAITING = 100
MOST_LOOKED_AT = 20
"""Runs of a place among which an answer that was sent before is looked for."""
NOTHING_ASKED = "Cannot process approval response: No tool call is currently awaiting approval."
TOLD: Final = (*ENDINGS, "run.waiting")
"""Events that are the end of a run for this API."""
STREAMING_OPTIONS = (
    "Streaming options set without streaming enabled. background can only be true when streaming=true. "
    "Either set streaming=true or use default values for streaming options."
)


class Sending(NamedTuple):
    """How a run is sent."""

    run_type: str
    background: bool = False
    tokens: bool = False
    pings: bool = True
    callback_url: str | None = None
    may_be_empty: bool = False


def options_of(wanted: SendMessages, run_type: str, *, streaming: bool) -> Sending:
    """`streaming` is what goes where the request does not say. Raises `Faulty`, a refusal (422) for
    options of a stream that is none."""
    streamed = wanted.streaming if wanted.streaming is not UNSET else streaming
    background = bool(wanted.background) if wanted.background is not UNSET else False
    tokens = bool(wanted.stream_tokens) if wanted.stream_tokens is not UNSET else False
    pings = wanted.include_pings is UNSET or wanted.include_pings is None or bool(wanted.include_pings)
    if not streamed and (background or tokens):
        raise LettaRefusal(422, {"detail": STREAMING_OPTIONS})
    return Sending(run_type, background, tokens, pings)


async def send(core: Core, owner: str, place: Place, wanted: SendMessages, how: Sending) -> Run:
    """Raises `Faulty`, refusals (400, 409), `ThreadBusy`, and what `submit` raises."""
    given = incoming(wanted, may_be_empty=how.may_be_empty)
    if given.replies:
        return await _go_on(core, owner, place, wanted, how, given)
    idempotency = None
    if place.conversation and how.background and given.otid is not None:
        idempotency = named_by(place, given.otid)
        # Sent again while it runs or after it has ended, it is the same run.
        earlier = await core.store.runs.earlier(owner, idempotency)
        if earlier is not None:
            return earlier
    await _refuse_while_waiting(core, owner, place)
    run = await _submit(core, owner, place, wanted, how, given, idempotency)
    if place.conversation:
        await conversations.touch(core, owner, place.thread_id)
    return run


async def _submit(
    core: Core,
    owner: str,
    place: Place,
    wanted: SendMessages,
    how: Sending,
    given: Incoming,
    idempotency: Idempotency | None,
) -> Run:
    origin = msgspec.structs.replace(_origin(place, wanted, how), messages=given.messages)
    submission = Submission(
        owner=owner,
        input=given.text,
        agent=place.agent.spec.name,
        source=SOURCE,
        thread_id=place.thread_id,
        if_busy=IfBusy.REFUSE if place.conversation else IfBusy.TOGETHER,
        idempotency=idempotency,
        label=origin.label,
        extra=origin.document(),
        callbacks=_callbacks(how),
    )
    try:
        return (await submit(core, submission)).run
    except ThreadBusy:
        # Also a run that waits is in the way, and Letta has another answer for it.
        await _refuse_while_waiting(core, owner, place)
        raise


async def _go_on(
    core: Core, owner: str, place: Place, wanted: SendMessages, how: Sending, given: Incoming
) -> Run:
    """A new run that goes on from the one that asked."""
    named = {reply.call_id for reply in given.replies if reply.call_id is not None}
    waiting = await _waiting(core, owner, place)
    asking = [each for each in waiting if asked_of(each[1]).call_id in named]
    if not asking:
        same = await _gone_on(core, owner, place, named)
        if same is not None:
            return same
    if not waiting:
        raise invalid_argument(NOTHING_ASKED)
    run, question = (asking or waiting)[0]
    value, shown = answer(asked_of(question), given.replies, given.otid)
    earlier = origin_of(run)
    origin = msgspec.structs.replace(
        _origin(place, wanted, how),
        conversation=place.conversation or (earlier is not None and earlier.conversation),
        given=(shown,),
    )
    try:
        added = await control.go_on(
            core, owner, run.id, value, question.key,
            source=SOURCE, label=origin.label, extra=origin.document(), callbacks=_callbacks(how),
        )  # fmt: skip
    except RunNotWaiting as error:
        # Somebody else was quicker: the same client, if this is its request sent again.
        same = await _gone_on(core, owner, place, named)
        if same is None:
            raise invalid_argument(NOTHING_ASKED) from error
        return same
    return added.run


async def _gone_on(core: Core, owner: str, place: Place, named: set[str]) -> Run | None:
    """The run that went on from an answer to one of these calls: an answer sent again means that one."""
    where = RunFilter(thread_id=place.thread_id, source=SOURCE)
    for run in await core.store.runs.page(owner, where, before=None, after=None, limit=MOST_LOOKED_AT):
        origin = origin_of(run)
        if origin is not None and any(given.call_id in named for given in origin.given):
            return run
    return None


def _origin(place: Place, wanted: SendMessages, how: Sending) -> Origin:
    return Origin(
        agent_id=place.agent.spec.id,
        run_type=how.run_type,
        background=how.background,
        conversation=place.conversation,
        tokens=how.tokens,
        pings=how.pings,
        config=wanted.config,
    )


def _callbacks(how: Sending) -> tuple[Callback, ...]:
    if not how.callback_url:
        return ()
    return (Callback(url=how.callback_url, events=TOLD, format=FORMAT),)


def named_by(place: Place, otid: str) -> Idempotency:
    """The client's name for a request of the conversation. Whatever is sent under it is that request."""
    fingerprint = hashlib.sha256(otid.encode()).digest()
    return Idempotency(f"letta.otid.{place.thread_id}", otid[:255], fingerprint)


async def _waiting(core: Core, owner: str, place: Place) -> list[tuple[Run, Question]]:
    """The runs of the place that ask, the newest first, with what they ask."""
    where = RunFilter(statuses=frozenset({RunStatus.WAITING}), thread_id=place.thread_id)
    runs = await core.store.runs.page(owner, where, before=None, after=None, limit=MOST_WAITING)
    return [(run, run.question) for run in runs if run.question is not None]


async def _refuse_while_waiting(core: Core, owner: str, place: Place) -> None:
    """New words would be an answer to nothing: the run waits for an approval."""
    waiting = await _waiting(core, owner, place)
    if not waiting:
        return
    run, question = waiting[0]
    asked = asked_of(question)
    sentence = (
        f"CONFLICT: Cannot send a new message: The agent is waiting for approval on a tool call "
        f"({asked.tool}, {asked.call_id}). Please approve or deny the pending request before continuing."
    )
    request = ids.message_id(ids.spoken_id(run.id, run.last_seq))
    detail = {"code": "PENDING_APPROVAL", "message": sentence, "pending_request_id": request}
    raise LettaRefusal(409, {"detail": detail}, retry=False)


async def answered(letta: Letta, call: Call, run: Run) -> bytes:
    """What the run came to, as soon as it has. The run goes on when the client leaves before.

    Raises a refusal for a run that failed, `Unavailable` when the server goes down first.
    """
    core, closing = letta.core, letta.services.closing
    async with Attended(call.receive, closing, closing.polls) as attended:
        run = await wait_until(core.store, core.signals, run.id, run.owner, ended, LONGEST)
    if attended.end != "done":
        raise Unavailable(
            f"The server is going down; {ids.run_id(run.id)} goes on when it is back",
            "Read the run instead of sending again.",
        )
    if run.status is RunStatus.FAILED:
        raise failure(run)
    return msgspec.json.encode(await response_of(core, run))


def failure(run: Run) -> LettaRefusal:
    """A send whose run failed. It is not to be sent again: that would be a second run."""
    message = run.error.message if run.error is not None else "The run failed."
    kind = {
        Reason.MODEL_ERROR: ("llm_error", 500),
        Reason.BUDGET_EXHAUSTED: ("llm_insufficient_credits", 402),
        Reason.TIMED_OUT: ("llm_timeout", 504),
    }.get(Reason(run.reason) if run.reason in set(Reason) else Reason.ERROR)
    if kind is None:
        return LettaRefusal(500, {"detail": message, "run_id": ids.run_id(run.id)}, retry=False)
    error = {"type": kind[0], "message": message, "detail": ids.run_id(run.id)}
    return LettaRefusal(kind[1], {"error": error}, retry=False)
