"""The steps of a run, projected from its log."""

from runwell.domain.commands import Claim, Lapse
from runwell.domain.events import StepFailed, StepFinished, StepStarted, UsageCounted
from runwell.domain.run import Usage
from runwell.domain.step import StepKind, StepStatus
from runwell.ports.store import Store
from tests.support.runs import BROKE, NOW, a_queued_run, a_running_run, an_id, do, doc, record


def finished(key: str, at: int, output: object = "out") -> StepFinished:
    return StepFinished(key=key, name=key, started_at=at, output=doc(output))


async def test_a_step_runs_then_is_finished_with_its_output(store: Store) -> None:
    run = await a_running_run(store)
    started = StepStarted(key="a#2", name="a", kind=StepKind.TOOL, parent="p")
    run = await record(store, run, started, at=NOW + 1)
    (step,) = await store.steps.of(run.id)
    assert (step.status, step.started_at, step.finished_at) == (StepStatus.RUNNING, NOW + 1, None)
    ended = StepFinished(
        key="a#2", name="a", kind=StepKind.TOOL, parent="p", started_at=NOW + 1, output=doc({"n": 1})
    )
    await record(store, run, ended, at=NOW + 5)
    (step,) = await store.steps.of(run.id)
    assert (step.key, step.name, step.kind, step.parent) == ("a#2", "a", StepKind.TOOL, "p")
    assert (step.status, step.output, step.finished_at) == (StepStatus.FINISHED, doc({"n": 1}), NOW + 5)
    assert (step.attempt, step.started_at, step.inherited, step.error) == (1, NOW + 1, False, None)


async def test_a_failed_step_has_its_error_until_it_is_done_again(store: Store) -> None:
    run = await record(store, await a_running_run(store), StepStarted(key="a", name="a"))
    failed = StepFailed(key="a", name="a", started_at=NOW, error=BROKE)
    run = await record(store, run, failed, at=NOW + 2)
    (step,) = await store.steps.of(run.id)
    assert (step.status, step.error, step.output, step.finished_at) == (
        StepStatus.FAILED, BROKE, None, NOW + 2,
    )  # fmt: skip
    run = await record(store, run, StepStarted(key="a", name="a"), at=NOW + 3)
    (step,) = await store.steps.of(run.id)
    assert (step.status, step.error, step.finished_at) == (StepStatus.RUNNING, None, None)


async def test_a_step_over_two_attempts_keeps_its_place_and_what_it_cost(store: Store) -> None:
    run = await a_running_run(store)
    run = await record(store, run, StepStarted(key="a", name="a"), StepStarted(key="b", name="b"), at=NOW + 1)
    run = await record(store, run, UsageCounted(usage=Usage(input_tokens=5, cost=0.5), in_step="a"))
    run = await do(store, run, Lapse(seen_at=NOW), NOW + 2)
    run = await do(store, run, Claim(worker="w2"), NOW + 3)
    run = await record(store, run, StepStarted(key="b", name="b"), StepStarted(key="a", name="a"), at=NOW + 4)
    spent = Usage(input_tokens=7, output_tokens=1, cost=0.25, tool_calls=2)
    run = await record(store, run, UsageCounted(usage=spent, in_step="a"), finished("a", NOW + 4), at=NOW + 5)
    first, second = await store.steps.of(run.id)
    assert (first.key, first.attempt, first.started_at) == ("a", 2, NOW + 4)
    assert first.usage == Usage(input_tokens=12, output_tokens=1, cost=0.75, tool_calls=2)
    assert (second.key, second.status, second.attempt) == ("b", StepStatus.RUNNING, 2)
    assert (await store.runs.get(run.id)).usage == first.usage


async def test_usage_outside_steps_or_in_unknown_ones_is_the_runs_alone(store: Store) -> None:
    run = await record(store, await a_running_run(store), StepStarted(key="a", name="a"))
    run = await record(
        store, run, UsageCounted(usage=Usage(credits=1.0)),
        UsageCounted(usage=Usage(credits=2.0), in_step="never began"),
    )  # fmt: skip
    (step,) = await store.steps.of(run.id)
    assert step.usage == Usage()
    assert (await store.runs.get(run.id)).usage.credits == 3.0


async def test_steps_are_in_the_order_they_first_started(store: Store) -> None:
    run = await a_running_run(store)
    for key in ("z", "a", "m"):
        run = await record(store, run, StepStarted(key=key, name=key))
    for key in ("m", "z", "a"):
        run = await record(store, run, finished(key, NOW))
    assert [step.key for step in await store.steps.of(run.id)] == ["z", "a", "m"]


async def test_steps_belong_to_their_run(store: Store) -> None:
    first, second = await a_running_run(store), await a_running_run(store)
    await record(store, first, StepStarted(key="a", name="a"), finished("a", NOW, 1))
    await record(store, second, StepStarted(key="a", name="a"), finished("a", NOW, 2))
    assert [step.output for step in await store.steps.of(first.id)] == [doc(1)]
    assert [step.output for step in await store.steps.of(second.id)] == [doc(2)]
    assert await store.steps.of((await a_queued_run(store)).id) == []
    assert await store.steps.of(an_id()) == []
