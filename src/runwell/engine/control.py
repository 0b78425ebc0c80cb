"""Change a run that exists: answer, cancel, retry, delete."""

from collections.abc import Callable
from typing import Any

import msgspec

from runwell.domain import json_gate
from runwell.domain.agent import ModelAgent, Refused, read_definition
from runwell.domain.callback import Callback
from runwell.domain.commands import Answer, AskCancel, Cancel, Command, Continue
from runwell.domain.errors import (
    AttemptSuperseded,
    QuestionChanged,
    RunNotFinal,
    RunNotFound,
    RunNotWaiting,
    StaleRun,
)
from runwell.domain.events import (
    InheritedStep,
    OutputRestarted,
    RunCreated,
    RunResumed,
    StepFinished,
    TextDelta,
)
from runwell.domain.json_gate import Json
from runwell.domain.lifecycle import decide
from runwell.domain.memory import Memory
from runwell.domain.run import Question, Run, RunStatus
from runwell.domain.step import StepStatus
from runwell.domain.thread import IfBusy
from runwell.engine.core import Core
from runwell.engine.submit import Submission, submit
from runwell.ports.store import Added

PAGE = 1_000
_KEPT = frozenset(event.type for event in (RunCreated, RunResumed, StepFinished, TextDelta, OutputRestarted))
"""What a retry inherits can be told from these."""


async def _change(core: Core, owner: str, run_id: str, choose: Callable[[Run], Command | None]) -> Run:
    """Read, choose, decide, commit; again when the run changed in between.

    Each round that loses was beaten by a commit that won, so this ends with the run's life at the
    latest: a final run makes `choose` raise or return None.
    """
    while True:
        run = await core.store.runs.get(run_id, owner)
        command = choose(run)
        if command is None:
            return run
        now = core.clock.now()
        try:
            return await core.store.runs.commit(decide(run, command, now), now)
        except (StaleRun, AttemptSuperseded):
            continue  # the attempt ended, or the run changed, between the read and the commit


async def answer(core: Core, owner: str, run_id: str, value: Any, key: str | None = None) -> Run:
    """Give a waiting run what it asked for; it is queued again.

    `key` is the key of the question that is answered: an answer sent twice must not be taken for the
    answer to the next one. Raises `RunNotFound`, `RunNotWaiting`, `QuestionChanged`, `InvalidJson`.
    """
    document = json_gate.encode(value)

    def choose(run: Run) -> Command:
        _asked(run, key)
        return Answer(answer=document)

    return await _change(core, owner, run_id, choose)


async def cancel(core: Core, owner: str, run_id: str, by: str | None = None) -> Run:
    """Cancel what is queued or waiting at once; ask the attempt of a running run to stop.

    Returns the run: `cancelled`, or still `running` with `cancel_requested_at`. Cancelling a
    cancelled run changes nothing. Raises `RunNotFound`, and `IllegalTransition` for a run that
    succeeded or failed.
    """

    def choose(run: Run) -> Command | None:
        if run.status is RunStatus.CANCELLED:
            return None
        if run.status is RunStatus.RUNNING:
            return None if run.cancel_requested_at is not None else AskCancel(by=by)
        return Cancel(by=by)

    return await _change(core, owner, run_id, choose)


async def delete(core: Core, owner: str, run_id: str) -> None:
    """Remove a final run with its log. Raises `RunNotFound`, `RunNotFinal`."""
    await core.store.runs.delete(run_id, owner)


async def retry(core: Core, owner: str, run_id: str) -> Added:
    """A new run of the same request that need not repeat the finished steps and given answers.

    Raises `RunNotFound`, `RunNotFinal`, `LogPruned`, and what `submit` raises.
    """
    run = await core.store.runs.get(run_id, owner)
    if not run.final:
        raise RunNotFinal(run.id, run.status, "retried")
    first = await _beginning(core, run)
    steps, answers = await _left_behind(core, run)
    again = _again(run, first)
    return await submit(core, msgspec.structs.replace(again, retry_of=run.id, steps=steps, answers=answers))


async def go_on(
    core: Core,
    owner: str,
    run_id: str,
    value: Any,
    key: str | None = None,
    *,
    source: str = "native",
    label: str | None = None,
    extra: Json = json_gate.EMPTY,
    callbacks: tuple[Callback, ...] = (),
) -> Added:
    """Answer a waiting run in a new run: the old one ends (succeeded, reason `continued`), and the new
    one inherits its steps and answers. Both are written in one transaction, or neither is.

    For APIs in which a run that asks has ended. Raises `RunNotFound`, `RunNotWaiting`,
    `QuestionChanged`, `LogPruned`, and what `submit` raises.
    """
    document = json_gate.encode(value)
    while True:
        run = await core.store.runs.get(run_id, owner)
        question = _asked(run, key)
        first = await _beginning(core, run)
        steps, answers = await _left_behind(core, run)
        wanted = msgspec.structs.replace(
            _again(run, first),
            source=source, label=label, extra=extra, callbacks=callbacks, continues=run.id, steps=steps,
            answers={**answers, question.key: document},
            ending=decide(run, Continue(), core.clock.now()),
        )  # fmt: skip
        try:
            return await submit(core, wanted)
        except StaleRun:
            continue  # it was cancelled, answered or continued meanwhile: look again


async def _beginning(core: Core, run: Run) -> RunCreated:
    """Raises `RunNotFound` for a run that was deleted since it was read, `LogPruned`."""
    lines = await core.store.events.read(run.id, 0, 1)
    if not lines:
        raise RunNotFound(run.id)
    first = lines[0].event
    if not isinstance(first, RunCreated):
        raise AssertionError("a log begins with run.created")
    return first


def _asked(run: Run, key: str | None) -> Question:
    """What the run waits for; `key` is the question that the caller means."""
    if run.status is not RunStatus.WAITING or run.question is None:
        raise RunNotWaiting(run.id, run.status)
    if key is not None and run.question.key != key:
        raise QuestionChanged(run.id, key, run.question.key)
    return run.question


def _again(run: Run, created: RunCreated) -> Submission:
    """The same request once more."""
    return Submission(
        owner=run.owner,
        input=json_gate.decode(created.input),
        agent=run.agent,
        definition=_brought(run.definition),
        source=run.source,
        thread_id=run.thread_id,
        if_busy=IfBusy.QUEUE if run.in_order else IfBusy.TOGETHER,
        concurrency_key=run.concurrency_key,
        metadata=run.metadata,
        priority=run.priority,
        timeout=run.timeout,
        max_attempts=run.max_attempts,
        label=run.label,
        extra=run.extra,
        callbacks=run.callbacks,
    )


def _brought(definition: Json | None) -> ModelAgent | Refused | None:
    """The agent that the request brought along, which nobody knows by its name. One that has a name is
    looked up again: a retry is worth more after it was mended."""
    found = read_definition(definition) if definition is not None else None
    if isinstance(found, Refused) or (isinstance(found, ModelAgent) and found.inline):
        return found
    return None


async def _left_behind(core: Core, run: Run) -> tuple[tuple[InheritedStep, ...], dict[str, Json]]:
    """Finished steps, with the text that was said in each, and the answers that were given."""
    after, memory = 0, Memory()
    while page := await core.store.events.read(run.id, after, PAGE):
        memory.add(line for line in page if line.type in _KEPT)
        after = page[-1].seq
    said: dict[str | None, list[str]] = {}
    for key, text in memory.text:
        said.setdefault(key, []).append(text)
    steps = tuple(
        InheritedStep(
            key=step.key, name=step.name, kind=step.kind, output=step.output, parent=step.parent,
            text="".join(said.get(step.key, ())),
        )
        for step in await core.store.steps.of(run.id)
        if step.status is StepStatus.FINISHED and step.output is not None
    )  # fmt: skip
    return steps, memory.answers
