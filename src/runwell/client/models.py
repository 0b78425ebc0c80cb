"""What the native API sends, as values.

Every struct ignores fields it does not know, and has a default for all but the few it cannot do
without: a client keeps working beside a newer server. Instants are aware `datetime`s, durations are
seconds.
"""

from datetime import datetime
from typing import Any

import msgspec

from runwell.domain.events import FINAL_TYPES, decode_event
from runwell.domain.events import Event as Fact
from runwell.domain.run import NO_USAGE, Progress, RunError, RunStatus, Usage


class Question(msgspec.Struct, frozen=True):
    """What a waiting run asks. `schema` is JSON Schema for the answer, or None for anything."""

    key: str
    question: Any = None
    schema: Any = None


class StepCounts(msgspec.Struct, frozen=True):
    """Steps so far by outcome; `current` is the key of the one running."""

    total: int = 0
    finished: int = 0
    failed: int = 0
    current: str | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run as `GET /runs/{id}` shows it. An answer to `create` may carry only the first fields.

    `queue_position` counts from 0 (the next one). `owner` is there in lists of others' runs. `output` is the
    agent's value, plain JSON. `ttft` and `duration` are seconds.
    """

    id: str
    status: RunStatus
    agent: str
    created_at: datetime
    links: dict[str, str] = {}
    owner: str | None = None
    reason: str | None = None
    thread_id: str | None = None
    source: str = "native"
    progress: Progress | None = None
    steps: StepCounts = StepCounts()
    attempt: int = 0
    tries: int = 0
    max_attempts: int = 3
    worker: str | None = None
    usage: Usage = NO_USAGE
    queue_position: int | None = None
    priority: int = 0
    concurrency_key: str | None = None
    timeout: float | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    ttft: float | None = None
    duration: float | None = None
    question: Question | None = None
    error: RunError | None = None
    output: Any = None
    metadata: dict[str, Any] = {}
    retry_of: str | None = None
    continues: str | None = None

    @property
    def final(self) -> bool:
        """Whether the run has ended. Nothing changes it after that."""
        return self.status in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a run's log. `raw` is the JSON of its fields as the server sent it."""

    seq: int
    at: datetime
    type: str
    raw: msgspec.Raw = msgspec.field(name="data")

    @property
    def data(self) -> dict[str, Any]:
        """The fields as plain JSON."""
        fields: dict[str, Any] = msgspec.json.decode(self.raw)
        return fields

    @property
    def fact(self) -> Fact | None:
        """The fields as a value of `runwell.domain.events`, to match on; None for a type that this
        version does not know."""
        try:
            return decode_event(self.type, self.raw)
        except KeyError:
            return None

    @property
    def final(self) -> bool:
        """Whether this is the last event of the run."""
        return self.type in FINAL_TYPES


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a run. `inherited`: an earlier run finished it. `duration` is seconds."""

    key: str
    name: str
    kind: str
    status: str
    started_at: datetime
    attempt: int = 0
    parent: str | None = None
    finished_at: datetime | None = None
    duration: float | None = None
    usage: Usage = NO_USAGE
    error: RunError | None = None
    output: Any = None
    inherited: bool = False


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An agent as the server lists it. `default`: a run that names no agent goes to it. `steps` are a
    workflow's, in dependency order."""

    name: str
    id: str = ""
    kind: str = ""
    description: str = ""
    input_schema: Any = None
    output_schema: Any = None
    retries: int = 0
    timeout: float | None = None
    concurrency: int | None = None
    default: bool = False
    model: str | None = None
    owner: str | None = None
    steps: tuple[dict[str, Any], ...] = ()


class Thread(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    created_at: datetime
    updated_at: datetime | None = None
    title: str | None = None
    metadata: dict[str, Any] = {}
    messages: int = 0


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a thread. `position` counts from 1."""

    position: int
    role: str
    content: Any = None
    at: datetime | None = None
    run_id: str | None = None


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """An API key. `secret` is there in the answer to `create` and never again."""

    id: str
    name: str
    owner: str = ""
    prefix: str = ""
    scopes: tuple[str, ...] = ()
    created_at: datetime | None = None
    revoked_at: datetime | None = None
    secret: str | None = None


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """An address that starts runs of `agent`. `token`, `path` and `url` are there in the answer to
    `create` and never again; `signed`: whoever posts must sign the body."""

    id: str
    agent: str
    name: str = ""
    prefix: str = ""
    signed: bool = False
    paused: bool = False
    created_at: datetime | None = None
    token: str | None = None
    path: str | None = None
    url: str | None = None


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """Where the events of your runs are posted; of all agents when `agents` is empty. `secret` is there
    in the answer to `create` and never again."""

    id: str
    url: str
    events: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    description: str = ""
    paused: bool = False
    created_at: datetime | None = None
    secret: str | None = None


class SigningSecret(msgspec.Struct, frozen=True, kw_only=True):
    """What posts are signed with. After a rotation the old one is good until `old_valid_until`."""

    secret: str
    created_at: datetime | None = None
    old_valid_until: datetime | None = None


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """One try: the receiver's `status_code`, or an `error` when it gave none. `duration` is seconds."""

    number: int
    at: datetime
    duration: float = 0.0
    status_code: int | None = None
    error: str | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event to be told to one address: `pending`, `delivered` or `given_up`. `id` is what the
    receiver sees as `webhook-id`. `posts` counts them; `history` is there when one is read by itself."""

    id: str
    run_id: str
    event: str
    url: str
    status: str
    created_at: datetime
    seq: int = 0
    callback_id: str | None = None
    next_at: datetime | None = None
    posts: int = 0
    last: Post | None = None
    history: tuple[Post, ...] = ()


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """Starts runs of `agent` at the times of `cron`. `next_at` is the next of them, None while it is
    paused; `last_error` says why the newest, `last_at`, has no run. `timeout` and `expires_in` are seconds.
    `input` and `next` are there when one is read by itself."""

    id: str
    agent: str
    cron: str
    name: str = ""
    timezone: str = "UTC"
    missed: str = "skip"
    paused: bool = False
    input: Any = None
    thread_id: str | None = None
    if_busy: str = "queue"
    concurrency_key: str | None = None
    metadata: dict[str, Any] = {}
    priority: int = 0
    timeout: float | None = None
    max_attempts: int | None = None
    expires_in: float | None = None
    created_at: datetime | None = None
    next_at: datetime | None = None
    last_at: datetime | None = None
    last_run_id: str | None = None
    last_error: str | None = None
    next: tuple[datetime, ...] = ()


class RunPage(msgspec.Struct, frozen=True):
    runs: tuple[Run, ...] = ()
    next_cursor: str | None = None


class ThreadPage(msgspec.Struct, frozen=True):
    threads: tuple[Thread, ...] = ()
    next_cursor: str | None = None


class MessagePage(msgspec.Struct, frozen=True):
    messages: tuple[Message, ...] = ()
    next_after: int | None = None


class StepList(msgspec.Struct, frozen=True):
    steps: tuple[Step, ...] = ()


class AgentList(msgspec.Struct, frozen=True):
    agents: tuple[Agent, ...] = ()


class KeyList(msgspec.Struct, frozen=True):
    keys: tuple[Key, ...] = ()


class TriggerList(msgspec.Struct, frozen=True):
    triggers: tuple[Trigger, ...] = ()


class SchedulePage(msgspec.Struct, frozen=True):
    schedules: tuple[Schedule, ...] = ()
    next_cursor: str | None = None


class CallbackList(msgspec.Struct, frozen=True):
    callbacks: tuple[Callback, ...] = ()


class DeliveryPage(msgspec.Struct, frozen=True):
    deliveries: tuple[Delivery, ...] = ()
    next_cursor: str | None = None


class RunDeliveries(msgspec.Struct, frozen=True):
    deliveries: tuple[Delivery, ...] = ()


class Redelivered(msgspec.Struct, frozen=True):
    redelivered: int = 0
