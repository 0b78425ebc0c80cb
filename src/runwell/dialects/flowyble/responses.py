"""From runs to the bytes of `bodies`."""

import asyncio
from collections.abc import Sequence

import msgspec

from runwell.dialects.exchange import Reply
from runwell.dialects.flowyble import bodies
from runwell.dialects.flowyble.actions import Actions, iterations
from runwell.dialects.flowyble.errors import JSON
from runwell.dialects.flowyble.flowyble import Flowyble, Kind
from runwell.dialects.flowyble.subject import Subject
from runwell.dialects.flowyble.words import (
    STATUS_INTS,
    error_word,
    json_word,
    milliseconds,
    seconds_word,
    status_word,
    text_word,
    time_word,
)
from runwell.domain.errors import LogPruned
from runwell.domain.ids import spell_uuid
from runwell.domain.instant import Instant
from runwell.domain.json_gate import Json
from runwell.domain.run import Run, RunStatus, Usage
from runwell.stream.retry_after import retry_after

# Every answer depends on the caller and on the moment.
PRIVATE = (b"cache-control", b"private, no-cache")
ANY_SCHEMA = "{}"
"""The schema of a tool that does not say what it returns."""
PAGE = 500
"""Lines of a log that are read at once."""


def json_reply(body: msgspec.Struct) -> Reply:
    return reply(msgspec.json.encode(body))


def reply(body: bytes) -> Reply:
    return Reply(200, [JSON, PRIVATE], body)


def polled(run: Run, body: bytes, now: Instant) -> Reply:
    """A status. `Retry-After`, which the original has not, says when another look is worth it."""
    seconds = retry_after(run, None, now)
    if seconds is None:
        return reply(body)
    return Reply(200, [JSON, PRIVATE, (b"retry-after", b"%d" % seconds)], body)


def started(run: Run, kind: Kind) -> bodies.Started:
    message = f"{kind.word.capitalize()} run started"
    return bodies.Started(id=spell_uuid(run.id), status="Pending", message=message)


async def agent_run(flowyble: Flowyble, run: Run, subject: Subject) -> bodies.AgentRun:
    return bodies.AgentRun(
        id=spell_uuid(run.id),
        agent_id=spell_uuid(subject.id),
        status=status_word(run.status),
        user_message=text_word(await flowyble.input_of(run)),
        final_output=text_word(run.output) if run.status is RunStatus.SUCCEEDED else None,
        error_message=error_word(run),
        steps_executed=await _iterations(flowyble, run),
        tokens_used=_tokens(run.usage),
        actions_used=run.usage.tool_calls,
        credits_used=run.usage.credits,
        created_at=seconds_word(run.created_at),
        started_at=time_word(run.started_at),
        finished_at=time_word(run.finished_at),
    )


async def agent_run_details(flowyble: Flowyble, run: Run, subject: Subject) -> bodies.AgentRunDetails:
    status = await agent_run(flowyble, run, subject)
    steps = await _steps(flowyble, run)
    return bodies.AgentRunDetails(**msgspec.structs.asdict(status), steps=list(steps))


def tool_run(run: Run, subject: Subject) -> bodies.ToolRun:
    status = status_word(run.status)
    return bodies.ToolRun(
        id=spell_uuid(run.id),
        tool_id=spell_uuid(subject.id),
        status=status,
        status_int=STATUS_INTS[status],
        error_message=error_word(run),
        tokens_used=_tokens(run.usage),
        actions_used=run.usage.tool_calls,
        created_at=seconds_word(run.created_at),
        started_at=time_word(run.started_at),
        finished_at=time_word(run.finished_at),
        duration=milliseconds(run.started_at, run.finished_at),
    )


async def tool_result(flowyble: Flowyble, run: Run, subject: Subject) -> bodies.ToolResult:
    status = status_word(run.status)
    spec = await flowyble.core.store.agents.get(run.agent, run.owner)
    schema: Json | None = spec.output_schema if spec is not None else None
    return bodies.ToolResult(
        id=spell_uuid(run.id),
        tool_id=spell_uuid(subject.id),
        tool_name=run.agent,
        status=status,
        status_int=STATUS_INTS[status],
        input_data=json_word(await flowyble.input_of(run)),
        output_data=json_word(run.output) if run.status is RunStatus.SUCCEEDED else "",
        output_schema=json_word(schema) or ANY_SCHEMA,
        error_message=error_word(run),
        tokens_used=_tokens(run.usage),
        actions_used=run.usage.tool_calls,
        duration=milliseconds(run.started_at, run.finished_at),
    )


def _tokens(usage: Usage) -> int:
    return usage.input_tokens + usage.output_tokens


async def _iterations(flowyble: Flowyble, run: Run) -> int:
    if not run.steps.started:
        return 0  # most runs that are polled: their steps need not be read
    return iterations(await flowyble.core.store.steps.of(run.id))


async def _steps(flowyble: Flowyble, run: Run) -> Sequence[bodies.Step]:
    """From the log up to where the run was read, so that both tell of one moment; none when the log
    was pruned."""
    actions, after = Actions(), 0
    while after < run.last_seq:
        try:
            lines = await flowyble.core.store.events.read(run.id, after, min(PAGE, run.last_seq - after))
        except LogPruned:
            return ()
        if not lines:
            break
        for line in lines:
            actions.add(line)
        after = lines[-1].seq
        # Reading may never wait for anything; a long log must not keep the loop to itself.
        await asyncio.sleep(0)
    return actions.steps()
