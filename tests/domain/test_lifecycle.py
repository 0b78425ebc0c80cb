"""Every status × every command, and the rules that cross the arrows."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from runwell.domain import commands as c
from runwell.domain import events as e
from runwell.domain.errors import IllegalTransition
from runwell.domain.instant import SECOND
from runwell.domain.json_gate import encode
from runwell.domain.lifecycle import CANCELLABLE, CLAIMABLE, FINAL, LIVE, TRANSITIONS, decide
from runwell.domain.lifecycle_page import render
from runwell.domain.run import _FINAL, Question, Reason, Run, RunError, RunStatus

NOW = 1_800_000_000 * SECOND
ERROR = RunError("Boom", "it broke")
QUESTION = Question(key="ask", question=encode("Which?"))


def create(**fields) -> Run:
    command = c.Create(id="0" * 32, owner="o", agent="a", input=encode("hi"), **fields)
    return decide(None, command, NOW).run


def after(run: Run, *commands: c.Command, now: int = NOW) -> Run:
    for command in commands:
        run = decide(run, command, now).run
    return run


CLAIM = c.Claim(worker="w")
COMMANDS: dict[str, c.Command] = {
    "claim": CLAIM,
    "record": c.Record(events=(e.TextDelta(text="x"),)),
    "pause": c.Pause(question=QUESTION),
    "answer": c.Answer(answer=encode("this")),
    "succeed": c.Succeed(output=encode(1)),
    "fail": c.Fail(reason="error", error=ERROR),
    "try_again": c.TryAgain(error=ERROR, delay=2.0),
    "lapse": c.Lapse(seen_at=NOW),
    "hand_back": c.HandBack(),
    "ask_cancel": c.AskCancel(by="me"),
    "stop": c.Stop(),
    "cancel": c.Cancel(by="me"),
    "expire": c.Expire(),
    "time_out": c.TimeOut(),
    "continue": c.Continue(),
}
LATE = NOW + 100 * SECOND


def in_status(status: RunStatus, **fields) -> Run:
    run = create(timeout=1.0, expires_at=NOW + SECOND, **fields)
    match status:
        case RunStatus.QUEUED:
            return run
        case RunStatus.RUNNING:
            return after(run, CLAIM)
        case RunStatus.WAITING:
            return after(run, CLAIM, c.Pause(question=QUESTION, expires_at=NOW + SECOND))
        case RunStatus.SUCCEEDED:
            return after(run, CLAIM, COMMANDS["succeed"])
        case RunStatus.FAILED:
            return after(run, CLAIM, COMMANDS["fail"])
        case RunStatus.CANCELLED:
            return after(run, COMMANDS["cancel"])


@pytest.mark.parametrize("status", list(RunStatus))
@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_status_takes_just_the_commands_of_the_table(status: RunStatus, name: str) -> None:
    run, when = in_status(status), NOW if name == "claim" else LATE  # by then it has expired
    rows = [row for row in TRANSITIONS if row.command == name and status in row.source]
    if not rows:
        with pytest.raises(IllegalTransition) as refused:
            decide(run, COMMANDS[name], when)
        assert refused.value.status == status
        return
    change = decide(run, COMMANDS[name], when)
    assert change.run.status is rows[0].target
    patterns = rows[0].writes.replace(".", r"\.").replace("*", ".*").split()
    assert all(any(re.fullmatch(p, event.type) for p in patterns) for event in change.events)
    assert change.run.final == (change.run.status in FINAL)
    assert sum(event.type in e.FINAL_TYPES for event in change.events) == (change.run.status in FINAL)


def test_what_has_expired_cannot_start() -> None:
    with pytest.raises(IllegalTransition, match="expired"):
        after(create(expires_at=NOW + SECOND), CLAIM, now=NOW + SECOND)


@pytest.mark.parametrize("name", ["hand_back", "lapse", "try_again", "pause"])
def test_a_run_that_started_in_time_does_not_expire_any_more(name: str) -> None:
    run = after(create(expires_at=NOW + SECOND), CLAIM, COMMANDS[name])
    assert run.expires_at is None
    with pytest.raises(IllegalTransition, match="not expired"):
        decide(run, COMMANDS["expire"], LATE)


def test_the_commands_and_the_rows_are_the_same_words() -> None:
    assert {row.command for row in TRANSITIONS} - {"create", "lapse_last"} == set(COMMANDS)


def test_the_derived_sets() -> None:
    assert FINAL == {RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED} == _FINAL
    assert LIVE == CANCELLABLE == {RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING}
    assert {RunStatus.QUEUED} == CLAIMABLE


def test_a_run_cannot_be_created_twice() -> None:
    command = c.Create(id="0" * 32, owner="o", agent="a", input=encode("hi"))
    with pytest.raises(IllegalTransition):
        decide(create(), command, NOW)
    with pytest.raises(IllegalTransition):
        decide(None, CLAIM, NOW)


def test_a_claim_waits_for_not_before_to_the_microsecond() -> None:
    run = create(not_before=NOW + 10)
    with pytest.raises(IllegalTransition):
        decide(run, CLAIM, NOW + 9)
    assert decide(run, CLAIM, NOW + 10).run.status is RunStatus.RUNNING


@pytest.mark.parametrize("name", ["pause", "succeed", "fail", "try_again", "lapse", "hand_back", "time_out"])
def test_a_promised_cancel_wins_over_whatever_ends_the_attempt(name: str) -> None:
    run = after(in_status(RunStatus.RUNNING, max_attempts=1), COMMANDS["ask_cancel"])
    change = decide(run, COMMANDS[name], LATE)
    assert (change.command, change.run.status) == ("stop", RunStatus.CANCELLED)
    assert [event.type for event in change.events] == ["run.cancelled"]


def test_asking_to_cancel_twice_writes_once() -> None:
    run = after(in_status(RunStatus.RUNNING), COMMANDS["ask_cancel"])
    again = decide(run, COMMANDS["ask_cancel"], LATE)
    assert again.events == () and not again.visible and again.run == run


def test_a_crash_loop_ends_as_lost_after_max_attempts() -> None:
    run = create(max_attempts=3)
    for left in (2, 1):
        run = after(run, CLAIM, COMMANDS["lapse"])
        assert run.status is RunStatus.QUEUED and run.max_attempts - run.tries == left
    run = after(run, CLAIM, COMMANDS["lapse"])
    assert (run.status, run.reason, run.tries, run.attempt) == (RunStatus.FAILED, Reason.LOST, 3, 3)


def test_handing_back_and_answering_burn_no_try() -> None:
    run = create(max_attempts=1)
    for command in ("hand_back", "pause"):
        run = after(run, CLAIM, COMMANDS[command])
    run = after(run, COMMANDS["answer"], CLAIM)
    assert (run.tries, run.attempt) == (0, 3)


def test_try_again_waits_and_the_last_one_fails() -> None:
    run = after(create(max_attempts=2), CLAIM, COMMANDS["try_again"])
    assert run.not_before == NOW + 2 * SECOND and run.tries == 1
    change = decide(after(run, CLAIM, now=LATE), COMMANDS["try_again"], LATE)
    assert change.command == "fail" and change.run.error == ERROR


def test_timeout_adds_up_over_attempts_and_dead_time_is_free() -> None:
    run = after(create(timeout=10.0), CLAIM)
    run = decide(run, c.Lapse(seen_at=NOW + 4 * SECOND), NOW + 3_600 * SECOND).run
    assert run.ran_for == 4 * SECOND
    late = NOW + 4_000 * SECOND
    run = decide(run, CLAIM, late).run
    with pytest.raises(IllegalTransition):
        decide(run, c.TimeOut(), late + 6 * SECOND - 1)
    assert decide(run, c.TimeOut(), late + 6 * SECOND).run.reason == Reason.TIMED_OUT


def test_a_record_counts_and_only_text_is_invisible() -> None:
    run = in_status(RunStatus.RUNNING)
    first = decide(run, c.Record(events=(e.TextDelta(text="a"),)), NOW + 5)
    assert first.visible and first.run.first_output_at == NOW + 5
    assert not decide(first.run, c.Record(events=(e.TextDelta(text="b"),)), NOW + 9).visible
    begun = decide(run, c.Record(events=(e.StepStarted(key="s", name="s"),)), NOW).run
    assert (begun.steps.started, begun.steps.current) == (1, "s")
    done = e.StepFinished(key="s", name="s", started_at=NOW, output=encode(1))
    ended = decide(begun, c.Record(events=(done,)), NOW).run
    assert (ended.steps.finished, ended.steps.current) == (1, None)


def test_an_attempt_may_not_say_what_only_the_lifecycle_says() -> None:
    with pytest.raises(IllegalTransition):
        decide(in_status(RunStatus.RUNNING), c.Record(events=(e.RunSucceeded(output=encode(1)),)), NOW)  # type: ignore[arg-type]


def test_a_step_left_running_is_not_counted_twice() -> None:
    run = after(in_status(RunStatus.RUNNING), c.Record(events=(e.StepStarted(key="s", name="s"),)))
    run = after(run, COMMANDS["lapse"], CLAIM, c.Record(events=(e.StepStarted(key="s", name="s"),)))
    assert run.steps.started == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"status": RunStatus.RUNNING},
        {"worker": "w"},
        {"finished_at": NOW},
        {"question": QUESTION},
        {"error": ERROR},
        {"status": RunStatus.WAITING},
        {"status": RunStatus.SUCCEEDED},
        {"status": RunStatus.FAILED, "finished_at": NOW, "error": ERROR},
        {"status": RunStatus.CANCELLED, "finished_at": NOW},
        {"status": RunStatus.RUNNING, "worker": "w", "claimed_at": NOW, "attempt": 0},
    ],
)
def test_impossible_runs_cannot_be_built(fields: dict) -> None:
    with pytest.raises(ValueError, match="impossible run"):
        replace(create(), **fields)


@given(st.lists(st.sampled_from(sorted(COMMANDS)), max_size=30))
def test_any_walk_has_at_most_one_final_event_and_ends_with_it(names: list[str]) -> None:
    run, finals = create(timeout=1.0, expires_at=NOW + SECOND, max_attempts=2), 0
    for index, name in enumerate(names):
        try:
            change = decide(run, COMMANDS[name], LATE + index * 10 * SECOND)
        except IllegalTransition:
            continue
        assert not run.final
        run, finals = change.run, finals + sum(event.type in e.FINAL_TYPES for event in change.events)
    assert finals == run.final


def test_the_page_is_fresh() -> None:
    page = Path(__file__).parents[2] / "docs" / "lifecycle.md"
    assert page.read_text() == render(), "run: python -m runwell.domain.lifecycle_page > docs/lifecycle.md"
