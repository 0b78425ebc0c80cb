"""What a response says it consumed, in Runwell's words."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic_ai.messages import ModelResponse
from pydantic_ai.usage import RequestUsage

from runwell.agents.pydantic_ai.consumption import MOST, Consumed, of_failure, of_response
from runwell.domain.run import Usage


def told(model: str | None = "local", **used: Any) -> Consumed:
    (consumed,) = of_response(ModelResponse(parts=[], model_name=model, usage=RequestUsage(**used)))
    return consumed


def test_tokens_are_taken_as_they_are_reported() -> None:
    consumed = told(input_tokens=10, output_tokens=5, cache_read_tokens=4, output_reasoning_tokens=3)
    assert consumed == (
        Usage(input_tokens=10, output_tokens=5, cached_tokens=4, reasoning_tokens=3),
        "local",
    )


@pytest.mark.parametrize("name", ["reasoning_tokens", "thoughts_tokens"])
def test_reasoning_is_found_under_every_name(name: str) -> None:
    assert told(details={name: 7}).usage.reasoning_tokens == 7


def test_counts_that_cannot_be_are_brought_within_bounds() -> None:
    usage = told(input_tokens=-1, output_tokens=2**70, cache_read_tokens=-3).usage
    assert usage == Usage(input_tokens=0, output_tokens=MOST)


def test_a_reported_cost_goes_before_an_estimate_and_none_is_negative() -> None:
    assert told("gpt-4o", input_tokens=1_000_000, cost=Decimal("0.25")).usage.cost == 0.25
    assert told("gpt-4o", input_tokens=1_000_000).usage.cost > 1
    assert told("local", input_tokens=1_000_000).usage.cost == 0
    assert told(None, input_tokens=1_000_000).usage.cost == 0
    assert told(cost=Decimal(-1)).usage.cost == 0


def test_a_request_that_never_answered_has_no_tokens_to_count() -> None:
    assert of_failure(None, ConnectionError("refused")) == []
