"""What a turn has used so far, as the metadata of its message."""

from typing import Any

from runwell.domain.run import NO_USAGE, Usage


class Spent:
    """Adds up the usage of a turn and of its current step."""

    def __init__(self) -> None:
        self._total = NO_USAGE
        self._step = NO_USAGE
        self._model: str | None = None
        self._news = False

    def add(self, usage: Usage, model: str | None) -> None:
        self._total += usage
        self._step += usage
        self._model = model or self._model
        # A request that has only begun has used nothing yet.
        if usage.input_tokens or usage.output_tokens or usage.cost:
            self._news = True

    def of_step(self) -> dict[str, Any] | None:
        """The metadata at the end of a step, which the next `add` begins anew; None when nothing was
        used since it was asked for last."""
        step, self._step = self._step, NO_USAGE
        if not self._news:
            return None
        self._news = False
        told: dict[str, Any] = {"modelId": self._model} if self._model is not None else {}
        told |= {"lastStepUsage": _tokens(step), "totalMessageUsage": _tokens(self._total)}
        if self._total.cost:
            told |= {"lastStepCost": step.cost, "totalMessageCost": self._total.cost}
        return told


def _tokens(usage: Usage) -> dict[str, int]:
    told = {
        "inputTokens": usage.input_tokens,
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.reasoning_tokens:
        told["reasoningTokens"] = usage.reasoning_tokens
    if usage.cached_tokens:
        told["cachedInputTokens"] = usage.cached_tokens
    return told
