"""Logs of runs: any order of any events, and what real attempts write when they crash and tell it again."""

import random
from collections.abc import Callable, Sequence

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
    Said,
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
from runwell.domain.memory import remember
from runwell.domain.retelling import Retelling
from runwell.domain.run import Progress, Question, RunError, Usage
from runwell.domain.step import StepKind
from runwell.domain.thread import Role

Dice = random.Random
KEYS = ("model", "model#2", "tool", "code")
LANES = (None, None, *KEYS)
CALLS = ("call_1", "call_2", "call_1#2", "")
TEXTS = ("a", "Hello ", "", "wörd\n\n", "🚀", "data: [DONE]\n\n", "\u2028", '"quoted\\"')
VALUES = (None, 1, "text", {"q": "tides"}, [1, {"a": None}], "", 2.5)
ERROR = RunError("error", "it broke")


def lines(*events: Event) -> list[LoggedEvent]:
    return [
        LoggedEvent(seq, seq, event.type, encode_event(event)) for seq, event in enumerate(events, start=1)
    ]


def _created(dice: Dice) -> RunCreated:
    inherited = tuple(
        InheritedStep(
            key=key, name=key, kind=dice.choice(list(StepKind)), output=encode(1), text=dice.choice(TEXTS)
        )
        for key in KEYS
        if dice.random() < 0.1
    )
    return RunCreated(agent="x", input=encode("q"), steps=inherited)


def _usage(dice: Dice) -> UsageCounted:
    usage = Usage(
        input_tokens=dice.randrange(3), output_tokens=dice.randrange(3), reasoning_tokens=dice.randrange(2),
        cached_tokens=dice.randrange(2), model_calls=1, cost=dice.choice((0.0, 0.5)),
    )  # fmt: skip
    return UsageCounted(usage=usage, model=dice.choice((None, "m")), in_step=dice.choice(LANES))


MAKERS: tuple[Callable[[Dice], Event], ...] = (
    lambda dice: AttemptStarted(attempt=2, worker="w"),
    lambda dice: AttemptFailed(attempt=1, error=ERROR, retry_at=0),
    lambda dice: AttemptLost(attempt=1, worker="w"),
    lambda dice: AttemptHandedBack(attempt=1, worker="w"),
    lambda dice: RunWaiting(question=Question("q", encode("sure?"))),
    lambda dice: RunResumed(key="q", answer=encode("yes")),
    lambda dice: RunCancelRequested(by="me"),
    lambda dice: StepStarted(key=(key := dice.choice(KEYS)), name=key, kind=dice.choice(list(StepKind))),
    lambda dice: StepStarted(key=(key := dice.choice(KEYS[:2])), name=key, kind=StepKind.MODEL),
    lambda dice: StepFinished(key=(key := dice.choice(KEYS)), name=key, started_at=0, output=encode(1)),
    lambda dice: StepFailed(key=(key := dice.choice(KEYS)), name=key, started_at=0, error=ERROR),
    lambda dice: TextDelta(text=dice.choice(TEXTS), in_step=dice.choice(LANES)),
    lambda dice: TextDelta(text=dice.choice(TEXTS), in_step=dice.choice(LANES)),
    lambda dice: ReasoningDelta(text=dice.choice(TEXTS), in_step=dice.choice(LANES)),
    lambda dice: MessageAdded(
        role=dice.choice(list(Role)), content=encode(dice.choice(VALUES)), in_step=dice.choice(LANES)
    ),
    lambda dice: ToolCalled(
        call_id=dice.choice(CALLS), name=dice.choice(("search", "")), in_step=dice.choice(LANES),
        arguments=encode(dice.choice(VALUES)),
    ),
    lambda dice: ToolReturned(
        call_id=dice.choice(CALLS), name="search", result=encode(dice.choice(VALUES)),
        failed=dice.random() < 0.3, in_step=dice.choice(LANES),
    ),
    lambda dice: ProgressNoted(progress=Progress(5, "half")),
    _usage,
    lambda dice: OutputRestarted(attempt=2),
)  # fmt: skip

ENDINGS: tuple[Callable[[Dice], Event], ...] = (
    lambda dice: RunSucceeded(output=encode(dice.choice((*VALUES, *TEXTS)))),
    lambda dice: RunFailed(reason="error", error=ERROR),
    lambda dice: RunFailed(reason="error", error=RunError("error", "")),
    lambda dice: RunCancelled(reason="requested", by="me"),
)


def a_random_log(dice: Dice, *, ended: bool | None = None) -> list[LoggedEvent]:
    """Events in any order, also in orders that no run has: nothing may bring the writer out of step."""
    events: list[Event] = [_created(dice)]
    events += [dice.choice(MAKERS)(dice) for _ in range(dice.randrange(40))]
    if ended if ended is not None else dice.random() < 0.8:
        events.append(dice.choice(ENDINGS)(dice))
    return lines(*events)


def a_story(dice: Dice) -> list[Event]:
    """What a well-behaved agent says and does, from its start to its end."""
    told: list[Event] = []
    for turn in range(dice.randrange(1, 4)):
        key = f"model-{turn}"
        told.append(StepStarted(key=key, name="model", kind=StepKind.MODEL))
        told += [ReasoningDelta(text=f"r{dice.randrange(9)} ", in_step=key) for _ in range(dice.randrange(3))]
        told += [TextDelta(text=f"w{dice.randrange(9)} ", in_step=key) for _ in range(dice.randrange(1, 5))]
        told.append(
            StepFinished(key=key, name="model", kind=StepKind.MODEL, started_at=0, output=encode(turn))
        )
        if dice.random() < 0.5:
            told += _a_tool(f"tool-{turn}", dice)
        if dice.random() < 0.5:
            told.append(TextDelta(text=f"({dice.randrange(9)}) "))
    return told


def _a_tool(key: str, dice: Dice) -> list[Event]:
    return [
        StepStarted(key=key, name="search", kind=StepKind.TOOL),
        ToolCalled(call_id=key, name="search", arguments=encode(dice.randrange(9)), in_step=key),
        ToolReturned(call_id=key, name="search", result=encode(dice.randrange(9)), in_step=key),
        StepFinished(key=key, name="search", kind=StepKind.TOOL, started_at=0, output=encode(1)),
    ]


def told_in_attempts(stories: Sequence[list[Event]], cuts: Sequence[int]) -> list[LoggedEvent]:
    """The log of a run whose n-th attempt tells the n-th story and is lost after `cuts[n]` of its events;
    the last one succeeds. What each writes is decided as in the worker."""
    log: list[Event] = [RunCreated(agent="x", input=encode("q"))]
    for attempt, story in enumerate(stories, start=1):
        memory = remember(lines(*log))
        retelling = Retelling(memory, attempt)
        log.append(AttemptStarted(attempt=attempt, worker="w"))
        last = attempt == len(stories)
        for event in story if last else story[: cuts[attempt - 1]]:
            log += _written(event, retelling, set(memory.values))
        if last:
            log += [*retelling.end(), RunSucceeded(output=encode(retelling.text() or None))]
        else:
            log.append(AttemptLost(attempt=attempt, worker="w"))
    return lines(*log)


def _written(event: Event, retelling: Retelling, remembered: set[str]) -> Sequence[Event]:
    if isinstance(event, StepStarted | StepFinished):
        if event.key in remembered:
            return ()
        return (*retelling.finish_step(event.key), event) if isinstance(event, StepFinished) else (event,)
    assert isinstance(event, Said)
    return () if event.in_step in remembered else retelling.tell(event)
