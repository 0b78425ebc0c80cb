"""What goes wrong between an agent and its model, as facts: which model, what it said, what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from pydantic_ai.exceptions import (
    AgentRunError,
    FallbackExceptionGroup,
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelTimeoutError,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
    UserError,
)

from runwell.domain.run import Reason
from runwell.ports.agent import AgentFailed

_LONGEST = 500
"""Characters of an API's own words that are repeated."""


@contextmanager
def told_as_facts() -> Iterator[None]:
    """Turn PydanticAI's errors into `AgentFailed`; what a tool raises comes through as it is."""
    try:
        yield
    except UsageLimitExceeded as error:
        raise AgentFailed(Reason.BUDGET_EXHAUSTED, f"{error}; raise the agent's usage limits") from error
    except FallbackExceptionGroup as group:
        said = "; ".join(_model_error(error) for error in group.exceptions)
        raise AgentFailed(Reason.MODEL_ERROR, f"all models failed: {said}") from group
    except (ModelAPIError, UnexpectedModelBehavior) as error:
        raise AgentFailed(Reason.MODEL_ERROR, _model_error(error)) from error
    except (UserError, AgentRunError) as error:
        raise AgentFailed(Reason.ERROR, str(error)) from error


def _model_error(error: Exception) -> str:
    match error:
        case ModelHTTPError():
            body = _words(error.body)
            return (
                f"model {error.model_name} answered {error.status_code}{body}; {_advice(error.status_code)}"
            )
        case ModelTimeoutError():
            return f"model {error.model_name} did not answer in time{_where(error)}; retry the run"
        case ModelConnectionError() if _broke_off(error):
            return f"model {error.model_name} broke off{_where(error)}: {_root(error)}; retry the run"
        case ModelConnectionError():
            return (
                f"model {error.model_name} cannot be reached{_where(error)}: {_root(error)}; "
                "check that its server runs and that base_url names it"
            )
        case ModelAPIError():
            return f"model {error.model_name} failed: {_short(error.message)}; retry the run"
        case UnexpectedModelBehavior():
            return (
                f"the model's answer cannot be used: {_short(str(error))}; retry, or change the instructions"
            )
        case _:
            return _short(str(error))


def _advice(status: int) -> str:
    match status:
        case 401 | 403:
            return "check the API key and what it may use"
        case 404:
            return "check the model's name and base_url"
        case 408 | 429 | 503 | 529:
            return "it is busy or a quota is used up: retry the run later"
        case _ if status >= 500:
            return "the fault is on its side: retry the run"
        case _:
            return "it refused the request: check the prompt, the tools and the settings"


def _words(body: object) -> str:
    if isinstance(body, dict):
        inner = body.get("error", body)
        body = inner.get("message", inner) if isinstance(inner, dict) else inner
    return f": {_short(str(body))}" if body else ""


def _where(error: ModelAPIError) -> str:
    """The address that was asked, from the client's own exception."""
    request = getattr(error.__cause__, "request", None)
    url = getattr(request, "url", None)
    return f" at {url}" if url is not None else ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _broke_off(error: BaseException) -> bool:
    """Whether there was a connection at all."""
    return any(isinstance(cause, httpx2.ReadError | httpx2.RemoteProtocolError) for cause in _causes(error))


def _root(error: BaseException) -> str:
    """The words of the first cause that has any: `Connection error.` alone says nothing."""
    return _short([str(cause) for cause in _causes(error) if str(cause)][-1])


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
