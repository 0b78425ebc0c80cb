"""The agent: read, split, score, select, write; each a durable step, so a crash repeats only one."""

import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from runwell.agents.python import agent
from runwell.agents.summarize.prose import Prose, read, split
from runwell.agents.summarize.rank import Ranking, count_words
from runwell.ports.agent import Context

SCORE_STEPS = 6
ROUNDS_PER_STEP = 5


@dataclass
class Document:
    """What to summarise. Without `sentences`, about a tenth of them is kept: 3 to 7."""

    text: str
    sentences: Annotated[int, Field(ge=1, le=100)] | None = None
    title: str | None = None


@dataclass
class Summary:
    """`summary` is the `sentences`, joined: they are the document's own, in its order."""

    summary: str
    sentences: list[str]
    title: str | None
    words_in: int
    words_out: int
    sentences_in: int
    sentences_out: int


@agent
async def summarize(ctx: Context, document: str | Document) -> Summary:
    """Summarise a text or Markdown document by picking its most central sentences, word for word.

    Send the text, or an object with `text`, `sentences` (how many) and `title`.
    """
    wanted = document if isinstance(document, Document) else Document(document)
    await ctx.progress(0, "Reading the document")
    prose = Prose(*await ctx.step("read", read, wanted.text))
    title = wanted.title or prose.title

    await ctx.progress(10, "Finding its sentences")
    spans = await ctx.step("split", split, prose.text)
    sentences = [prose.text[start:end] for start, end in spans]

    ranking = Ranking(sentences, title)
    scores: list[float] = []
    for part in range(SCORE_STEPS):
        done = round(20 + 60 * part / SCORE_STEPS)
        await ctx.progress(done, f"Comparing {len(sentences)} sentences, round {part + 1} of {SCORE_STEPS}")
        scores = await ctx.step("score", ranking.improve, scores, ROUNDS_PER_STEP)

    await ctx.progress(80, "Choosing the most central ones")
    count = wanted.sentences or min(max(3, math.ceil(len(sentences) / 10)), 7)
    chosen = [sentences[at] for at in await ctx.step("select", ranking.pick, scores, count)]

    summary: str = await ctx.step("write", _write, ctx, chosen)
    await ctx.progress(100, "Done")
    return Summary(
        summary=summary,
        sentences=chosen,
        title=title or None,
        words_in=count_words(wanted.text),
        words_out=count_words(summary),
        sentences_in=len(sentences),
        sentences_out=len(chosen),
    )


async def _write(ctx: Context, chosen: list[str]) -> str:
    written = ""
    for number, sentence in enumerate(chosen, start=1):
        piece = f" {sentence}" if written else sentence
        await ctx.text(piece)
        written += piece
        await ctx.progress(80 + round(20 * number / (len(chosen) + 1)), "Writing")
    return written
