"""What the native API reads: bodies as typed values, checked as they are decoded."""

import base64
import hashlib
from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.json import Decoder

from runwell.dialects.native.bodies import ANY_SPELLING
from runwell.dialects.native.problems import MalformedJson
from runwell.domain import json_gate
from runwell.domain.agent import ModelAgent, WorkflowAgent, WorkflowStep
from runwell.domain.callback import ENDINGS, TELLABLE, Callback, DeliveryStatus
from runwell.domain.errors import InvalidId, InvalidInput, InvalidJson
from runwell.domain.ids import parse_id
from runwell.domain.instant import Instant, from_iso
from runwell.domain.principal import Scope
from runwell.domain.run import RunStatus
from runwell.domain.thread import IfBusy, Role
from runwell.engine.callbacks import OVERLAP
from runwell.engine.submit import MOST_CALLBACKS, Submission
from runwell.ports.store import Idempotency, RunFilter

T = TypeVar("T")

Positive = Annotated[float, Meta(gt=0, description="Seconds")]
AnyId = Annotated[str, Meta(extra_json_schema={"pattern": ANY_SPELLING})]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Url = Annotated[
    str, Meta(min_length=1, max_length=2048, description="http:// or https://, reachable from the server")
]
Tellable = Annotated[str, Meta(extra_json_schema={"enum": sorted(TELLABLE)})]
Events = Annotated[list[Tellable], Meta(min_length=1, description="Default: the ways a run can end")]
Date = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class RunCallback(msgspec.Struct, forbid_unknown_fields=True):
    """Where the events of this one run are posted. Signed with your own secret."""

    url: Url
    events: Events = msgspec.field(default_factory=lambda: list(ENDINGS))


class SubmitRun(msgspec.Struct, forbid_unknown_fields=True):
    """A request for a run. `timeout` counts the time it works, `expires_in` the time until it
    first starts; a higher `priority` starts sooner."""

    input: Annotated[Any, Meta(description="Any JSON value that fits the agent's input schema")]
    agent: Annotated[str, Meta(description="Default: the first agent served")] | None = None
    thread_id: AnyId | None = None
    if_busy: IfBusy = IfBusy.QUEUE
    concurrency_key: Name | None = None
    metadata: dict[str, Any] = {}
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    not_before: Annotated[str, Meta(extra_json_schema={"format": "date-time"})] | None = None
    timeout: Positive | None = None
    max_attempts: (
        Annotated[int, Meta(ge=1, le=100, description="Default: 3, or the agent's retries + 1 if more")]
        | None
    ) = None
    expires_in: Positive | None = None
    callbacks: Annotated[list[RunCallback], Meta(max_length=MOST_CALLBACKS)] = []

    def submission(self, owner: str, idempotency: Idempotency | None) -> Submission:
        """Raises `InvalidId` for the thread, `InvalidInput` for the time, `InvalidJson` for the key."""
        json_gate.check(self.concurrency_key, "$.concurrency_key")
        return Submission(
            owner=owner,
            input=self.input,
            agent=self.agent,
            source="native",
            thread_id=parse_id(self.thread_id) if self.thread_id is not None else None,
            if_busy=self.if_busy,
            concurrency_key=self.concurrency_key,
            metadata=self.metadata or json_gate.EMPTY,
            priority=self.priority,
            not_before=instant(self.not_before, "$.not_before"),
            timeout=self.timeout,
            max_attempts=self.max_attempts,
            expires_in=self.expires_in,
            idempotency=idempotency,
            callbacks=tuple(Callback(url=each.url, events=tuple(each.events)) for each in self.callbacks),
        )

    def check(self) -> None:
        """Raise `InvalidJson` with the path from the body's root; the engine knows it from the field's."""
        json_gate.check(self.input, "$.input")
        json_gate.check(self.metadata, "$.metadata")


class AnswerRun(msgspec.Struct, forbid_unknown_fields=True):
    """With the `key` of the question that was read, an answer that comes too late, or a second time,
    is refused instead of answering the next question."""

    answer: Annotated[Any, Meta(description="Any JSON value")]
    key: Annotated[str, Meta(description="The `key` of the run's `question`")] | None = None


class PutStep(msgspec.Struct, forbid_unknown_fields=True):
    """One step of a workflow. `agent` names who does it; else it is `model`, with the settings of the
    workflow's, else the workflow's model, else the server's default. When no step has `depends_on`, they
    run one after the other."""

    id: Annotated[str, Meta(extra_json_schema={"pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$"})]
    name: Annotated[str, Meta(min_length=1, max_length=200, description="Default: the id")] | None = None
    prompt: str = ""
    agent: Name | None = None
    model: Name | None = None
    tools: list[Name] = []
    depends_on: Annotated[list[str], Meta(description="Ids of the steps it waits for")] | None = None


class PutAgent(msgspec.Struct, forbid_unknown_fields=True):
    """An agent without code: a `model` with instructions, or `steps`, or steps with a model that does
    those which name nobody. `api_key_env` names an environment variable of the workers; keys themselves
    are never sent here."""

    model: Name | None = None
    instructions: str = ""
    base_url: str | None = None
    api_key_env: Name | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=2**31)] | None = None
    description: str = ""
    tools: list[Name] = []
    steps: Annotated[list[PutStep], Meta(min_length=1, max_length=100)] | None = None

    def definition(self, *, public_only: bool) -> ModelAgent | WorkflowAgent:
        """`public_only`: see `ModelAgent`. Raises `InvalidJson` for text that cannot be stored,
        `InvalidInput` for an agent of nothing."""
        json_gate.check(msgspec.to_builtins(self))
        model = None if self.model is None else self._asking(self.model, public_only)
        if self.steps is not None:
            self._check_settings(self.steps)
            steps = tuple(self._step(step, public_only) for step in self.steps)
            return WorkflowAgent(steps=steps, model=model)
        if model is None:
            raise InvalidInput("$.model", "is missing", "An agent is made of a `model`, or of `steps`.")
        return model

    def _asking(self, model: str, public_only: bool) -> ModelAgent:
        return ModelAgent(
            model=model,
            instructions=self.instructions,
            base_url=self.base_url,
            api_key_env=self.api_key_env,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            tools=tuple(self.tools),
            public_only=public_only and self.base_url is not None,
        )

    def _step(self, step: PutStep, public_only: bool) -> WorkflowStep:
        return WorkflowStep(
            id=step.id,
            name=step.id if step.name is None else step.name,
            prompt=step.prompt,
            agent=step.agent,
            model=None if step.model is None else self._asking(step.model, public_only),
            tools=tuple(step.tools),
            depends_on=None if step.depends_on is None else tuple(step.depends_on),
        )

    def _check_settings(self, steps: list[PutStep]) -> None:
        """A setting that no model would get is refused: it would be forgotten in silence."""
        if self.model is not None or any(step.model is not None for step in steps):
            return
        for name in ("instructions", "base_url", "api_key_env", "temperature", "max_tokens", "tools"):
            if getattr(self, name) not in ("", None, []):
                raise InvalidInput(
                    f"$.{name}", "is a setting of a model, and none is named", "Name a `model`."
                )


class CreateThread(msgspec.Struct, forbid_unknown_fields=True):
    """With the id of an existing thread of yours, that one is returned as it is."""

    id: AnyId | None = None
    title: Annotated[str, Meta(max_length=500)] | None = None
    metadata: dict[str, Any] = {}


class UpdateThread(msgspec.Struct, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    title: Annotated[str, Meta(max_length=500)] | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET


class AddMessage(msgspec.Struct, forbid_unknown_fields=True):
    role: Role
    content: Annotated[Any, Meta(description="Any JSON value")]


class CreateKey(msgspec.Struct, forbid_unknown_fields=True):
    """`owner` defaults to the caller's own; `scopes` to all."""

    name: Name
    owner: Name | None = None
    scopes: Annotated[list[Scope], Meta(min_length=1)] | None = None


class CreateCallback(msgspec.Struct, forbid_unknown_fields=True):
    """`agents` are names, none for all. `secret` is one you bring, `whsec_` and base64; without it
    one is made."""

    url: Url
    events: Events = msgspec.field(default_factory=lambda: list(ENDINGS))
    agents: list[Name] = []
    description: Annotated[str, Meta(max_length=500)] = ""
    secret: str | None = None


class UpdateCallback(msgspec.Struct, forbid_unknown_fields=True):
    """What is left out stays as it is. What happens while it is `paused` is not told later."""

    url: Url | UnsetType = UNSET
    events: Events | UnsetType = UNSET
    agents: list[Name] | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=500)] | UnsetType = UNSET
    paused: bool | UnsetType = UNSET


class RotateSecret(msgspec.Struct, forbid_unknown_fields=True):
    """For `overlap` seconds posts are signed with both secrets."""

    overlap: Annotated[float, Meta(ge=0, le=30 * 86_400, description="Seconds")] = OVERLAP
    secret: str | None = None


class RedeliverRange(msgspec.Struct, forbid_unknown_fields=True):
    """Which deliveries to post again: those that were given up, unless `status` says otherwise."""

    status: Annotated[list[DeliveryStatus], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: [DeliveryStatus.GIVEN_UP]
    )
    callback_id: AnyId | None = None
    since: Date | None = None
    until: Date | None = None


class CreateTrigger(msgspec.Struct, forbid_unknown_fields=True):
    """`secret` is what senders sign their bodies with; it is never shown again."""

    agent: Name
    name: Annotated[str, Meta(max_length=200)] = ""
    secret: Annotated[str, Meta(min_length=1, max_length=256)] | None = None


class UpdateTrigger(msgspec.Struct, forbid_unknown_fields=True):
    """What is left out stays as it is. A paused trigger starts nothing."""

    name: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET
    paused: bool | UnsetType = UNSET


REQUESTS = (
    SubmitRun, AnswerRun, PutAgent, CreateThread, UpdateThread, AddMessage, CreateKey, CreateCallback,
    UpdateCallback, RotateSecret, RedeliverRange, CreateTrigger, UpdateTrigger,
)  # fmt: skip


SUBMIT_RUN = Decoder(SubmitRun)
ANSWER_RUN = Decoder(AnswerRun)
PUT_AGENT = Decoder(PutAgent)
CREATE_THREAD = Decoder(CreateThread)
UPDATE_THREAD = Decoder(UpdateThread)
ADD_MESSAGE = Decoder(AddMessage)
CREATE_KEY = Decoder(CreateKey)
CREATE_TRIGGER = Decoder(CreateTrigger)
UPDATE_TRIGGER = Decoder(UpdateTrigger)
CREATE_CALLBACK = Decoder(CreateCallback)
UPDATE_CALLBACK = Decoder(UpdateCallback)
ROTATE_SECRET = Decoder(RotateSecret)
REDELIVER_RANGE = Decoder(RedeliverRange)


def parse(body: bytes, decoder: Decoder[T]) -> T:
    """The body as what `decoder` reads. Raises `MalformedJson`, `InvalidJson`, `InvalidInput`."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        fault, _, path = str(error).partition(" - at `")
        raise InvalidInput(path.rstrip("`") or "$", fault) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedJson(f"The body is not JSON: {error}", "Send a JSON object in UTF-8.") from error
    except RecursionError as error:
        raise InvalidJson("$", f"nested deeper than {json_gate.MAX_DEPTH} levels") from error


def instant(text: str | None, path: str) -> Instant | None:
    """RFC 3339 with an offset. Raises `InvalidInput`."""
    if text is None:
        return None
    try:
        return from_iso(text)
    except ValueError as error:
        raise InvalidInput(path, f"{text[:80]!r} is no RFC 3339 time", str(error)) from error


def run_filter(
    at: str,
    *,
    status: Iterable[RunStatus] = (),
    agent: str | None = None,
    thread_id: str | None = None,
    text: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> RunFilter:
    """Which runs; `at` is where the fields stand. Raises `InvalidId`, `InvalidInput`."""
    return RunFilter(
        statuses=frozenset(status),
        agent=agent,
        thread_id=parse_id(thread_id) if thread_id is not None else None,
        text=text,
        since=instant(since, f"{at}since"),
        until=instant(until, f"{at}until"),
    )


def cursor_of(id: str) -> str:
    """An opaque cursor that goes on after this id."""
    return base64.urlsafe_b64encode(msgspec.json.encode([1, id])).rstrip(b"=").decode()


def read_cursor(cursor: str | None, path: str = "query.cursor") -> str | None:
    """The id a cursor goes on after. Raises `InvalidInput` for what this server never gave out."""
    if cursor is None:
        return None
    try:
        # The length that base64 left out; too many of these are ignored.
        _, id = _CURSOR.decode(base64.b64decode(cursor + "==", b"-_"))
        return parse_id(id)
    except (ValueError, InvalidId) as error:
        raise InvalidInput(path, "is no cursor of this server", "Take `next_cursor`.") from error


_CURSOR = Decoder(tuple[Literal[1], str])


def fingerprint(body: bytes) -> bytes:
    """What tells two bodies under one Idempotency-Key apart."""
    return hashlib.sha256(body).digest()
