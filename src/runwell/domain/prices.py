"""What tokens cost by the operator's own table: US dollars, and credits.

    [prices."gpt-5*"]
    input = 1.25        # dollars per 1,000,000 tokens
    output = 10.0

A table says what a provider charges this operator, so it goes before any list that an adapter brings.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from runwell.domain.run import Usage

PER_DOLLARS = 1_000_000
"""Tokens that a price in dollars is for."""
PER_CREDITS = 1_000
"""Tokens that a price in credits is for."""
ANY = "*"

Amount = Annotated[float, Meta(ge=0, le=1_000_000)]
"""Also refuses NaN and infinity, which TOML can write."""


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of one model. `input`, `output` and `cached` are US dollars per 1,000,000 tokens; `cached` is for
    input tokens that the provider had in its cache, None for the same as `input`. The credits are per
    1,000 tokens.
    """

    input: Amount
    output: Amount
    cached: Amount | None = None
    credits_input: Amount = 0.0
    credits_output: Amount = 0.0

    def cost(self, usage: Usage) -> float:
        """US dollars. `cached_tokens` are a part of `input_tokens`, and count as no more than these."""
        cached = min(usage.cached_tokens, usage.input_tokens)
        fresh = usage.input_tokens - cached
        cached_price = self.input if self.cached is None else self.cached
        return (fresh * self.input + cached * cached_price + usage.output_tokens * self.output) / PER_DOLLARS

    def credits(self, usage: Usage) -> float:
        tokens = usage.input_tokens * self.credits_input + usage.output_tokens * self.credits_output
        return tokens / PER_CREDITS


class Prices:
    """A table of prices by model: an exact name, a beginning and `*`, or `*` alone for all others."""

    def __init__(self, table: Mapping[str, Price] | None = None) -> None:
        table = table or {}
        self._exact = {name: price for name, price in table.items() if not name.endswith(ANY)}
        self._others = table.get(ANY)
        beginnings = ((name[:-1], name) for name in table if name.endswith(ANY) and name != ANY)
        longest_first = sorted(beginnings, key=lambda found: len(found[0]), reverse=True)
        self._beginnings = tuple((beginning, table[name]) for beginning, name in longest_first)

    def of(self, model: str | None, asked: str | None = None) -> Price | None:
        """The price of a model; None when the table does not know it.

        `model` is the name that the provider reports, `asked` the one it was asked by, with or without
        its `provider:`. An exact name goes before a beginning, a longer beginning before a shorter one,
        and what the provider reports before what was asked.
        """
        names = tuple(_names(model, asked))
        for name in names:
            if name in self._exact:
                return self._exact[name]
        for name in names:
            for beginning, price in self._beginnings:
                if name.startswith(beginning):
                    return price
        return self._others

    def priced(self, usage: Usage, model: str | None, asked: str | None = None) -> Usage:
        """`usage` with the cost of its tokens, and with their credits where none were counted.

        What has no tokens keeps what it says: the fee of a search is no business of a table of tokens.
        """
        if not (usage.input_tokens or usage.output_tokens):
            return usage
        price = self.of(model, asked)
        if price is None:
            return usage
        return replace(usage, cost=price.cost(usage), credits=usage.credits or price.credits(usage))


def _names(model: str | None, asked: str | None) -> Iterator[str]:
    if model:
        yield model
    if asked:
        yield asked
        _, colon, bare = asked.partition(":")
        if colon:
            yield bare


def read_price(name: str, table: object) -> Price:
    """An entry of the table as it stands in a file. Raises `ValueError` with what is wrong."""
    if not name or ANY in name[:-1]:
        raise ValueError(f"{name!r} is no model's name: a * stands only at the end")
    try:
        return msgspec.convert(table, Price)
    except msgspec.ValidationError as error:
        why, _, where = str(error).partition(" - at `$.")
        raise ValueError(f"{where.rstrip('`')}: {why}" if where else why) from error
