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
from runwell.client.models import (
    Agent,
    Callback,
    Delivery,
    Event,
    Key,
    Message,
    Post,
    Question,
    Run,
    Schedule,
    SigningSecret,
    Step,
    Thread,
    Trigger,
)
from runwell.client.overview import (
    AgentQueue,
    Bucket,
    BulkResult,
    Refusal,
    RunStats,
    User,
    UserSession,
    Worker,
)
from runwell.client.patience import Patience
from runwell.client.sync import Client
from runwell.domain.run import RunStatus

__all__ = [
    "Agent",
    "AgentQueue",
    "ApiError",
    "AsyncClient",
    "Bucket",
    "BulkResult",
    "Callback",
    "Client",
    "Conflict",
    "ConnectionFailed",
    "Delivery",
    "Event",
    "Key",
    "Message",
    "NotFound",
    "Patience",
    "Post",
    "Question",
    "RateLimited",
    "Refusal",
    "Run",
    "RunStats",
    "RunStatus",
    "Schedule",
    "ServerUnavailable",
    "SigningSecret",
    "Step",
    "Thread",
    "Trigger",
    "Unauthenticated",
    "User",
    "UserSession",
    "Worker",
]
