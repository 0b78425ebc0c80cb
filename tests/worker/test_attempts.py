"""One attempt after the other, on a real store, with agents that do what agents do."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from runwell import Context, SyncContext, agent
from runwell.domain.errors import InvalidJson
from runwell.domain.json_gate import decode
from runwell.domain.memory import remember
from runwell.domain.run import Reason, RunStatus, Usage
from runwell.domain.step import StepStatus
from runwell.domain.thread import Role
from runwell.engine import control, read
from runwell.wiring import Machine
from tests.support.machines import (
    LONG,
    OWNER,
    a_machine,
    answer,
    cancel,
    finish,
    run_to_end,
    start,
    types,
    until,
    until_said,
    waiting,
    whole_log,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def note(done: list[str], what: str, value: Any) -> Any:
    """The body of a step: write down that it was done."""
    done.append(what)
    return value


def output(run: Any) -> Any:
    return decode(run.output)


@agent
async def echo(ctx: Context, question: str) -> str:
    return f"you said {question}"


@agent
async def streams(ctx: Context, question: str) -> None:
    for word in ("one ", "two ", "three"):
        await ctx.text(word)


@agent
async def yields(question: str):
    for word in ("a", "b"):
        yield word


@agent
def plain_yields(question: str):
    yield "x"
    yield "y"


@agent
def plain(ctx: SyncContext, question: str) -> dict:
    ctx.progress(50, "half way")
    doubled = ctx.step("double", lambda text: text * 2, question)
    ctx.text("done")
    return {"doubled": doubled, "input": ctx.input}


@agent
async def raises(question: str) -> str:
    raise ValueError("it broke\x00 here")


async def test_an_async_agent_returns(path: Path) -> None:
    async with a_machine(path, echo) as machine:
        run = await run_to_end(machine, "echo", "hello")
        assert (run.status, output(run), run.attempt) == (RunStatus.SUCCEEDED, "you said hello", 1)
        assert await types(machine, run.id) == ["run.created", "attempt.started", "run.succeeded"]


@pytest.mark.parametrize(
    ("name", "said"), [("streams", "one two three"), ("yields", "ab"), ("plain_yields", "xy")]
)
async def test_what_is_streamed_is_the_output_of_an_agent_that_returns_nothing(
    path: Path, name: str, said: str
) -> None:
    async with a_machine(path, streams, yields, plain_yields) as machine:
        run = await run_to_end(machine, name)
        assert (run.status, output(run)) == (RunStatus.SUCCEEDED, said)
        deltas = [
            line.event.text for line in await whole_log(machine, run.id) if line.type == "output.text_delta"
        ]
        assert "".join(deltas) == said
        assert run.ttft is not None


async def test_a_plain_function_works_in_a_thread_with_the_same_context(path: Path) -> None:
    async with a_machine(path, plain) as machine:
        run = await run_to_end(machine, "plain", "ab")
        assert output(run) == {"doubled": "abab", "input": "ab"}
        assert run.progress is not None and (run.progress.percent, run.progress.step) == (50.0, "half way")
        assert (run.steps.started, run.steps.finished) == (1, 1)


async def test_an_exception_fails_the_run_with_its_trace(path: Path) -> None:
    async with a_machine(path, raises) as machine:
        run = await run_to_end(machine, "raises")
        assert (run.status, run.reason) == (RunStatus.FAILED, Reason.ERROR)
        assert run.error is not None and run.error.code == "ValueError"
        assert run.error.message == "it broke\ufffd here" and "raise ValueError" in (run.error.trace or "")


async def test_an_agent_that_asks_for_retries_is_tried_again(path: Path) -> None:
    attempts: list[int] = []

    @agent(retries=1)
    async def shaky(ctx: Context, question: str) -> int:
        attempts.append(ctx.run.attempt)
        if len(attempts) == 1:
            raise RuntimeError("first time")
        return ctx.run.attempt

    async with a_machine(path, shaky) as machine:
        run = await run_to_end(machine, "shaky")
        assert (output(run), run.tries, attempts) == (2, 1, [1, 2])
        assert "attempt.failed" in await types(machine, run.id)


async def test_a_step_that_finished_is_not_done_again(path: Path) -> None:
    done: list[str] = []

    @agent(retries=5)
    async def stepping(ctx: Context, question: str) -> list:
        first = await ctx.step("load", lambda: note(done, "load", (1, 2)))
        second = [await ctx.step("each", lambda n=n: note(done, f"each {n}", n)) for n in range(2)]
        if ctx.run.attempt == 1:
            raise RuntimeError("after the steps")
        return [first, second]

    async with a_machine(path, stepping) as machine:
        run = await run_to_end(machine, "stepping")
        assert output(run) == [[1, 2], [0, 1]], "the first run sees what every later one sees: plain JSON"
        assert done == ["load", "each 0", "each 1"]
        steps = await read.steps(machine.core, OWNER, run.id)
        assert [(step.key, step.status) for step in steps] == [
            (key, StepStatus.FINISHED) for key in ("load", "each", "each#2")
        ]
        assert decode(steps[0].output or b"") == [1, 2]


async def test_a_failed_step_is_not_remembered_and_its_error_is_on_record(path: Path) -> None:
    tried: list[int] = []

    @agent
    async def catching(ctx: Context, question: str) -> str:
        def fail() -> None:
            tried.append(1)
            raise OSError("no disk")

        with pytest.raises(OSError, match="no disk"):
            await ctx.step("write", fail)
        return await ctx.step("write", lambda: "second use")

    async with a_machine(path, catching) as machine:
        run = await run_to_end(machine, "catching")
        assert (output(run), run.steps.failed, run.steps.finished, len(tried)) == ("second use", 1, 1, 1)
        failed = (await read.steps(machine.core, OWNER, run.id))[0]
        assert failed.error is not None and (failed.key, failed.error.code) == ("write", "OSError")


async def test_asking_waits_at_no_cost_and_goes_on_with_the_answer(path: Path) -> None:
    done: list[str] = []

    @agent
    async def asks(ctx: Context, question: str) -> list:
        await ctx.text("thinking ")
        found = await ctx.step("search", lambda: note(done, "search", "found"))
        name = await ctx.ask("Who?", schema={"type": "string"})
        await ctx.text(f"hello {name} ")
        sure = await ctx.ask({"sure": name})
        await ctx.text("bye")
        return [found, name, sure]

    async with a_machine(path, asks) as machine:
        run = await start(machine, "asks")
        paused = await waiting(machine, run.id)
        assert machine.worker.attempts == 0 or paused.worker is None
        assert paused.question is not None and decode(paused.question.question) == "Who?"
        await answer(machine, run.id, "Ada")
        paused = await until(
            machine,
            run.id,
            lambda r: r.status is RunStatus.WAITING and r.question is not None and r.question.key != "ask",
        )
        assert paused.question is not None and decode(paused.question.question) == {"sure": "Ada"}
        await answer(machine, run.id, True)
        run = await finish(machine, run.id)
        assert output(run) == ["found", "Ada", True]
        assert done == ["search"]
        log = await whole_log(machine, run.id)
        assert "".join(text for _, text in remember(log).text) == "thinking hello Ada bye"
        assert "output.restarted" not in [line.type for line in log], "the stream is unbroken by answers"
        assert run.tries == 0 and run.attempt == 3


async def test_asking_lets_steps_in_flight_finish_first(path: Path) -> None:
    asked = threading.Event()

    @agent
    async def both(ctx: Context, question: str) -> list:
        async def ask() -> Any:
            await asyncio.sleep(0)
            asked.set()
            return await ctx.ask("?")

        return list(await asyncio.gather(ctx.step("slow", asked.wait, LONG), ask()))

    async with a_machine(path, both) as machine:
        run = await start(machine, "both")
        await waiting(machine, run.id)
        kinds = await types(machine, run.id)
        assert kinds.index("step.finished") < kinds.index("run.waiting")
        await answer(machine, run.id, "yes")
        assert output(await finish(machine, run.id)) == [True, "yes"]


async def test_asking_inside_a_step_is_an_error(path: Path) -> None:
    @agent
    async def confused(ctx: Context, question: str) -> None:
        await ctx.step("inner", lambda: ctx.ask("?"))

    async with a_machine(path, confused) as machine:
        run = await run_to_end(machine, "confused")
        assert run.error is not None and run.error.code == "AskInsideStep"


async def test_cancel_interrupts_an_await_at_once(path: Path) -> None:
    begun, interrupted = threading.Event(), threading.Event()

    @agent
    async def sleeper(ctx: Context, question: str) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            interrupted.set()
            raise

    async with a_machine(path, sleeper) as machine:
        run = await start(machine, "sleeper")
        await asyncio.to_thread(begun.wait, LONG)
        asked = await cancel(machine, run.id)
        assert asked.status is RunStatus.RUNNING and asked.cancel_requested_at is not None
        ended = await finish(machine, run.id)
        assert (ended.status, ended.reason) == (RunStatus.CANCELLED, Reason.REQUESTED)
        assert interrupted.is_set()
        assert ended.finished_at is not None and ended.finished_at - asked.cancel_requested_at < 200_000
        assert (await cancel(machine, run.id)).status is RunStatus.CANCELLED, "asking again changes nothing"


async def test_a_blocking_agent_is_cut_off_after_the_grace_and_its_later_words_are_refused(
    path: Path,
) -> None:
    begun, released, refused = threading.Event(), threading.Event(), threading.Event()

    @agent
    def stubborn(ctx: SyncContext, question: str) -> str:
        begun.set()
        released.wait(LONG)
        try:
            ctx.text("too late")
        except BaseException:
            refused.set()
            raise
        return "never"

    async with a_machine(path, stubborn, grace=0.2) as machine:
        run = await start(machine, "stubborn")
        await asyncio.to_thread(begun.wait, LONG)
        await cancel(machine, run.id)
        ended = await finish(machine, run.id)
        assert ended.status is RunStatus.CANCELLED
        released.set()
        assert await asyncio.to_thread(refused.wait, LONG)
        assert "output.text_delta" not in await types(machine, run.id)


async def test_a_blocked_agent_loop_is_replaced_for_new_runs(path: Path) -> None:
    begun, released = threading.Event(), threading.Event()

    @agent
    async def rude(ctx: Context, question: str) -> None:
        begun.set()
        released.wait(LONG)

    async with a_machine(path, rude, echo, grace=0.1) as machine:
        run = await start(machine, "rude")
        await asyncio.to_thread(begun.wait, LONG)
        await cancel(machine, run.id)
        assert (await finish(machine, run.id)).status is RunStatus.CANCELLED
        assert (await run_to_end(machine, "echo")).status is RunStatus.SUCCEEDED
        released.set()


async def test_a_timeout_holds_within_a_second_even_for_a_blocking_agent(path: Path) -> None:
    released = threading.Event()

    @agent
    def endless(ctx: SyncContext, question: str) -> None:
        released.wait(LONG)

    async with a_machine(path, endless) as machine:
        run = await run_to_end(machine, "endless", timeout=0.2)
        assert (run.status, run.reason) == (RunStatus.FAILED, Reason.TIMED_OUT)
        assert run.duration is not None and 0.2 <= run.duration < 1.2
        released.set()


async def test_what_expires_in_the_queue_fails_within_a_second(path: Path) -> None:
    async with a_machine(path, echo) as machine:
        later = machine.clock.now() + 3_600_000_000
        run = await run_to_end(machine, "echo", not_before=later, expires_in=0.3)
        assert (run.status, run.reason, run.attempt) == (RunStatus.FAILED, Reason.EXPIRED, 0)
        assert run.finished_at is not None and run.finished_at - run.created_at < 1_300_000


async def test_not_before_is_kept(path: Path) -> None:
    async with a_machine(path, echo) as machine:
        at = machine.clock.now() + 150_000
        run = await run_to_end(machine, "echo", not_before=at)
        assert run.started_at is not None and at <= run.started_at < at + 1_000_000


async def test_stopping_hands_runs_back_without_burning_a_try(path: Path) -> None:
    begun = threading.Event()

    @agent
    async def patient(ctx: Context, question: str) -> str:
        await ctx.text("half ")
        begun.set()
        if ctx.run.attempt == 1:
            await asyncio.Event().wait()
        await ctx.text("whole")
        return "done"

    async with a_machine(path, patient) as machine:
        run = await start(machine, "patient", max_attempts=1)
        await asyncio.to_thread(begun.wait, LONG)
    async with a_machine(path, patient) as machine:
        run = await finish(machine, run.id)
        assert (run.status, run.tries, run.attempt) == (RunStatus.SUCCEEDED, 0, 2)
        log = await whole_log(machine, run.id)
        assert [line.type for line in log] == [
            "run.created", "attempt.started", "output.text_delta", "attempt.handed_back",
            "attempt.started", "output.text_delta", "run.succeeded",
        ]  # fmt: skip


async def lost(machine: Machine, run_id: str) -> None:
    """Leave the run as a killed process leaves it: running, with a worker that is gone."""
    from runwell.domain.commands import Claim
    from runwell.domain.lifecycle import decide

    now = machine.clock.now()
    run = await machine.store.runs.get(run_id)
    await machine.store.runs.commit(decide(run, Claim(worker="dead:1:x"), now), now)


async def test_the_start_takes_up_what_a_dead_process_left_running(path: Path) -> None:
    async with a_machine(path) as machine:
        await machine.store.agents.publish([echo.spec], 0)
        run = await start(machine, "echo", max_attempts=2)
        last = await start(machine, "echo", max_attempts=1)
        for each in (run, last):
            await lost(machine, each.id)
    async with a_machine(path, echo) as machine:
        run, last = await finish(machine, run.id), await finish(machine, last.id)
        assert (run.status, run.tries, run.attempt) == (RunStatus.SUCCEEDED, 1, 2)
        assert (last.status, last.reason) == (RunStatus.FAILED, Reason.LOST)
        assert "attempt.lost" in await types(machine, run.id)


async def test_a_run_whose_agent_nobody_serves_stays_queued(path: Path) -> None:
    async with a_machine(path, echo) as machine:
        await machine.store.agents.publish([streams.spec], 0)
        run = await start(machine, "streams")
        assert (await run_to_end(machine, "echo")).final
        assert (await machine.store.runs.get(run.id)).status is RunStatus.QUEUED


async def test_an_agents_own_concurrency_is_kept(path: Path) -> None:
    now, most = [0], [0]
    gate = threading.Event()

    @agent(concurrency=2)
    async def limited(ctx: Context, question: str) -> None:
        now[0] += 1
        most[0] = max(most[0], now[0])
        await ctx.step("wait", gate.wait, LONG)
        now[0] -= 1

    async with a_machine(path, limited, echo) as machine:
        runs = [await start(machine, "limited") for _ in range(5)]
        assert (await run_to_end(machine, "echo")).final, "others are not held up"
        gate.set()
        for run in runs:
            assert (await finish(machine, run.id)).status is RunStatus.SUCCEEDED
        assert most[0] == 2


async def test_runs_of_one_thread_go_one_after_the_other_and_share_messages(path: Path) -> None:
    @agent
    async def chat(ctx: Context, question: str) -> list:
        return [[message.role, decode(message.content)] for message in ctx.messages]

    thread = "0123456789ab4def8123456789abcdef"
    async with a_machine(path, chat) as machine:
        first = await start(machine, "chat", "one", thread_id=thread)
        second = await start(machine, "chat", "two", thread_id=thread)
        second = await finish(machine, second.id)
        first = await machine.store.runs.get(first.id)
        assert first.finished_at is not None and second.started_at is not None
        assert first.finished_at <= second.started_at
        contents = [content for _, content in output(second)]
        assert contents == ["one", output(first), "two"], "it sees the answer that came after its input"
        messages = await machine.store.threads.messages(thread, limit=10)
        assert [message.role for message in messages].count(Role.ASSISTANT) == 2


async def test_usage_is_counted_on_every_way_out(path: Path) -> None:
    @agent
    async def spends(ctx: Context, question: str) -> None:
        async def call() -> None:
            await ctx.usage(input_tokens=10, output_tokens=5, model_calls=1, cost=0.5)

        await ctx.step("model", call)
        await ctx.usage(Usage(input_tokens=1))
        if question == "fail":
            raise RuntimeError("broke")
        if question == "hang":
            await asyncio.Event().wait()

    async with a_machine(path, spends) as machine:
        for question in ("return", "fail", "hang"):
            run = await start(machine, "spends", question)
            if question == "hang":
                await until(machine, run.id, lambda r: r.usage.input_tokens == 11)
                await cancel(machine, run.id)
            run = await finish(machine, run.id)
            assert run.usage == Usage(input_tokens=11, output_tokens=5, model_calls=1, cost=0.5), question
            steps = await read.steps(machine.core, OWNER, run.id)
            assert steps[0].usage == Usage(input_tokens=10, output_tokens=5, model_calls=1, cost=0.5)


async def test_an_output_beyond_the_limit_fails_the_run(path: Path) -> None:
    @agent
    async def verbose(ctx: Context, question: str) -> str:
        return "x" * 2_000

    async with a_machine(path, verbose, max_output=1_024) as machine:
        run = await run_to_end(machine, "verbose")
        assert (run.status, run.reason) == (RunStatus.FAILED, Reason.OUTPUT_TOO_LARGE)


async def test_an_output_that_is_no_json_fails_the_run(path: Path) -> None:
    @agent
    async def odd(ctx: Context, question: str) -> object:
        return object()

    async with a_machine(path, odd) as machine:
        run = await run_to_end(machine, "odd")
        assert run.status is RunStatus.FAILED and run.error is not None
        assert "object" in run.error.message


async def test_a_retry_is_a_new_run_that_need_not_repeat_its_steps(path: Path) -> None:
    done: list[str] = []

    @agent
    async def broken(ctx: Context, question: str) -> str:
        value = await ctx.step("expensive", lambda: note(done, "paid", "value"))
        sure = await ctx.ask("Go on?")
        if ctx.run.retry_of is None:
            raise RuntimeError("broke after the answer")
        return f"{value} {sure}"

    async with a_machine(path, broken) as machine:
        run = await start(machine, "broken")
        await waiting(machine, run.id)
        await answer(machine, run.id, "yes")
        failed = await finish(machine, run.id)
        assert failed.status is RunStatus.FAILED
        again = (await control.retry(machine.core, OWNER, run.id)).run
        assert again.retry_of == run.id and again.id != run.id
        ended = await finish(machine, again.id)
        assert (output(ended), done) == ("value yes", ["paid"])
        steps = await read.steps(machine.core, OWNER, again.id)
        assert [(step.key, step.inherited) for step in steps] == [("expensive", True)]
        assert decode(steps[0].output or b"") == "value"


async def test_an_agent_that_tells_another_story_restarts_the_output(path: Path) -> None:
    @agent(retries=1)
    async def fickle(ctx: Context, question: str) -> None:
        await ctx.text("same ")
        await ctx.text("first" if ctx.run.attempt == 1 else "second")
        if ctx.run.attempt == 1:
            await ctx.progress(10)
            raise RuntimeError("again")

    async with a_machine(path, fickle) as machine:
        run = await run_to_end(machine, "fickle")
        assert output(run) == "same second"
        assert (await types(machine, run.id)).count("output.restarted") == 1


async def test_many_tokens_become_few_commits_and_none_is_lost(path: Path) -> None:
    @agent
    async def fast(ctx: Context, question: str) -> None:
        for index in range(3_000):
            await ctx.text(f"{index},")

    async with a_machine(path, fast) as machine:
        run = await run_to_end(machine, "fast")
        assert output(run) == "".join(f"{index}," for index in range(3_000))
        assert run.last_seq == 3_000 + 3
        assert run.version < 20, "text does not change what a status read shows"


async def test_reads_while_text_flows_keep_the_version(path: Path) -> None:
    gate = threading.Event()

    @agent
    async def slow(ctx: Context, question: str) -> None:
        await ctx.text("first")
        await ctx.step("hold", lambda: True)
        for _ in range(20):
            await ctx.text("more")
        await asyncio.to_thread(gate.wait, LONG)

    async with a_machine(path, slow) as machine:
        run = await start(machine, "slow")
        begun = await until_said(
            machine, run.id, lambda log: any(line.type == "step.finished" for line in log)
        )
        # The log may be read a moment before the loop hears of the commit that wrote it.
        before = await until(machine, run.id, lambda r: r.last_seq >= begun[-1].seq)
        log = await until_said(
            machine, run.id, lambda log: sum(line.type == "output.text_delta" for line in log) == 21
        )
        after = await until(machine, run.id, lambda r: r.last_seq == log[-1].seq)
        assert after.version == before.version
        gate.set()
        await finish(machine, run.id)


async def test_model_junk_in_text_is_cleaned_and_other_junk_refused(path: Path) -> None:
    @agent
    async def junk(ctx: Context, question: str) -> None:
        await ctx.text("a\x00b\ud800")
        with pytest.raises(InvalidJson, match="NUL"):
            await ctx.message({"bad": "\x00"})

    async with a_machine(path, junk) as machine:
        run = await run_to_end(machine, "junk")
        assert output(run) == "a\ufffdb\ufffd"


async def test_a_worker_survives_a_hundred_runs_at_once(path: Path) -> None:
    async with a_machine(path, echo, plain, streams) as machine:
        began = time.monotonic()
        runs = [await start(machine, name) for _ in range(34) for name in ("echo", "plain", "streams")]
        for run in runs:
            assert (await finish(machine, run.id)).status is RunStatus.SUCCEEDED
        assert time.monotonic() - began < LONG
