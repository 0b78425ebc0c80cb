"""The bundled summariser: sentence splitting, ranking, and the agent's steps."""

import time

import pytest

from runwell.agents.summarize import summarize
from runwell.agents.summarize.prose import read, split
from runwell.agents.summarize.rank import Ranking, words
from runwell.domain.errors import InvalidInput
from tests.agents.recording import Recording, RecordingContext

BEES = """---
layout: page
---
# Bees

Honey bees live in colonies of many thousand bees. Mr. Smith et al. counted 40,000 bees in one colony,
i.e. more than most expect. A colony of honey bees has one queen.

```python
print("The queen bees colony. Honey bees colony queen.")
```

| Colony | Bees |
|--------|------|
| one    | 9    |

- Worker bees of the colony gather [nectar](https://example.org/a) and make honey.
- Drones do **not** gather anything.

The price of bread rose in March. <!-- bees. bees. colony. --> Trains were late that day! Were they?
"""


def sentences(text: str) -> list[str]:
    prose = read(text)
    return [prose.text[start:end] for start, end in split(prose.text)]


async def summary(input, recording=None):
    context = RecordingContext(input, recording)
    return await summarize.call(context), context.recording


def test_markdown_is_taken_off():
    assert read(BEES).title == "Bees"
    assert sentences(BEES) == [
        "Honey bees live in colonies of many thousand bees.",
        "Mr. Smith et al. counted 40,000 bees in one colony, i.e. more than most expect.",
        "A colony of honey bees has one queen.",
        "Worker bees of the colony gather nectar and make honey.",
        "Drones do not gather anything.",
        "The price of bread rose in March.",
        "Trains were late that day!",
        "Were they?",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See Fig. 3 by J. R. Tolkien. Then go.", ["See Fig. 3 by J. R. Tolkien.", "Then go."]),
        ('He said "Stop." She did.', ['He said "Stop."', "She did."]),
        ("Pi is 3.14 or so. e.g. this", ["Pi is 3.14 or so. e.g. this"]),
        ("Das gilt z.B. hier. Gut so.", ["Das gilt z.B. hier.", "Gut so."]),
        ("一つ目の文。二つ目の文！", ["一つ目の文。", "二つ目の文！"]),
        ("Первое. Второе?", ["Первое.", "Второе?"]),
        ("a wrapped\nline.\n\nNo full stop", ["a wrapped line.", "No full stop"]),
        ("Title\n=====\nText.", ["Text."]),
        ("", []),
        (" \n\t\n", []),
    ],
)
def test_sentences_end_where_they_do(text, expected):
    assert sentences(text) == expected


@pytest.mark.parametrize("unit", ["[", "<", "<!--", "[a](", "*_`", "> ", "```\n", "a.", ". ", "|-", "1."])
def test_hostile_text_takes_no_longer_than_any(unit):
    text = unit * (200_000 // len(unit))
    began = time.process_time()
    split(read(text).text)
    assert time.process_time() - began < 5


def test_words_of_scripts_without_spaces_are_pairs():
    assert words("Don't 東京都 re-do") == ["don't", "東京", "京都", "re-do"]


def test_central_sentences_come_first_and_strays_last():
    found = sentences(BEES)
    ranking = Ranking(found)
    scores = ranking.improve([], 30)
    assert sum(scores) == pytest.approx(len(found))
    assert scores.index(max(scores)) in (0, 1, 2, 3)
    assert max(scores[5:]) < min(scores[:4])
    again = Ranking(found).improve(Ranking(found).improve([], 10), 20)
    assert again == pytest.approx(scores, abs=1e-6)


def test_a_title_pulls():
    found = [
        "Cats sleep a lot in the day.",
        "Dogs bark at night in the yard.",
        "Cats and dogs eat meat daily.",
    ]
    assert Ranking(found, "Dogs").improve([], 30)[1] > Ranking(found).improve([], 30)[1]


def test_what_is_picked_does_not_repeat_itself():
    found = ["The red fox jumps over the lazy dog now."] * 3 + ["A blue whale swims under the cold sea now."]
    assert 3 in Ranking(found).pick([1.2, 1.2, 1.2, 1.0], 2)


async def test_a_summary_is_made_of_the_documents_own_sentences_in_order():
    output, recording = await summary({"text": BEES, "sentences": 3})
    found = sentences(BEES)
    assert output.sentences == sorted(output.sentences, key=found.index)
    assert set(output.sentences) <= set(found[:5])
    assert output.summary == " ".join(output.sentences) == recording.text
    assert (output.title, output.sentences_in, output.sentences_out) == ("Bees", 8, 3)
    assert output.words_out < output.words_in
    assert {said.in_step for said in recording.said if said.what == "text"} == {"write"}


async def test_it_is_deterministic_and_moves_visibly():
    first, recording = await summary(BEES)
    second, _ = await summary(BEES)
    assert first == second
    percents = [percent for percent, _ in recording.of("progress")]
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0, 100)
    assert list(recording.steps)[:4] == ["read", "split", "score", "score#2"]
    assert list(recording.steps)[-2:] == ["select", "write"]


async def test_a_later_attempt_repeats_no_finished_step():
    first, recording = await summary(BEES)
    kept = dict(recording.steps)
    recording.said.clear()
    second, again = await summary(BEES, Recording(steps=recording.steps))
    assert second == first
    assert again.steps == kept
    assert again.text == ""


@pytest.mark.parametrize("text", ["", "   ", "```\ncode only\n```", "| a | b |"])
async def test_nothing_to_say_is_said_as_nothing(text):
    output, _ = await summary(text)
    assert (output.summary, output.sentences, output.words_out) == ("", [], 0)


@pytest.mark.parametrize("text", ["Just one sentence here.", "no end", "東京は日本の首都です。", "?!"])
async def test_one_sentence_is_its_own_summary(text):
    output, _ = await summary(text)
    assert output.summary == text


async def test_a_big_document_is_done_in_seconds():
    text = "\n\n".join(f"{BEES[20:]} Paragraph {n} speaks of topic{n % 97}." for n in range(1200))
    assert len(text) > 600_000
    began = time.process_time()
    output, _ = await summary(text)
    assert time.process_time() - began < 15
    assert len(output.sentences) == 7


@pytest.mark.parametrize("value", [None, 3, {"sentences": 3}, {"text": "a", "sentences": 0}])
def test_what_is_no_document_is_refused(value):
    with pytest.raises(InvalidInput):
        summarize.check_input(value)
