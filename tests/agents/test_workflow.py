"""Workflows, driven by a real worker: order, inputs, outputs, failures, progress."""

import asyncio
import threading
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runwell import Context, SyncContext, agent, step, workflow
from runwell.agents.catalogue import Catalog
from runwell.agents.errors import CannotLoad
from runwell.agents.loader import load
from runwell.agents.python import UnusableFunction
from runwell.agents.workflow.table import workflow_agents
from runwell.domain.agent import TEXT_INPUT, ModelAgent, WorkflowAgent, WorkflowStep
from runwell.domain.errors import InvalidInput
from runwell.domain.events import OutputRestarted, ProgressNoted, StepStarted, TextDelta
from runwell.domain.json_gate import EMPTY, Json, decode
from runwell.domain.step import StepKind, StepStatus
from runwell.domain.workflow import last_of
from runwell.ports.agent import AgentFailed
from tests.agents.recording import RecordingContext
from tests.support.machines import a_machine, cancel, run_to_end, start, until, until_said, whole_log


@agent
async def echo(question: str) -> str:
    """A plain prompt comes back."""
    return question


@agent
async def show(value: Any) -> Any:
    """Any value comes back."""
    return value


@agent
async def broken(question: str) -> str:
    raise ValueError(f"no {question}")


@agent(kind="tool")
async def look_up(word: str) -> str:
    return f"{word} is a word"


async def output_of(tmp_path: Path, made: Any, input: Any) -> Any:
    async with a_machine(tmp_path / "db", made) as machine:
        run = await run_to_end(machine, made.name, input)
        assert run.error is None
        assert run.output is not None
        return decode(run.output)


async def test_each_step_gets_what_the_one_before_it_brought(tmp_path):
    made = workflow("line", steps=[step("a", agent=show), step("b", agent=show), step("c", agent=echo)])
    assert await output_of(tmp_path, made, {"n": [1]}) == '{"n":[1]}'


async def test_a_prompt_brings_the_input_and_the_outputs_along(tmp_path):
    steps = [
        step("a", agent=show, after=[]),
        step("b", name="The B", agent=echo, prompt="Say b."),
        step("text", agent=echo, prompt="Write.", after=["b", "a"]),
        step("json", agent=show, prompt="Write.", after=["b", "a"]),
    ]
    b = "Say b.\n\nInput:\nhi"
    assert await output_of(tmp_path, workflow("w", steps=steps), {"prompt": "hi"}) == {
        "text": f"Write.\n\nInput:\nhi\n\nOutput of The B:\n{b}\n\nOutput of a:\n" + '{"prompt":"hi"}',
        "json": {"prompt": "Write.", "input": {"prompt": "hi"}, "outputs": {"b": b, "a": {"prompt": "hi"}}},
    }


async def test_several_outputs_without_a_prompt_come_by_id_or_headed(tmp_path):
    steps = [
        step("a", agent=show, after=[]),
        step("b", agent=show),
        step("json", agent=show, after=["a", "b"]),
        step("text", agent=echo, after=["a", "b"]),
    ]
    assert await output_of(tmp_path, workflow("w", steps=steps), 7) == {
        "json": {"a": 7, "b": 7},
        "text": "Output of a:\n7\n\nOutput of b:\n7",
    }


async def test_independent_steps_run_at_the_same_time_and_each_is_a_durable_step(tmp_path):
    met = asyncio.Barrier(2)

    @agent
    async def meet(ctx: Context, question: str) -> str:
        async with asyncio.timeout(10):
            await met.wait()
        await ctx.step("think", lambda: "thought")
        await ctx.tool_called("look")
        return question

    steps = [step("a", agent=meet, after=[]), step("b", agent=meet), step("c", agent=show, after=["a", "b"])]
    made = workflow("w", steps=steps)
    async with a_machine(tmp_path / "db", made) as machine:
        run = await run_to_end(machine, "w", "x")
        assert run.output is not None and decode(run.output) == {"a": "x", "b": "x"}
        rows = {each.key: each for each in await machine.store.steps.of(run.id)}
    assert set(rows) == {"a", "b", "c", "a/think", "b/think"}
    assert {rows[id].kind for id in "abc"} == {StepKind.WORKFLOW}
    assert {each.status for each in rows.values()} == {StepStatus.FINISHED}
    assert (rows["a/think"].parent, rows["a/think"].name) == ("a", "think")
    assert rows["a"].finished_at is not None and rows["c"].started_at >= rows["a"].finished_at


async def test_plain_functions_do_steps_in_a_thread_of_their_own(tmp_path):
    seen: list[Any] = []

    @agent
    def count(ctx: SyncContext, words: str) -> int:
        def work() -> int:
            seen.append(threading.current_thread())
            return len(words.split())

        ctx.text("counting")
        ctx.progress(50, "half")
        counted = ctx.step("work", work)
        seen.append((threading.current_thread(), ctx.input, len(ctx.messages), ctx.cancelled))
        return counted

    async with a_machine(
        tmp_path / "db", workflow("w", steps=[step("c", name="Count", agent=count)])
    ) as machine:
        run = await run_to_end(machine, "w", "one two")
        log = [line.event for line in await whole_log(machine, run.id)]
    assert run.output is not None and decode(run.output) == 2
    assert seen[0] is not threading.current_thread()
    assert seen[1] == (seen[0], "one two", 1, False)
    assert [event.in_step for event in log if isinstance(event, TextDelta)] == ["c"]
    assert [event.key for event in log if isinstance(event, StepStarted)] == ["c", "c/work"]
    told = [event.progress for event in log if isinstance(event, ProgressNoted)]
    assert [(each.percent, each.step) for each in told] == [
        (0.0, "Count"), (50.0, "Count: half"), (100.0, None),
    ]  # fmt: skip


async def test_a_step_whose_agent_returns_nothing_brings_the_text_it_streamed(tmp_path):
    @agent
    async def stream(ctx: Context, question: str) -> None:
        async def aside() -> None:
            await ctx.text("(aside)")

        await ctx.text("tick ")
        await ctx.step("aside", aside)
        await ctx.step("aside", lambda: aside())
        await ctx.text("tock")

    @agent
    async def quiet(question: str) -> None:
        """Nothing at all."""

    made = workflow("w", steps=[step("a", agent=stream, after=[]), step("b", agent=quiet)])
    assert await output_of(tmp_path, made, "x") == {"a": "tick tock", "b": None}


async def test_progress_is_the_share_of_steps_done_and_names_those_under_way(tmp_path):
    made = workflow("w", steps=[step("a", name="First", agent=echo), step("b", name="Second", agent=echo)])
    async with a_machine(tmp_path / "db", made) as machine:
        run = await run_to_end(machine, "w", "x")
        log = [line.event for line in await whole_log(machine, run.id)]
    told = [event.progress for event in log if isinstance(event, ProgressNoted)]
    assert [(each.percent, each.step) for each in told] == [(0, "First"), (50, "Second"), (100, None)]
    assert run.progress == told[-1]


async def test_a_failed_step_fails_the_run_and_leaves_the_later_ones_pending(tmp_path):
    made = workflow("w", steps=[step("a", agent=echo), step("b", agent=broken), step("c", agent=echo)])
    async with a_machine(tmp_path / "db", made) as machine:
        run = await run_to_end(machine, "w", "luck")
        steps = {each.key: each.status for each in await machine.store.steps.of(run.id)}
    assert (run.status, run.reason) == ("failed", "error")
    assert run.error is not None and run.error.message == "step 'b' failed: no luck"
    assert steps == {"a": StepStatus.FINISHED, "b": StepStatus.FAILED}


async def test_what_is_under_way_when_a_step_fails_ends_first_and_nothing_more_begins(tmp_path):
    failed, ended = asyncio.Event(), []

    @agent
    async def slow(ctx: Context, question: str) -> str:
        await failed.wait()
        ended.append(question)
        return question

    @agent
    async def fails(question: str) -> str:
        raise AgentFailed("model_error", "the model is away")

    steps = [
        step("bad", agent=fails, after=[]),
        step("slow", agent=slow),
        step("next", agent=echo, after=["slow"]),
    ]
    async with a_machine(tmp_path / "db", workflow("w", steps=steps)) as machine:
        run = await start(machine, "w", "x")
        await until_said(machine, run.id, lambda log: any(line.type == "step.failed" for line in log))
        machine.loops.current.post(failed.set)
        run = await until(machine, run.id, lambda run: run.final)
        done = {each.key: each.status for each in await machine.store.steps.of(run.id)}
    assert (run.reason, ended) == ("model_error", ["x"])
    assert run.error is not None and run.error.message == "step 'bad' failed: the model is away"
    assert done == {"bad": StepStatus.FAILED, "slow": StepStatus.FINISHED}


async def test_a_retry_goes_on_at_the_step_that_failed_and_tells_the_same(tmp_path):
    done: list[str] = []
    first_told = asyncio.Event()

    @agent
    async def first(question: str) -> str:
        done.append("first")
        return question

    @agent
    async def beside(question: str) -> str:
        await first_told.wait()
        done.append("beside")
        return question

    @agent
    async def second(ctx: Context, question: str) -> str:
        await ctx.text("so far ")
        done.append("second")
        if done.count("second") < 2:
            raise ValueError("once")
        return question

    steps = [
        step("a", agent=first, after=[]),
        step("beside", agent=beside),
        step("b", agent=second, after=["a", "beside"]),
    ]
    async with a_machine(tmp_path / "db", workflow("w", steps=steps, retries=1)) as machine:
        run = await start(machine, "w", "x")
        await until(machine, run.id, lambda run: run.progress is not None and run.progress.step == "beside")
        machine.loops.current.post(first_told.set)
        run = await until(machine, run.id, lambda run: run.final)
        log = [line.event for line in await whole_log(machine, run.id)]
    assert (run.status, run.tries, done) == ("succeeded", 1, ["first", "beside", "second", "second"])
    # So the readers' stream is unbroken, although two steps were done at once this time.
    assert [event.text for event in log if isinstance(event, TextDelta)] == ["so far "]
    assert not any(isinstance(event, OutputRestarted) for event in log)
    told = [event.progress.percent for event in log if isinstance(event, ProgressNoted)]
    assert [round(percent or 0) for percent in told] == [0, 33, 67, 100]


async def test_an_interrupted_workflow_ends_when_its_steps_have_unwound(tmp_path):
    hanging, unwound = asyncio.Barrier(3), asyncio.Event()

    @agent
    async def hang(question: str) -> None:
        try:
            await hanging.wait()
            await asyncio.Event().wait()
        finally:
            await asyncio.shield(asyncio.to_thread(lambda: None))
            unwound.set()

    made = workflow("w", steps=[step("a", agent=hang, after=[]), step("b", agent=hang)])
    task = asyncio.create_task(made.call(RecordingContext("x")))
    await hanging.wait()
    task.cancel()
    await asyncio.wait({task}, timeout=10)
    assert task.cancelled()
    assert unwound.is_set()


async def test_a_cancel_interrupts_the_steps_and_they_unwind_before_the_run_is_cancelled(tmp_path):
    unwound: list[str] = []

    @agent
    async def hang(ctx: Context, question: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            unwound.append(ctx.input)

    made = workflow("w", steps=[step("a", agent=hang, after=[]), step("b", agent=hang, prompt="Hang.")])
    async with a_machine(tmp_path / "db", made) as machine:
        run = await start(machine, "w", "x")
        await until_said(machine, run.id, lambda log: sum(line.type == "step.started" for line in log) == 2)
        await cancel(machine, run.id)
        run = await until(machine, run.id, lambda run: run.final)
    assert (run.status, sorted(unwound)) == ("cancelled", ["Hang.\n\nInput:\nx", "x"])


async def test_a_question_in_a_step_fails_it_with_the_way_out(tmp_path):
    @agent
    async def asks(ctx: Context, question: str) -> str:
        return str(await ctx.ask("sure?"))

    @agent
    def asks_too(ctx: SyncContext, question: str) -> str:
        return str(ctx.ask("sure?"))

    async with a_machine(
        tmp_path / "db",
        workflow("v", steps=[step("a", agent=asks)]),
        workflow("w", steps=[step("a", agent=asks_too)]),
    ) as machine:
        for name in ("v", "w"):
            run = await run_to_end(machine, name, "x")
            assert run.status == "failed"
            assert run.error is not None
            assert "cannot wait for a person: run that agent by itself" in run.error.message


async def test_a_model_does_the_steps_that_name_nobody(model, tmp_path):
    asked = ModelAgent(model="scripted", base_url=model.base_url, instructions="Be brief.")
    steps = [
        step("look", prompt='[[tool: look_up {"word": "tide"}]] [[say: found]]', tools=[look_up]),
        step("write", prompt="[[say: all done]]"),
        step("end", agent=show),
    ]
    made = workflow("w", steps=steps, model=asked)
    async with a_machine(tmp_path / "db", made, look_up) as machine:
        run = await run_to_end(machine, "w", None)
        rows = await machine.store.steps.of(run.id)
    assert run.output is not None and decode(run.output) == "all done"
    assert [(row.kind, row.parent) for row in rows if row.parent == "look"] == [
        (StepKind.MODEL, "look"), (StepKind.TOOL, "look"), (StepKind.MODEL, "look"),
    ]  # fmt: skip
    assert [row.key for row in rows if row.parent == "write"] == ["write/model"]
    assert run.usage.model_calls == 3


async def test_without_a_model_the_default_agent_does_what_names_nobody(tmp_path):
    made = workflow("w", steps=[step("a", prompt="Say."), step("b", agent="look_up")])
    async with a_machine(tmp_path / "db", made, look_up, echo) as machine:
        run = await run_to_end(machine, "w", "x")
    assert run.output is not None and decode(run.output) == "Say.\n\nInput:\nx is a word"


def test_the_input_schema_is_the_first_steps_own_and_its_input_is_checked():
    one = Catalog([workflow("w", steps=[step("a", agent=echo), step("b", agent=show)])]).find("w", None)
    assert one is not None
    assert (one.spec.kind, one.spec.input_schema) == ("workflow", TEXT_INPUT)
    with pytest.raises(InvalidInput):
        one.check_input(None)
    prompted = Catalog([workflow("w", steps=[step("a", agent=echo, prompt="Say.")])]).find("w", None)
    assert prompted is not None
    assert prompted.spec.input_schema == EMPTY
    prompted.check_input(None)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (step("a", agent="nobody"), "workflow 'w': step 'a' names the agent 'nobody', which is not served"),
        (step("a", agent="w"), "'w', which is a workflow itself"),
        (step("a", tools=["look_up"]), "has tools, and the agent 'echo' does it"),
        (step("a", model="m", tools=["saw"]), "uses the tool 'saw', which is not served"),
    ],
)
def test_a_step_that_nobody_can_do_is_refused_at_the_start(given, words):
    with pytest.raises(CannotLoad, match=words) as refused:
        Catalog([workflow("w", steps=[given]), echo, look_up])
    assert refused.value.hint


def test_a_step_needs_somebody():
    with pytest.raises(CannotLoad, match="neither an agent nor a model"):
        Catalog([workflow("w", steps=[step("a", prompt="Say.")]), look_up])


async def test_a_frozen_workflow_whose_agent_is_not_here_says_so():
    frozen = WorkflowAgent(steps=(WorkflowStep(id="a", name="a", agent="elsewhere"),))
    found = Catalog([echo]).find("w", Json(msgspec.json.encode(frozen)))
    assert found is not None
    found.check_input(None)
    assert found.spec.input_schema == EMPTY
    with pytest.raises(AgentFailed, match="'elsewhere', which is not served"):
        await found.call(RecordingContext("x"))


def test_what_cannot_be_a_step_or_a_workflow_is_refused_where_it_is_written():
    with pytest.raises(UnusableFunction, match="is no agent"):
        step("a", agent=len)
    with pytest.raises(UnusableFunction, match="is a workflow itself"):
        step("a", agent=workflow("w", steps=[step("a", agent=echo)]))
    with pytest.raises(ValueError, match="an agent and a model"):
        step("a", agent=echo, model="m")
    with pytest.raises(TypeError, match="after is a list"):
        step("a", agent=echo, after="b")
    with pytest.raises(InvalidInput, match="a -> a"):
        workflow("w", steps=[step("a", agent=echo, after=["a"])])
    with pytest.raises(ValueError, match="no name for an agent"):
        workflow("a/b", steps=[step("a", agent=echo)])


def test_a_workflow_is_loaded_from_a_file_with_agents_that_are_not(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "flow_a.py").write_text(
        "from runwell import agent, step, workflow\n"
        "@agent\nasync def inner(q: str) -> str:\n    return q\n"
        "report = workflow('report', steps=[step('a', agent=inner)])\n"
    )
    (found,) = load([f"{tmp_path / 'flow_a.py'}:report"])
    joined = Catalog([found]).find("report", None)
    assert joined is not None
    assert joined.spec.workflow == WorkflowAgent(steps=(WorkflowStep(id="a", name="a", agent="inner"),))
    assert [each.spec.name for each in load([str(tmp_path / "flow_a.py")])] == ["inner", "report"]


def test_a_cycle_in_a_file_is_told_with_the_users_line(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "flow_b.py").write_text(
        "from runwell import step, workflow\n"
        "w = workflow('w', steps=[step('a', after=['b']), step('b', after=['a'])])\n"
    )
    with pytest.raises(CannotLoad, match=r"(?s)a -> b -> a.*flow_b\.py.*line 2"):
        load([str(tmp_path / "flow_b.py")])


TABLE = {
    "model": "big", "base_url": "http://m/v1", "description": "Reports.", "timeout": 9, "retries": 2,
    "steps": [
        {"id": "search", "agent": "show"},
        {
            "id": "write", "name": "Write it", "prompt": "Write.", "tools": ["look_up"],
            "depends_on": ["search"],
        },
        {"id": "check", "model": "small", "depends_on": ["write"]},
    ],
}  # fmt: skip


def test_the_example_is_a_workflow():
    example = Path(__file__).parents[2] / "examples" / "workflow.toml"
    (made,) = workflow_agents(tomllib.loads(example.read_text()))
    found = Catalog([made]).find("report", None)
    assert found is not None and found.spec.workflow is not None
    assert [each.id for each in last_of(found.spec.workflow)] == ["write"]


def test_a_table_of_runwell_toml_with_steps_is_a_workflow():
    (made,) = workflow_agents({"agents": {"report": TABLE, "poet": {"model": "m"}}})
    found = Catalog([show, look_up, made]).find("report", None)
    assert found is not None
    big = ModelAgent(model="big", base_url="http://m/v1")
    assert found.spec.workflow == WorkflowAgent(
        model=big,
        steps=(
            WorkflowStep(id="search", name="search", agent="show"),
            WorkflowStep(
                id="write", name="Write it", prompt="Write.", tools=("look_up",), depends_on=("search",)
            ),
            WorkflowStep(
                id="check", name="check", model=msgspec.structs.replace(big, model="small"),
                depends_on=("write",),
            ),
        ),
    )  # fmt: skip
    assert (found.spec.timeout, found.spec.retries, found.spec.description) == (9, 2, "Reports.")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"steps": []}, r"\[agents\.w\]: \$\.steps: a workflow has 1 to 100"),
        ({"steps": [{"name": "a"}]}, r"\[agents\.w\]: .*`id`.*\$\.steps\[0\]"),
        ({"steps": [{"id": "a", "need": "b"}]}, "need"),
        ({"steps": [{"id": "a", "depends_on": ["b"]}]}, r"\$\.steps\[0\]\.depends_on\[0\]: .* no step 'b'"),
        ({"steps": [{"id": "a", "agent": "x", "model": "m"}]}, "an agent and a model"),
        ({"steps": [{"id": "a"}], "concurrency": 0}, "concurrency=0"),
        ({"steps": [{"id": "a"}], "base_url": "http://m"}, "base_url is for a model, and none is named"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused_by_name(table, words):
    with pytest.raises(CannotLoad, match=words) as refused:
        workflow_agents({"agents": {"w": table}})
    assert refused.value.hint
