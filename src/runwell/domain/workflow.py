"""The order of a workflow's steps. Pure: the same steps always give the same order.

Steps of which none says what it depends on run one after the other, as given. As soon as one says it,
be it with an empty list, they are a graph: a step runs when all that it depends on are done, and steps
that do not depend on each other run at the same time.
"""

import re
from collections.abc import Mapping, Sequence

from runwell.domain import json_gate
from runwell.domain.agent import WorkflowAgent, WorkflowStep
from runwell.domain.errors import InvalidInput

MOST_STEPS = 100
LONGEST_NAME = 200
"""Characters of a step's name."""

STEP_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\Z")
"""An id is the key of a durable step, and the beginning of the keys of the steps within it."""


def check_workflow(workflow: WorkflowAgent) -> None:
    """Raise `InvalidInput` at the first fault, with its path: `$.steps[2].depends_on[0]`."""
    steps = workflow.steps
    if not 1 <= len(steps) <= MOST_STEPS:
        raise InvalidInput(
            "$.steps",
            f"a workflow has 1 to {MOST_STEPS} steps, not {len(steps)}",
            "Leave it out, or split it.",
        )
    places: dict[str, int] = {}
    for place, step in enumerate(steps):
        path = f"$.steps[{place}]"
        _check_words(step, path)
        if step.id in places:
            raise InvalidInput(
                f"{path}.id",
                f"{step.id!r} is the id of $.steps[{places[step.id]}] too",
                "Give each step an id of its own.",
            )
        places[step.id] = place
    for place, step in enumerate(steps):
        _check_dependencies(step, places, f"$.steps[{place}].depends_on")
    cycle = _cycle(steps, needs_of(workflow))
    if cycle:
        place = places[cycle[0]]
        raise InvalidInput(
            f"$.steps[{place}].depends_on",
            f"the steps wait for each other: {' -> '.join(cycle)}",
            "A step can only depend on steps that do not depend on it.",
        )


def needs_of(workflow: WorkflowAgent) -> dict[str, tuple[str, ...]]:
    """What each step waits for, by id."""
    steps = workflow.steps
    if any(step.depends_on is not None for step in steps):
        return {step.id: step.depends_on or () for step in steps}
    before = ((), *((step.id,) for step in steps))
    return {step.id: needs for step, needs in zip(steps, before, strict=False)}


def plan_of(workflow: WorkflowAgent) -> tuple[WorkflowStep, ...]:
    """All steps in dependency order; where that leaves a choice, in the order given.

    A step that has not begun is in here and not yet among the run's steps: it is pending. Raises
    `ValueError` for a workflow that `check_workflow` refuses.
    """
    needs, left, done = needs_of(workflow), list(workflow.steps), set[str]()
    plan: list[WorkflowStep] = []
    while left:
        step = next((step for step in left if done.issuperset(needs[step.id])), None)
        if step is None:
            raise ValueError("the steps wait for each other, or for steps that there are not")
        left.remove(step)
        done.add(step.id)
        plan.append(step)
    return tuple(plan)


def last_of(workflow: WorkflowAgent) -> tuple[WorkflowStep, ...]:
    """The steps that no other waits for, in dependency order; what they bring is the run's output."""
    waited_for = {id for needs in needs_of(workflow).values() for id in needs}
    return tuple(step for step in plan_of(workflow) if step.id not in waited_for)


def _check_words(step: WorkflowStep, path: str) -> None:
    if not STEP_ID.match(step.id):
        raise InvalidInput(
            f"{path}.id",
            f"{step.id[:80]!r} is no id for a step",
            "Use 1 to 100 letters, digits, _ . and -, beginning with a letter, a digit or _.",
        )
    if not 1 <= len(step.name) <= LONGEST_NAME:
        raise InvalidInput(f"{path}.name", f"must have 1 to {LONGEST_NAME} characters", "Or leave it out.")
    json_gate.check(step.name, f"{path}.name")
    json_gate.check(step.prompt, f"{path}.prompt")


def _check_dependencies(step: WorkflowStep, places: Mapping[str, int], path: str) -> None:
    for number, other in enumerate(step.depends_on or ()):
        if other not in places:
            raise InvalidInput(
                f"{path}[{number}]",
                f"there is no step {other[:80]!r}",
                f"The steps are: {', '.join(places)}.",
            )
        if other in (step.depends_on or ())[:number]:
            raise InvalidInput(f"{path}[{number}]", f"{other!r} is named twice", "Name it once.")


def _cycle(steps: Sequence[WorkflowStep], needs: Mapping[str, tuple[str, ...]]) -> list[str]:
    """A way from a step back to itself, `[a, b, a]`; empty when there is none."""
    done: set[str] = set()
    while True:
        free = [id for id in needs if id not in done and done.issuperset(needs[id])]
        if not free:
            break
        done.update(free)
    here = next((step.id for step in steps if step.id not in done), None)
    way: list[str] = []
    while here is not None and here not in way:
        way.append(here)
        # Each step left waits for another one that is left: going from one to the next ends in a cycle.
        here = next(other for other in needs[here] if other not in done)
    return [] if here is None else [*way[way.index(here) :], here]
