"""What the native API sends, field by field: the source of both the bytes and their documentation."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from runwell.domain.callback import DeliveryStatus
from runwell.domain.json_gate import Json
from runwell.domain.principal import Scope
from runwell.domain.run import Progress, RunError, RunStatus, Usage
from runwell.domain.step import StepKind, StepStatus
from runwell.domain.thread import Role

Time = Annotated[
    str, Meta(extra_json_schema={"format": "date-time"}, description="RFC 3339, UTC, with microseconds")
]
RunId = Annotated[str, Meta(examples=["run_019ab7c2f0de4c61b4d2a7e58f3c9016"], pattern="^run_[0-9a-f]{32}$")]
ThreadId = Annotated[str, Meta(pattern="^thread_[0-9a-f]{32}$")]
KeyId = Annotated[str, Meta(pattern="^key_[0-9a-f]{32}$")]
TriggerId = Annotated[str, Meta(pattern="^trigger_[0-9a-f]{32}$")]
AgentId = Annotated[str, Meta(pattern="^agent_[0-9a-f]{32}$")]
CallbackId = Annotated[str, Meta(pattern="^cb_[0-9a-f]{32}$")]
DeliveryId = Annotated[
    str, Meta(pattern="^msg_[0-9a-f]{32}$", description="What the receiver sees as `webhook-id`")
]
ANY_SPELLING = (
    "^([a-z]{1,16}_)?[0-9a-f]{32}$"
    "|^([a-z]{1,16}-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
    "|^([a-z]{1,16}_)?[0-7][0-9A-HJKMNP-TV-Z]{25}$"
)
"""What `parse_id` reads, for the documentation of what is sent to us."""
Object = Annotated[Json, Meta(extra_json_schema={"type": "object"})]
Schema = Annotated[Json, Meta(description="JSON Schema")]
Value = Annotated[Json, Meta(description="Any JSON value")]
Seconds = Annotated[float, Meta(ge=0, description="Seconds")]


class Links(msgspec.Struct, frozen=True):
    """Where to go from here: paths on this server, under the mount the request came through."""

    self: str
    events: str
    steps: str
    cancel: str
    answer: str
    retry: str


class Steps(msgspec.Struct, frozen=True):
    """`total` have started, of which `finished` and `failed` ended; `current` is the newest under way."""

    total: int
    finished: int
    failed: int
    current: str | None


class Question(msgspec.Struct, frozen=True):
    """What a waiting run asks; `schema` describes the answer it wants, if it cares."""

    key: str
    question: Value
    schema: Schema | None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    id: RunId
    status: RunStatus
    reason: str | None
    agent: str
    thread_id: ThreadId | None
    source: str
    progress: Progress | None
    steps: Steps
    attempt: int
    tries: int
    max_attempts: int
    worker: str | None
    usage: Usage
    queue_position: Annotated[int, Meta(ge=0, description="0 is next")] | None
    priority: int
    concurrency_key: str | None
    timeout: Seconds | None
    created_at: Time
    queued_at: Time
    started_at: Time | None
    finished_at: Time | None
    not_before: Time | None
    expires_at: Time | None
    cancel_requested_at: Time | None
    ttft: Annotated[float, Meta(description="Seconds to the first output")] | None
    duration: Annotated[float, Meta(description="Seconds from the first claim to the end")] | None
    question: Question | None
    error: RunError | None
    output: Value | None
    metadata: Object
    retry_of: RunId | None
    continues: RunId | None
    links: Links


class ListedRun(Run, frozen=True, kw_only=True):
    """`owner` is there when runs of others are listed. With `?output=false`, `output` is null and `preview`
    is its beginning: of a text the text, else its JSON. What is in others' runs is not shown: `output`,
    `preview` and `question` are null, `metadata` is empty."""

    owner: str | UnsetType = UNSET
    preview: str | UnsetType | None = UNSET


class Submitted(msgspec.Struct, frozen=True):
    """A run as it was when it was submitted, also when the request is repeated later."""

    id: RunId
    status: RunStatus
    agent: str
    created_at: Time
    links: Links


class RunPage(msgspec.Struct, frozen=True):
    runs: list[ListedRun]
    next_cursor: str | None


class Event(msgspec.Struct, frozen=True):
    """A line of a run's log. Instants inside `data` are whole microseconds since 1970."""

    seq: Annotated[int, Meta(ge=1)]
    at: Time
    type: str
    data: Object


class EventPage(msgspec.Struct, frozen=True):
    """`next_after` is the cursor of the next page; `final`: nothing will ever follow this page."""

    events: list[Event]
    next_after: int
    final: bool


class Step(msgspec.Struct, frozen=True):
    key: str
    name: str
    kind: StepKind
    parent: str | None
    status: StepStatus
    attempt: int
    started_at: Time
    finished_at: Time | None
    duration: float | None
    usage: Usage
    error: RunError | None
    output: Value | None
    inherited: bool


class StepList(msgspec.Struct, frozen=True):
    steps: list[Step]


class AgentStep(msgspec.Struct, frozen=True):
    """A step of a workflow; its `id` is the `key` among the steps of a run."""

    id: str
    name: str
    prompt: str
    agent: str | None
    model: str | None
    tools: list[str]
    depends_on: list[str]


class Agent(msgspec.Struct, frozen=True):
    """`model` is set for an agent of a model, `steps` for a workflow; `owner` for one that was made through
    the API: an agent in code is everybody's."""

    id: AgentId
    name: str
    kind: str
    description: str
    input_schema: Schema
    output_schema: Schema | None
    retries: int
    timeout: float | None
    concurrency: int | None
    default: bool
    model: str | None
    owner: str | None
    steps: Annotated[list[AgentStep], Meta(description="In dependency order")] | UnsetType = UNSET


class AgentList(msgspec.Struct, frozen=True):
    agents: list[Agent]


class Thread(msgspec.Struct, frozen=True):
    """`messages` is how many there are."""

    id: ThreadId
    title: str | None
    metadata: Object
    messages: int
    created_at: Time
    updated_at: Time


class ThreadPage(msgspec.Struct, frozen=True):
    threads: list[Thread]
    next_cursor: str | None


class Message(msgspec.Struct, frozen=True):
    position: Annotated[int, Meta(ge=1)]
    role: Role
    content: Value
    at: Time
    run_id: RunId | None


class MessagePage(msgspec.Struct, frozen=True):
    """`next_after` is the cursor of the next page, None after the last message."""

    messages: list[Message]
    next_after: int | None


class Key(msgspec.Struct, frozen=True):
    """A key without its secret; `prefix` is the secret's beginning."""

    id: KeyId
    name: str
    owner: str
    prefix: str
    scopes: list[Scope]
    created_at: Time
    revoked_at: Time | None


class NewKey(Key, frozen=True):
    """A key with its secret: this answer is the only place it is ever shown."""

    secret: str


class KeyList(msgspec.Struct, frozen=True):
    keys: list[Key]


class Callback(msgspec.Struct, frozen=True):
    """Told of every run of yours, or of those of `agents` when that is not empty."""

    id: CallbackId
    url: str
    events: list[str]
    agents: list[str]
    description: str
    paused: bool
    created_at: Time


class NewCallback(Callback, frozen=True):
    """With the secret that its posts are signed with: this answer is the only place it is shown."""

    secret: str


class CallbackList(msgspec.Struct, frozen=True):
    callbacks: list[Callback]


class SigningSecret(msgspec.Struct, frozen=True):
    """`whsec_` and base64, as libraries of Standard Webhooks take it."""

    secret: str
    created_at: Time


class RotatedSecret(SigningSecret, frozen=True):
    """Until `old_valid_until` each post carries a signature by the old secret too."""

    old_valid_until: Time


class Post(msgspec.Struct, frozen=True):
    """One try: the receiver's `status_code`, or an `error` when there was no answer."""

    number: Annotated[int, Meta(ge=1)]
    at: Time
    duration: Seconds
    status_code: int | None
    error: str | None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event to be told to one address. `callback_id` is None for a callback of the run's own;
    `posts` is how many were made, `last` the newest of them, `next_at` when the next one is."""

    id: DeliveryId
    run_id: RunId
    seq: Annotated[int, Meta(ge=1, description="The event's number in the run's log")]
    event: str
    url: str
    callback_id: CallbackId | None
    status: DeliveryStatus
    created_at: Time
    next_at: Time | None
    posts: Annotated[int, Meta(ge=0)]
    last: Post | None


class DeliveryHistory(Delivery, frozen=True, kw_only=True):
    """A delivery with all its posts, oldest first."""

    history: list[Post]


class DeliveryPage(msgspec.Struct, frozen=True):
    deliveries: list[Delivery]
    next_cursor: str | None


class RunDeliveries(msgspec.Struct, frozen=True):
    """All of one run's, oldest first."""

    deliveries: list[DeliveryHistory]


class Redelivered(msgspec.Struct, frozen=True):
    """How many deliveries will be posted again."""

    redelivered: Annotated[int, Meta(ge=0)]


class Trigger(msgspec.Struct, frozen=True):
    """An address that starts a run of `agent`, without the address; `prefix` is its token's beginning.
    `signed`: a request must carry the HMAC of its body."""

    id: TriggerId
    name: str
    agent: str
    prefix: str
    signed: bool
    paused: bool
    created_at: Time


class NewTrigger(Trigger, frozen=True):
    """A trigger with its address: this answer is the only place it is ever shown."""

    token: str
    path: Annotated[str, Meta(description="Where to post, on this server; whoever knows it may")]


class TriggerList(msgspec.Struct, frozen=True):
    triggers: list[Trigger]


class Fault(msgspec.Struct, frozen=True):
    path: str
    fault: str


class Problem(msgspec.Struct, frozen=True):
    """RFC 9457. `code` is stable and for machines; `hint` says what to do next."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    hint: str | UnsetType = UNSET
    path: Annotated[str, Meta(description="Where the first fault is")] | UnsetType = UNSET
    errors: list[Fault] | UnsetType = UNSET
    run_id: RunId | UnsetType = UNSET


BODIES = (
    Run, Submitted, RunPage, EventPage, StepList, Agent, AgentList, Thread, ThreadPage, Message,
    MessagePage, Key, NewKey, KeyList, Callback, NewCallback, CallbackList, SigningSecret, RotatedSecret,
    Delivery, DeliveryHistory, DeliveryPage, RunDeliveries, Redelivered, Trigger, NewTrigger,
    TriggerList, Problem,
)  # fmt: skip
"""Every body by itself; what they are made of follows from them."""
