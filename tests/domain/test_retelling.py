"""A later attempt is compared with the log; the reader sees one unbroken story."""

from hypothesis import given
from hypothesis import strategies as st

from runwell.domain import events as e
from runwell.domain.events import LoggedEvent, Said
from runwell.domain.json_gate import encode
from runwell.domain.memory import Memory, remember
from runwell.domain.retelling import Retelling
from runwell.domain.run import Progress
from runwell.domain.step import StepKind


def log(*events: e.Event) -> list[LoggedEvent]:
    return [LoggedEvent(n, 0, event.type, e.encode_event(event)) for n, event in enumerate(events, 1)]


def text(words: str, step: str | None = None) -> e.TextDelta:
    return e.TextDelta(text=words, in_step=step)


def tool(name: str) -> e.ToolCalled:
    return e.ToolCalled(call_id="c", name=name, arguments=encode({"a": 1}))


def retell(before: list[e.Event], said: list[Said], *, complete: bool = True) -> list[e.Event]:
    retelling = Retelling(remember(log(*before)), attempt=2)
    written: list[e.Event] = []
    for event in said:
        written += retelling.tell(event)
    if complete:
        written += retelling.end()
    return written


def standing_text(events: list[e.Event]) -> str:
    return "".join(words for _, words in remember(log(*events)).text)


def test_the_same_story_writes_nothing() -> None:
    story: list[Said] = [
        text("hello "),
        tool("search"),
        text("world"),
        e.ProgressNoted(progress=Progress(50.0, "x")),
    ]
    assert retell(list(story), story) == []


def test_only_what_is_new_is_written_even_within_a_delta() -> None:
    assert retell([text("hel")], [text("hello")]) == [text("lo")]
    assert retell([text("hello")], [text("he"), text("llo"), text("!")]) == [text("!")]


def test_a_difference_voids_and_says_again_what_stands() -> None:
    written = retell([text("one "), text("two")], [text("one "), text("three")])
    assert written == [e.OutputRestarted(attempt=2), text("one "), text("three")]
    assert standing_text([text("one "), text("two"), *written]) == "one three"


def test_saying_less_is_a_difference_at_the_end_only() -> None:
    before: list[e.Event] = [text("one "), text("two")]
    assert retell(before, [text("one ")], complete=False) == []
    assert retell(before, [text("one ")]) == [e.OutputRestarted(attempt=2), text("one ")]


def test_another_kind_of_output_is_a_difference() -> None:
    assert retell([text("a")], [tool("x")])[0] == e.OutputRestarted(attempt=2)
    assert retell([tool("x")], [tool("y")])[0] == e.OutputRestarted(attempt=2)
    assert retell([e.ReasoningDelta(text="a")], [text("a")])[0] == e.OutputRestarted(attempt=2)


def finished(key: str) -> e.StepFinished:
    return e.StepFinished(key=key, name=key, started_at=0, output=encode(1))


def test_what_was_said_in_a_finished_step_stands_for_ever() -> None:
    before: list[e.Event] = [text("in ", "s"), finished("s"), text("old")]
    written = retell(before, [text("new")])
    assert written == [e.OutputRestarted(attempt=2), text("new")]
    assert standing_text([*before, *written]) == "in new"


def test_concurrent_steps_are_compared_each_by_itself() -> None:
    before: list[e.Event] = [text("a1", "a"), text("b1", "b"), text("a2", "a")]
    assert retell(before, [text("b1", "b"), text("a1", "a"), text("a2", "a")]) == []


def test_a_step_that_says_less_this_time_restarts_before_it_finishes() -> None:
    retelling = Retelling(remember(log(text("long story", "s"), text("x"))), attempt=2)
    assert retelling.tell(text("long", "s")) == ()
    assert retelling.finish_step("s") == (e.OutputRestarted(attempt=2), text("long", "s"))
    assert not retelling.comparing


def test_steps_and_answers_are_remembered_also_inherited_ones() -> None:
    step = e.InheritedStep(key="i", name="i", kind=StepKind.CODE, output=encode("v"))
    created = e.RunCreated(agent="a", input=encode(1), steps=(step,), answers={"ask": encode("yes")})
    memory = remember(log(created, finished("s"), e.RunResumed(key="ask#2", answer=encode("no"))))
    assert memory.values == {"i": encode("v"), "s": encode(1)}
    assert memory.answers == {"ask": encode("yes"), "ask#2": encode("no")}


pieces = st.lists(st.text("ab", min_size=1, max_size=3), max_size=12)


@given(pieces, pieces, st.lists(st.integers(1, 30), max_size=6))
def test_whatever_was_said_before_the_reader_ends_with_the_last_story(
    first: list[str], second: list[str], cuts: list[int]
) -> None:
    """Several crashed attempts, cut anywhere, then one that completes: its text is what stands."""
    written: list[e.Event] = []
    for attempt, cut in enumerate(cuts, 1):
        retelling = Retelling(remember(log(*written)), attempt)
        for piece in (first if attempt % 2 else second)[:cut]:
            written += retelling.tell(text(piece))
    last = Retelling(remember(log(*written)), len(cuts) + 1)
    for piece in second:
        written += last.tell(text(piece))
    written += last.end()
    assert standing_text(written) == "".join(second) == last.text()


@given(pieces, st.integers(0, 12))
def test_a_deterministic_agent_is_never_restarted(story: list[str], cut: int) -> None:
    written: list[e.Event] = []
    for words in (story[:cut], story):
        retelling = Retelling(remember(log(*written)), 1)
        for piece in words:
            written += retelling.tell(text(piece))
    assert not any(isinstance(event, e.OutputRestarted) for event in written)
    assert standing_text(written) == "".join(story)


def test_an_empty_memory_compares_nothing() -> None:
    retelling = Retelling(Memory(), 1)
    assert retelling.tell(text("x")) == (text("x"),)
    assert not retelling.comparing
    assert retelling.end() == ()
