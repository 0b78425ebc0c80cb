"""What is looked at where there are many: counts, workers, users; and what came of a bulk request."""

from datetime import datetime

import msgspec

from runwell.client.transport import Request, Transport, path_of


class Bucket(msgspec.Struct, frozen=True):
    """From `at` on: how many runs were made, and how many ended which way."""

    at: datetime
    created: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0


class AgentQueue(msgspec.Struct, frozen=True):
    """What an agent's runs do now; the longest in the queue waits since `oldest_queued_at`."""

    agent: str
    queued: int = 0
    running: int = 0
    waiting: int = 0
    oldest_queued_at: datetime | None = None


class RunStats(msgspec.Struct, frozen=True):
    """`buckets` from `since` to `until`, each `bucket` seconds; `queue` is as it is now."""

    since: datetime
    until: datetime
    bucket: int
    buckets: tuple[Bucket, ...] = ()
    queue: tuple[AgentQueue, ...] = ()


class Why(msgspec.Struct, frozen=True):
    why: str


class Refusal(msgspec.Struct, frozen=True):
    """Why nothing was done to this run."""

    id: str
    code: str
    reason: str = ""


class BulkResult(msgspec.Struct, frozen=True):
    """`matched` runs were looked at, `done` to so many; `more` fit the filter too, from `next_cursor` on.
    After a dry run nothing is done, and all that are not `refused` would be."""

    matched: int
    done: int
    refused: tuple[Refusal, ...] = ()
    more: bool = False
    next_cursor: str | None = None


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A process that serves or works, as it was `seen_at` last. `lapse` is in seconds."""

    name: str
    alive: bool
    started_at: datetime
    seen_at: datetime
    host: str = ""
    pid: int = 0
    version: str = ""
    lapse: float = 0.0
    agents: tuple[str, ...] = ()
    places: int = 0
    running: int = 0
    serves: bool = False
    stopping: bool = False


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who can sign in, unless `disabled_at` is set; `owner` is whose their runs are."""

    id: str
    email: str
    created_at: datetime
    name: str = ""
    owner: str = ""
    admin: bool = False
    disabled_at: datetime | None = None


class UserSession(msgspec.Struct, frozen=True, kw_only=True):
    """One browser in which a user is signed in."""

    id: str
    created_at: datetime
    expires_at: datetime
    last_seen_at: datetime
    user_agent: str = ""
    address: str = ""


class _WorkerList(msgspec.Struct, frozen=True):
    workers: tuple[Worker, ...] = ()


class _UserList(msgspec.Struct, frozen=True):
    users: tuple[User, ...] = ()


class _UserSessions(msgspec.Struct, frozen=True):
    sessions: tuple[UserSession, ...] = ()


class _Ended(msgspec.Struct, frozen=True):
    ended: int


_WORKERS = msgspec.json.Decoder(_WorkerList)
_USER = msgspec.json.Decoder(User)
_USERS = msgspec.json.Decoder(_UserList)
_SESSIONS = msgspec.json.Decoder(_UserSessions)
_ENDED = msgspec.json.Decoder(_Ended)


class AsyncWorkers:
    """`client.workers`; needs the scope `admin`. Every method raises `ApiError`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self) -> tuple[Worker, ...]:
        """Longest at work first."""
        response = await self._transport.send(Request(method="GET", path="/workers"))
        return self._transport.read(_WORKERS, response.content).workers


class AsyncUsers:
    """`client.users`; needs the scope `admin`. Every method raises `ApiError`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self) -> tuple[User, ...]:
        """Newest first, disabled ones too."""
        response = await self._transport.send(Request(method="GET", path="/users"))
        return self._transport.read(_USERS, response.content).users

    async def disable(self, id: str) -> User:
        """No more sign-ins, and all sessions end. Runs and keys stay."""
        return await self._user(id, "/disable")

    async def enable(self, id: str) -> User:
        """Sign-ins again."""
        return await self._user(id, "/enable")

    async def sessions(self, id: str) -> tuple[UserSession, ...]:
        """Where the user is signed in, newest first."""
        request = Request(method="GET", path=path_of("users", id, "/sessions"))
        response = await self._transport.send(request)
        return self._transport.read(_SESSIONS, response.content).sessions

    async def sign_out(self, id: str) -> int:
        """End all sessions of the user; how many."""
        request = Request(method="DELETE", path=path_of("users", id, "/sessions"))
        response = await self._transport.send(request)
        return self._transport.read(_ENDED, response.content).ended

    async def _user(self, id: str, rest: str) -> User:
        response = await self._transport.send(Request(method="POST", path=path_of("users", id, rest)))
        return self._transport.read(_USER, response.content)
