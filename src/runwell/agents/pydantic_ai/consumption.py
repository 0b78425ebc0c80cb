"""What a request to a model consumed, in our words, however it ended.

What is reported is taken as it is: a stream that broke off is counted as far as the provider had
reported, and nothing is guessed.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pydantic_ai.exceptions import FallbackExceptionGroup
from pydantic_ai.messages import ModelRequestAttempt, ModelResponse
from pydantic_ai.models import StreamedResponse
from pydantic_ai.usage import RequestUsage

from runwell.domain.run import Usage

MOST = 2**53
"""Of one count; a server that says more is wrong, which must not cost the run its paid answer."""


class Consumed(NamedTuple):
    """By one request to one model, without the request itself: `usage.model_calls` is 0."""

    usage: Usage
    model: str | None


def of_response(response: ModelResponse) -> list[Consumed]:
    """Of all requests that led to `response`, in order: a chain of models may have asked some in vain."""
    answered = Consumed(_usage(response.usage, _cost(response)), response.model_name)
    return [*_in_vain(response.failed_attempts or ()), answered]


def of_failure(stream: StreamedResponse | None, error: BaseException) -> list[Consumed]:
    """Of all requests that ended in `error`; `stream` is the answer as far as it had come."""
    if stream is not None:
        return of_response(stream.get())
    if isinstance(error, FallbackExceptionGroup):
        return list(_in_vain(error.attempts))
    return []


def _in_vain(attempts: Iterable[ModelRequestAttempt]) -> Iterator[Consumed]:
    for attempt in attempts:
        used = attempt.usage or RequestUsage()
        yield Consumed(_usage(used, float(used.cost or 0)), attempt.model_name)


def _usage(used: RequestUsage, cost: float) -> Usage:
    details = used.details
    return Usage(
        input_tokens=_count(used.input_tokens),
        output_tokens=_count(used.output_tokens),
        cached_tokens=_count(used.cache_read_tokens),
        # One thing under three names: of the library, of OpenAI, of Google.
        reasoning_tokens=_count(
            used.output_reasoning_tokens
            or details.get("reasoning_tokens", 0)
            or details.get("thoughts_tokens", 0)
        ),
        cost=max(cost, 0.0),
    )


def _count(reported: int) -> int:
    return min(max(reported, 0), MOST)


def _cost(response: ModelResponse) -> float:
    """US dollars as the provider reports them, or by the price list that PydanticAI brings; 0 for a
    model that is not on it.
    """
    if response.usage.cost is not None:
        return float(response.usage.cost)
    if not response.model_name:
        return 0.0
    try:
        return float(response.cost().total_price)
    except (LookupError, ValueError):
        return 0.0
