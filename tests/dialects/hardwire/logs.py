"""Logs of workflow runs: any order of any events, and what real attempts write when they crash."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from runwell.dialects.hardwire.runs import Plan, Planned
from runwell.domain.events import (
    AttemptFailed,
    AttemptHandedBack,
    AttemptLost,
    AttemptStarted,
    Event,
    InheritedStep,
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
    encode_event,
)
from runwell.domain.json_gate import encode
from runwell.domain.run import Progress, Question, RunError, Usage
from runwell.domain.step import StepKind
from runwell.domain.thread import Role

Dice = random.Random
SECOND = 1_000_000
PLAN: Plan = (Planned("a", "First", "tool-a"), Planned("b", "b", "tool-b"), Planned("c", "Last", "m"))
OUTER = ("a", "b", "c", "stray")
INNER = ("a/find", "b/call", "c/call#2")
LANES = (None, None, *OUTER, *INNER)
TEXTS = ("x", "Hello ", "", "wörd\n\n", "🚀", "data: [DONE]\n\n", '"quoted\\"', "\u2028")
VALUES: tuple[Any, ...] = (None, 1, "text", {"q": "tides"}, [1, {"a": None}], "", 2.5, {})
ERROR = RunError("error", "it broke")


def lines(*events: Event) -> list[LoggedEvent]:
    return [
        LoggedEvent(seq, seq * SECOND, event.type, encode_event(event))
        for seq, event in enumerate(events, start=1)
    ]


def _created(dice: Dice) -> RunCreated:
    inherited = tuple(
        InheritedStep(key=key, name=key, kind=StepKind.WORKFLOW, output=encode(1), text=dice.choice(TEXTS))
        for key in OUTER
        if dice.random() < 0.1
    )
    return RunCreated(agent="x", input=encode(dice.choice(VALUES)), steps=inherited)


def started(key: str) -> StepStarted:
    kind = StepKind.TOOL if key in INNER else StepKind.WORKFLOW
    return StepStarted(key=key, name=key.rpartition("/")[2], kind=kind)


def finished(key: str, output: object = "done") -> StepFinished:
    kind = StepKind.TOOL if key in INNER else StepKind.WORKFLOW
    name = key.rpartition("/")[2]
    return StepFinished(key=key, name=name, kind=kind, started_at=SECOND, output=encode(output))


def failed(key: str) -> StepFailed:
    return StepFailed(key=key, name=key, kind=StepKind.WORKFLOW, started_at=SECOND, error=ERROR)


MAKERS: tuple[Callable[[Dice], Event], ...] = (
    lambda dice: AttemptStarted(attempt=2, worker="w"),
    lambda dice: AttemptFailed(attempt=1, error=ERROR, retry_at=0),
    lambda dice: AttemptLost(attempt=1, worker="w"),
    lambda dice: AttemptHandedBack(attempt=1, worker="w"),
    lambda dice: RunWaiting(question=Question("q", encode("sure?"))),
    lambda dice: RunResumed(key="q", answer=encode("yes")),
    lambda dice: RunCancelRequested(by="me"),
    lambda dice: started(dice.choice((*OUTER, *INNER))),
    lambda dice: started(dice.choice(OUTER)),
    lambda dice: finished(dice.choice((*OUTER, *INNER)), dice.choice(VALUES)),
    lambda dice: failed(dice.choice(OUTER)),
    lambda dice: TextDelta(text=dice.choice(TEXTS), in_step=dice.choice(LANES)),
    lambda dice: ReasoningDelta(text=dice.choice(TEXTS), in_step=dice.choice(LANES)),
    lambda dice: MessageAdded(
        role=dice.choice(list(Role)), content=encode(dice.choice(VALUES)), in_step=dice.choice(LANES)
    ),
    lambda dice: ToolCalled(
        call_id=dice.choice(("c1", "c2")), name=dice.choice(("search", "")), in_step=dice.choice(LANES),
        arguments=encode(dice.choice(VALUES)),
    ),
    lambda dice: ToolReturned(
        call_id=dice.choice(("c1", "c2")), name=dice.choice(("search", "")), in_step=dice.choice(LANES),
        result=encode(dice.choice(VALUES)), failed=dice.random() < 0.3,
    ),
    lambda dice: ProgressNoted(
        progress=Progress(dice.choice((None, 0.0, 33.4, 100.0)), dice.choice((None, "First: half", "b"))),
        in_step=dice.choice(LANES),
    ),
    lambda dice: UsageCounted(usage=Usage(input_tokens=1), in_step=dice.choice(LANES)),
    lambda dice: OutputRestarted(attempt=2),
)  # fmt: skip

ENDINGS: tuple[Callable[[Dice], Event], ...] = (
    lambda dice: RunSucceeded(output=encode(dice.choice((*VALUES, *TEXTS)))),
    lambda dice: RunFailed(reason="error", error=ERROR),
    lambda dice: RunCancelled(reason="requested", by="me"),
)


def a_random_log(dice: Dice, *, ended: bool | None = None) -> list[LoggedEvent]:
    """Events in any order, also in orders that no run has: nothing may bring a writer out of step."""
    events: list[Event] = [_created(dice)]
    events += [dice.choice(MAKERS)(dice) for _ in range(dice.randrange(40))]
    if ended if ended is not None else dice.random() < 0.8:
        events.append(dice.choice(ENDINGS)(dice))
    return lines(*events)


def a_crashing_log(cuts: Sequence[int]) -> list[LoggedEvent]:
    """A run of the plan whose attempts are lost after so many events each; the last one succeeds. A later
    attempt does what has not finished, and nothing else."""
    log: list[Event] = [RunCreated(agent="x", input=encode("q"))]
    done: set[str] = set()
    for attempt, cut in enumerate((*cuts, 99), start=1):
        log.append(AttemptStarted(attempt=attempt, worker="w"))
        story: list[Event] = [
            make(step.id) for step in PLAN if step.id not in done for make in (started, finished)
        ]
        told = story[:cut]
        log += told
        done |= {event.key for event in told if isinstance(event, StepFinished)}
        if attempt <= len(cuts):
            log.append(AttemptLost(attempt=attempt, worker="w"))
    return lines(*log, RunSucceeded(output=encode("done")))
