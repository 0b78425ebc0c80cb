"""LexRank: a sentence is central when it is similar to many central sentences.

Erkan and Radev, "LexRank: Graph-based Lexical Centrality as Salience in Text Summarization", JAIR 22
(2004), with continuous weights. Sentences are unit vectors of tf-idf, the graph's weights are their
cosines. The matrix is never built: with the vectors as the rows of X it is X·Xᵀ without its diagonal,
and X·(Xᵀ·v) takes time in the number of words, not in the square of the number of sentences.
"""

import math
import re
from collections import Counter
from functools import cached_property

Vector = dict[str, float]

DAMPING = 0.85
TITLE_PULL = 4.0
"""How much likelier the random reader jumps to a sentence that is all title."""
LIKENESS_COST = 0.6
"""What a sentence loses, at most, for saying again what is already picked."""

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|[^\W_]+(?:['’-][^\W_]+)*")
_WITHOUT_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_STOP_WORDS = frozenset(
    _WORD.findall("""
    a about after all also an and any are as at be because been before being between both but by can
    could did do does each for from had has have he her his how i if in into is it its just like may
    me might more most my no not of on one only or other our out over own same she should so some
    such than that the their them then there these they this those through to too under up very was
    we were what when where which while who whom why will with would you your der die das und ist le
    la les et de des un une el los las y en que
    """)
)


def words(text: str) -> list[str]:
    """Words in lower case; pairs of characters where a script has no spaces."""
    found: list[str] = []
    for word in _WORD.findall(text.lower()):
        if _WITHOUT_SPACES.match(word):
            found.extend(word[at : at + 2] for at in range(max(len(word) - 1, 1)))
        else:
            found.append(word)
    return found


def count_words(text: str) -> int:
    return sum(1 for _ in _WORD.finditer(text))


class Ranking:
    """The sentences of one document. Vectors are made at first use, so in the thread of a step."""

    def __init__(self, sentences: list[str], title: str = "") -> None:
        self._sentences = sentences
        self._title = title

    def improve(self, scores: list[float], rounds: int) -> list[float]:
        """`rounds` of power iteration; an empty list starts from equal scores. The mean stays 1."""
        size = len(self._sentences)
        scores = scores or [1.0] * size
        for _ in range(rounds):
            shares = [score / degree for score, degree in zip(scores, self._degrees, strict=True)]
            reached = self._similar(shares)
            # What the damping leaves, and what sentences without neighbours hold, is jumped with.
            lost = size - DAMPING * sum(reached)
            scores = [DAMPING * r + lost * jump for r, jump in zip(reached, self._jumps, strict=True)]
        return [round(score, 9) for score in scores]

    def pick(self, scores: list[float], count: int) -> list[int]:
        """The positions of the `count` best sentences that do not repeat each other, in text order."""
        order = sorted(range(len(scores)), key=lambda at: (-self._worth(at, scores[at]), at))
        open_ = order[: max(count * 8, 40)]
        best = max((scores[at] for at in open_), default=1.0) or 1.0
        likeness = dict.fromkeys(open_, 0.0)
        picked: list[int] = []
        while open_ and len(picked) < count:
            chosen = max(
                open_, key=lambda at: (self._worth(at, scores[at] / best) - LIKENESS_COST * likeness[at], -at)
            )
            open_.remove(chosen)
            picked.append(chosen)
            for at in open_:
                likeness[at] = max(likeness[at], _cosine(self._vectors[at], self._vectors[chosen]))
        return sorted(picked)

    def _worth(self, at: int, score: float) -> float:
        """Fragments and endless sentences read badly in a summary, however central."""
        length = count_words(self._sentences[at])
        return score * (min(length / 8, 1.0) if length < 60 else 0.5)

    @cached_property
    def _vectors(self) -> list[Vector]:
        return [self._vector(bag) for bag in self._bags]

    @cached_property
    def _bags(self) -> list[Counter[str]]:
        return [Counter(w for w in words(text) if w not in _STOP_WORDS) for text in self._sentences]

    @cached_property
    def _rarity(self) -> Vector:
        in_sentences: Counter[str] = Counter()
        for bag in self._bags:
            in_sentences.update(bag.keys())
        return {word: math.log((1 + len(self._bags)) / n) for word, n in in_sentences.items()}

    def _vector(self, bag: Counter[str]) -> Vector:
        weights = {word: n * self._rarity[word] for word, n in bag.items() if word in self._rarity}
        length = math.sqrt(sum(weight * weight for weight in weights.values()))
        return {word: weight / length for word, weight in weights.items()} if length else {}

    @cached_property
    def _degrees(self) -> list[float]:
        """The sum of each sentence's similarities; 1 for one without neighbours, whose share is then lost."""
        return [degree if degree > 1e-9 else 1.0 for degree in self._similar([1.0] * len(self._sentences))]

    @cached_property
    def _jumps(self) -> list[float]:
        title = self._vector(Counter(words(self._title)))
        pulls = [1.0 + TITLE_PULL * _cosine(title, vector) for vector in self._vectors]
        total = sum(pulls)
        return [pull / total for pull in pulls]

    def _similar(self, values: list[float]) -> list[float]:
        """(X·Xᵀ − I)·values; rows without words have no diagonal to take off."""
        weight: dict[str, float] = {}
        for vector, value in zip(self._vectors, values, strict=True):
            for word, part in vector.items():
                weight[word] = weight.get(word, 0.0) + part * value
        return [
            max(sum(part * weight[word] for word, part in vector.items()) - value, 0.0) if vector else 0.0
            for vector, value in zip(self._vectors, values, strict=True)
        ]


def _cosine(a: Vector, b: Vector) -> float:
    if len(a) > len(b):
        a, b = b, a
    return sum(part * b[word] for word, part in a.items() if word in b)
