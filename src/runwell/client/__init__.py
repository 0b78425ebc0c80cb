"""The Python SDK over the native API. It imports the domain's values and nothing of the server."""

from runwell.client.asynchronous import AsyncClient
from runwell.client.errors import (
    ApiError,
    Conflict,
    ConnectionFailed,
    NotFound,
    RateLimited,
    ServerUnavailable,
    Unauthenticated,
)
from runwell.client.models import Agent, Event, Key, Message, Question, Run, Step, Thread
from runwell.client.patience import Patience
from runwell.client.sync import Client
from runwell.domain.run import RunStatus

__all__ = [
    "Agent",
    "ApiError",
    "AsyncClient",
    "Client",
    "Conflict",
    "ConnectionFailed",
    "Event",
    "Key",
    "Message",
    "NotFound",
    "Patience",
    "Question",
    "RateLimited",
    "Run",
    "RunStatus",
    "ServerUnavailable",
    "Step",
    "Thread",
    "Unauthenticated",
]
