"""From a run's log to its transcript."""

from typing import assert_never

from runwell.dialects.letta import ids
from runwell.dialects.letta.endings import stop_reason_of
from runwell.dialects.letta.messages import (
    LettaResponse,
    Message,
    StopReason,
    UsageStatistics,
    message_of,
)
from runwell.dialects.letta.origin import Origin, origin_of
from runwell.dialects.letta.parts import Kind, Part
from runwell.dialects.letta.transcript import Change, Transcript
from runwell.domain.events import (
    AttemptFailed,
    AttemptHandedBack,
    AttemptLost,
    AttemptStarted,
    Event,
    LoggedEvent,
    MessageAdded,
    OutputRestarted,
    ProgressNoted,
    ReasoningDelta,
    RunCancelled,
    RunCancelRequested,
    RunCreated,
    RunFailed,
    RunResumed,
    RunSucceeded,
    RunWaiting,
    StepFailed,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCalled,
    ToolReturned,
    UsageCounted,
)
from runwell.domain.run import Run
from runwell.engine.core import Core

PAGE = 2_000


def tell(transcript: Transcript, line: LoggedEvent) -> list[Change]:
    """Fold in the next line; what it changed in what was said."""
    event: Event = line.event
    match event:
        case RunCreated():
            return transcript.created(line, event)
        case StepStarted():
            return transcript.step_started(line, event)
        case StepFinished(key=key):
            return transcript.step_finished(line, key)
        case TextDelta() | ReasoningDelta():
            return transcript.said(line, event)
        case MessageAdded():
            return transcript.message(line, event)
        case ToolCalled():
            return transcript.called(line, event)
        case ToolReturned():
            return transcript.returned(line, event)
        case UsageCounted():
            return transcript.counted(event)
        case RunWaiting():
            return transcript.waits(line, event)
        case RunSucceeded():
            return transcript.succeeded(line, event)
        case RunFailed() | RunCancelled():
            return transcript.ended(line)
        case OutputRestarted():
            return transcript.restarted(line)
        case (
            RunResumed() | RunCancelRequested() | StepFailed() | ProgressNoted()
            | AttemptStarted() | AttemptFailed() | AttemptLost() | AttemptHandedBack()
        ):  # fmt: skip
            return []
    assert_never(event)


async def transcript_of(core: Core, run: Run) -> Transcript:
    """All that stands of the run as far as its row goes. Raises `LogPruned`."""
    transcript, after = Transcript(run.id, origin_of(run)), 0
    while lines := await core.store.events.read(run.id, after, PAGE):
        for line in lines:
            # The row was read first; what has been said since is not its story yet.
            if line.seq <= run.last_seq or not run.final:
                tell(transcript, line)
        after = lines[-1].seq
    return transcript


def messages_of(run: Run, transcript: Transcript, shown: frozenset[str] | None) -> list[Message]:
    """Those of the wanted types, oldest first; pieces of one message have one id."""
    parts = [part for part in transcript.parts if shown is None or part.kind in shown]
    return [message_of(run.id, part) for part in parts]


def new_messages(run: Run, transcript: Transcript, origin: Origin | None) -> list[Message]:
    """What the agent said: everything but the messages of the request."""
    shown = origin.shown if origin is not None else None
    parts = [part for part in transcript.parts if not asked_by_request(part)]
    return [message_of(run.id, part) for part in parts if shown is None or part.kind in shown]


def asked_by_request(part: Part) -> bool:
    return part.fixed and part.kind not in (Kind.REQUEST, Kind.RETURN)


def usage_of(transcript: Transcript) -> UsageStatistics:
    used = transcript.spent.usage
    return UsageStatistics(
        completion_tokens=used.output_tokens,
        prompt_tokens=used.input_tokens,
        total_tokens=used.input_tokens + used.output_tokens,
        step_count=len(transcript.steps),
        # Nobody reports a zero: it is what is written where nothing was reported.
        cached_input_tokens=used.cached_tokens or None,
        reasoning_tokens=used.reasoning_tokens or None,
        context_tokens=transcript.spent.context or None,
    )


def stop_frame(reason: str) -> StopReason:
    return StopReason("stop_reason", reason)


async def response_of(core: Core, run: Run, *, whole: bool = False, stop: str | None = None) -> LettaResponse:
    """What a send that waited is answered with; `whole`: with the messages of the request. `stop` is
    the reason where the run's row says no longer what it was."""
    transcript = await transcript_of(core, run)
    origin = origin_of(run)
    shown = origin.shown if origin is not None else None
    told = messages_of(run, transcript, shown) if whole else new_messages(run, transcript, origin)
    return LettaResponse(
        messages=told,
        stop_reason=stop_frame(stop or stop_reason_of(run) or "end_turn"),
        usage=usage_of(transcript),
    )


def id_of(message: Message) -> str | None:
    """The bare id of a message."""
    return ids.read(message.id)
