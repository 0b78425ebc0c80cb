"""The operator's price table: which entry a model gets, and what its tokens come to."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from runwell.domain.prices import Price, Prices, read_price
from runwell.domain.run import Usage

AMOUNTS = some.floats(0, 1_000_000)
COUNTS = some.integers(0, 2**53)


def flat(amount: float) -> Price:
    return Price(input=amount, output=amount)


def which(prices: Prices, model: str | None, asked: str | None = None) -> float | None:
    price = prices.of(model, asked)
    return None if price is None else price.input


def test_a_cost_is_the_sum_of_fresh_cached_and_written_tokens() -> None:
    price = Price(input=1.25, output=10.0, cached=0.125)
    usage = Usage(input_tokens=1_000_000, cached_tokens=400_000, output_tokens=200_000)
    assert price.cost(usage) == pytest.approx(0.6 * 1.25 + 0.4 * 0.125 + 0.2 * 10.0)


def test_cached_tokens_cost_as_much_as_others_unless_the_table_says_so() -> None:
    usage = Usage(input_tokens=1_000_000, cached_tokens=400_000)
    assert Price(input=2.0, output=0.0).cost(usage) == 2.0
    assert Price(input=2.0, output=0.0, cached=0.0).cost(usage) == pytest.approx(1.2)


def test_credits_are_per_thousand_tokens() -> None:
    price = Price(input=1.0, output=1.0, credits_input=0.01, credits_output=0.04)
    assert price.credits(Usage(input_tokens=3_000, output_tokens=500)) == pytest.approx(0.05)


def test_more_cached_tokens_than_input_make_no_negative_cost() -> None:
    price = Price(input=100.0, output=0.0, cached=1.0)
    assert price.cost(Usage(input_tokens=10, cached_tokens=1_000_000)) == pytest.approx(10 * 1.0 / 1_000_000)


@given(AMOUNTS, AMOUNTS, some.none() | AMOUNTS, COUNTS, COUNTS, COUNTS)
def test_no_cost_and_no_credits_are_negative_or_without_end(
    first: float, second: float, cached: float | None, in_: int, from_cache: int, out: int
) -> None:
    price = Price(input=first, output=second, cached=cached, credits_input=first, credits_output=second)
    priced = Prices({"*": price}).priced(
        Usage(input_tokens=in_, cached_tokens=from_cache, output_tokens=out), "m"
    )
    for amount in (priced.cost, priced.credits):
        assert amount >= 0
        assert math.isfinite(amount)


def test_an_exact_name_goes_before_a_beginning_and_a_longer_one_before_a_shorter() -> None:
    prices = Prices(
        {"gpt-5*": flat(1), "gpt-5": flat(2), "gpt-5-mini*": flat(3), "*": flat(4), "gpt*": flat(5)}
    )
    assert which(prices, "gpt-5") == 2
    assert which(prices, "gpt-5-2025-08-07") == 1
    assert which(prices, "gpt-5-mini-2025-08-07") == 3
    assert which(prices, "gpt-4o") == 5
    assert which(prices, "llama3.2:3b") == 4


def test_a_model_is_known_by_the_name_it_was_asked_by_too() -> None:
    prices = Prices({"gpt-5": flat(1), "azure:o4": flat(2), "llama3.2:3b": flat(3)})
    assert which(prices, "gpt-5-2025-08-07", "openai:gpt-5") == 1
    assert which(prices, "o4-2025", "azure:o4") == 2
    assert which(prices, "o4-2025", "openai:o4") is None
    assert which(prices, None, "ollama:llama3.2:3b") == 3


def test_what_the_provider_reports_goes_before_what_was_asked() -> None:
    prices = Prices({"big": flat(1), "small": flat(2), "mid*": flat(3), "middling*": flat(4)})
    assert which(prices, "small", "any:big") == 2
    assert which(prices, "mid-1", "any:middling-2") == 3
    assert which(prices, "mid-1", "any:big") == 1


def test_a_table_that_does_not_know_the_model_changes_nothing() -> None:
    usage = Usage(input_tokens=5, output_tokens=5, cost=0.25, credits=1.0)
    for prices in (Prices(), Prices({"other": flat(1)}), Prices({"m-*": flat(1)})):
        assert prices.priced(usage, "m") is usage
        assert prices.priced(usage, None) is usage


def test_only_the_entry_for_all_others_prices_tokens_without_a_model() -> None:
    assert which(Prices({"a*": flat(1)}), None) is None
    assert which(Prices({"a*": flat(1), "*": flat(2)}), None) == 2


def test_the_table_goes_before_an_estimate_but_not_before_counted_credits() -> None:
    prices = Prices({"m": Price(input=2.0, output=2.0, credits_input=1.0)})
    priced = prices.priced(Usage(input_tokens=1_000, model_calls=1, cost=9.0, credits=7.0), "m")
    assert priced == Usage(input_tokens=1_000, model_calls=1, cost=0.002, credits=7.0)
    assert prices.priced(Usage(input_tokens=1_000), "m").credits == 1.0


def test_what_has_no_tokens_keeps_its_cost() -> None:
    fee = Usage(tool_calls=1, cost=0.01)
    assert Prices({"*": flat(1)}).priced(fee, "search") is fee


def test_an_entry_is_read_as_it_stands_in_a_file() -> None:
    table = {"input": 1, "output": 10.0, "cached": 0.5}
    assert read_price("gpt-5*", table) == Price(input=1.0, output=10.0, cached=0.5)


@pytest.mark.parametrize(
    ("name", "table", "words"),
    [
        ("m", {"input": 1}, "missing required field `output`"),
        ("m", {"input": 1, "output": 1, "outputs": 1}, "unknown field `outputs`"),
        ("m", {"input": -1, "output": 1}, "input: Expected `float` >= 0"),
        ("m", {"input": 1, "output": float("nan")}, "output: Expected `float` >= 0"),
        ("m", {"input": 1, "output": float("inf")}, "output: Expected `float` <= 1000000"),
        ("m", {"input": "1", "output": 1}, "input: Expected `float`, got `str`"),
        ("m", 1, "Expected `object`, got `int`"),
        ("gpt-*-mini", {"input": 1, "output": 1}, "a * stands only at the end"),
        ("**", {"input": 1, "output": 1}, "a * stands only at the end"),
        ("", {"input": 1, "output": 1}, "no model's name"),
    ],
)
def test_an_entry_that_makes_no_sense_says_why(name: str, table: object, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        read_price(name, table)
