"""From domain values to the bytes of `bodies`. Documents and event data are spliced, never decoded."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec
from msgspec import UNSET

from runwell.auth.keys import Minted
from runwell.dialects.exchange import Headers, Reply
from runwell.dialects.native import bodies
from runwell.domain.agent import AgentSpec, WorkflowAgent
from runwell.domain.callback import Delivery, Post, SigningSecret, StandingCallback
from runwell.domain.events import LoggedEvent
from runwell.domain.ids import spell
from runwell.domain.instant import Instant, seconds_between, to_iso
from runwell.domain.json_gate import EMPTY
from runwell.domain.preview import preview_of
from runwell.domain.principal import Key
from runwell.domain.run import Question, Run, RunStatus
from runwell.domain.step import Step
from runwell.domain.thread import Message, Thread
from runwell.domain.trigger import Trigger
from runwell.domain.workflow import needs_of, plan_of
from runwell.engine.callbacks import spell_secret
from runwell.stream.changes import Changed

JSON = (b"content-type", b"application/json")
# Every answer depends on the caller and on the moment; a validator may still say that it is the same.
PRIVATE = (b"cache-control", b"private, no-cache")


WEBHOOKS = "/webhooks"
"""Below it are the addresses of triggers, whichever dialect answers there."""
MOST_KEPT = 1_024
LARGEST_KEPT = 8_192
"""How many run bodies are kept, and how large each may be, in bytes: 8 MiB at most."""


class Renderer:
    """Writes bodies. One per app, because it remembers: the texts of recent instants, and the bodies of
    runs that were shown last. A run is asked for many times between two changes of what it shows."""

    def __init__(self) -> None:
        self._iso = lru_cache(maxsize=8_192)(to_iso)
        self._encode = msgspec.json.Encoder().encode
        self._shown: dict[tuple[str, str], tuple[int, int | None, bytes]] = {}

    def json(self, status: int, body: msgspec.Struct, headers: Headers | None = None) -> Reply:
        return Reply(status, [JSON, *(headers or ())], self._encode(body))

    def run(self, run: Run, position: int | None, mount: str) -> bytes:
        """A Run body. `position` is its place in the queue, None when it has none.

        The version grows whenever the body would change, which is what makes the ETag true; so a
        body of the same version and position is this one.
        """
        key = (run.id, mount)
        shown = self._shown.get(key)
        if shown is not None and shown[0] == run.version and shown[1] == position:
            return shown[2]
        body = self._encode(self.run_body(run, position, mount))
        if len(body) <= LARGEST_KEPT:
            self._shown.pop(key, None)
            if len(self._shown) >= MOST_KEPT:
                del self._shown[next(iter(self._shown))]
            self._shown[key] = (run.version, position, body)
        return body

    def run_body(self, run: Run, position: int | None, mount: str) -> bodies.Run:
        steps, iso = run.steps, self._time
        return bodies.Run(
            id=f"run_{run.id}",
            status=run.status,
            reason=run.reason,
            agent=run.agent,
            thread_id=_id("thread", run.thread_id),
            source=run.source,
            progress=run.progress,
            steps=bodies.Steps(steps.started, steps.finished, steps.failed, steps.current),
            attempt=run.attempt,
            tries=run.tries,
            max_attempts=run.max_attempts,
            worker=run.worker,
            usage=run.usage,
            queue_position=position,
            priority=run.priority,
            concurrency_key=run.concurrency_key,
            timeout=run.timeout,
            created_at=self._iso(run.created_at),
            queued_at=self._iso(run.queued_at),
            started_at=iso(run.started_at),
            finished_at=iso(run.finished_at),
            not_before=iso(run.not_before),
            expires_at=iso(run.expires_at),
            cancel_requested_at=iso(run.cancel_requested_at),
            ttft=run.ttft,
            duration=run.duration,
            question=_question(run.question),
            error=run.error,
            output=run.output,
            metadata=run.metadata,
            retry_of=_id("run", run.retry_of),
            continues=_id("run", run.continues),
            links=_links(run.id, mount),
        )

    def listed(
        self, run: Run, position: int | None, mount: str, reader: str, *, named: bool, output: bool
    ) -> bodies.ListedRun:
        """A Run body in a list, with its owner when it is `named`; without `output` a preview of that.
        To a `reader` who is not its owner it says how the run goes, and not what is in it."""
        body = msgspec.structs.asdict(self.run_body(run, position, mount))
        if run.owner != reader:
            body |= {"output": None, "question": None, "metadata": EMPTY}
        if not output:
            body["preview"] = None if body["output"] is None else preview_of(body["output"])
            body["output"] = None
        return bodies.ListedRun(**body, owner=run.owner if named else UNSET)

    def submitted(self, run: Run, mount: str) -> bytes:
        """The answer to a submit: the run as of its creation, whatever has become of it since."""
        return self._encode(
            bodies.Submitted(
                id=f"run_{run.id}",
                status=RunStatus.QUEUED,
                agent=run.agent,
                created_at=self._iso(run.created_at),
                links=_links(run.id, mount),
            )
        )

    def event(self, line: LoggedEvent) -> bytes:
        return b'{"seq":%d,"at":"%b","type":"%b","data":%b}' % (
            line.seq, self._iso(line.at).encode(), line.type.encode(), line.data,
        )  # fmt: skip

    def event_page(self, lines: Sequence[LoggedEvent], next_after: int, final: bool) -> bytes:
        return b'{"events":[%b],"next_after":%d,"final":%b}' % (
            b",".join(map(self.event, lines)), next_after, b"true" if final else b"false",
        )  # fmt: skip

    def frames(self, lines: Iterable[LoggedEvent]) -> bytes:
        """Server-sent events: the frames of the first events of a log begin the frames of all."""
        return b"".join(
            b"id: %d\nevent: %b\ndata: %b\n\n" % (line.seq, line.type.encode(), self.event(line))
            for line in lines
        )

    def changed(self, changed: Changed) -> bytes:
        """The frame that says which runs of a list are to be looked at again."""
        runs = b",".join(b'"run_%b"' % id.encode() for id in changed.run_ids)
        return b'event: changed\ndata: {"runs":[%b],"more":%b}\n\n' % (
            runs, b"true" if changed.more else b"false",
        )  # fmt: skip

    def step(self, step: Step) -> bodies.Step:
        ended = step.finished_at
        return bodies.Step(
            key=step.key,
            name=step.name,
            kind=step.kind,
            parent=step.parent,
            status=step.status,
            attempt=step.attempt,
            started_at=self._iso(step.started_at),
            finished_at=self._time(ended),
            duration=None if ended is None else seconds_between(step.started_at, ended),
            usage=step.usage,
            error=step.error,
            output=step.output,
            inherited=step.inherited,
        )

    def thread(self, thread: Thread) -> bodies.Thread:
        return bodies.Thread(
            id=spell("thread", thread.id),
            title=thread.title,
            metadata=thread.metadata,
            messages=thread.messages,
            created_at=self._iso(thread.created_at),
            updated_at=self._iso(thread.updated_at),
        )

    def message(self, message: Message) -> bodies.Message:
        return bodies.Message(
            position=message.position,
            role=message.role,
            content=message.content,
            at=self._iso(message.at),
            run_id=_id("run", message.run_id),
        )

    def key(self, key: Key) -> bodies.Key:
        return bodies.Key(
            id=spell("key", key.id),
            name=key.name,
            owner=key.owner,
            prefix=key.prefix,
            scopes=sorted(key.scopes),
            created_at=self._iso(key.created_at),
            revoked_at=self._time(key.revoked_at),
        )

    def new_key(self, minted: Minted) -> bodies.NewKey:
        return bodies.NewKey(**msgspec.structs.asdict(self.key(minted.key)), secret=minted.secret)

    def callback(self, callback: StandingCallback) -> bodies.Callback:
        return bodies.Callback(
            id=spell("cb", callback.id),
            url=callback.url,
            events=list(callback.events),
            agents=list(callback.agents),
            description=callback.description,
            paused=callback.paused,
            created_at=self._iso(callback.created_at),
        )

    def new_callback(self, callback: StandingCallback, secret: SigningSecret) -> bodies.NewCallback:
        shown = msgspec.structs.asdict(self.callback(callback))
        return bodies.NewCallback(**shown, secret=spell_secret(secret))

    def secret(self, secret: SigningSecret) -> bodies.SigningSecret:
        return bodies.SigningSecret(spell_secret(secret), self._iso(secret.created_at))

    def rotated(self, secret: SigningSecret, old_until: Instant) -> bodies.RotatedSecret:
        return bodies.RotatedSecret(spell_secret(secret), self._iso(secret.created_at), self._iso(old_until))

    def post(self, post: Post) -> bodies.Post:
        return bodies.Post(post.number, self._iso(post.at), post.duration, post.status_code, post.error)

    def delivery(self, delivery: Delivery) -> bodies.Delivery:
        return bodies.Delivery(
            id=spell("msg", delivery.id),
            run_id=spell("run", delivery.run_id),
            seq=delivery.seq,
            event=delivery.event,
            url=delivery.url,
            callback_id=_id("cb", delivery.callback_id),
            status=delivery.status,
            created_at=self._iso(delivery.created_at),
            next_at=self._time(delivery.next_at),
            posts=delivery.posts,
            last=None if delivery.last is None else self.post(delivery.last),
        )

    def delivery_history(self, delivery: Delivery, posts: Iterable[Post]) -> bodies.DeliveryHistory:
        shown = msgspec.structs.asdict(self.delivery(delivery))
        return bodies.DeliveryHistory(**shown, history=list(map(self.post, posts)))

    def callback_body(self, run: Run, position: int | None, line: LoggedEvent) -> bytes:
        """What is posted for an event: what happened, and the run as it is when this is written."""
        return b'{"type":"%b","timestamp":"%b","data":{"run":%b,"event":%b}}' % (
            line.type.encode(), self._iso(line.at).encode(), self.run(run, position, ""), self.event(line),
        )  # fmt: skip

    def trigger(self, trigger: Trigger) -> bodies.Trigger:
        return bodies.Trigger(
            id=spell("trigger", trigger.id),
            name=trigger.name,
            agent=trigger.agent,
            prefix=trigger.prefix,
            signed=trigger.secret is not None,
            paused=trigger.paused,
            created_at=self._iso(trigger.created_at),
        )

    def new_trigger(self, trigger: Trigger, token: str) -> bodies.NewTrigger:
        shown = msgspec.structs.asdict(self.trigger(trigger))
        return bodies.NewTrigger(**shown, token=token, path=f"{WEBHOOKS}/{token}")

    def _time(self, instant: Instant | None) -> str | None:
        return None if instant is None else self._iso(instant)


def agent(spec: AgentSpec, default: AgentSpec | None) -> bodies.Agent:
    """`default` is the agent that runs where a request names none."""
    return bodies.Agent(
        id=spell("agent", spec.id),
        name=spec.name,
        kind=spec.kind,
        description=spec.description,
        input_schema=spec.input_schema,
        output_schema=spec.output_schema,
        retries=spec.retries,
        timeout=spec.timeout,
        concurrency=spec.concurrency,
        default=default is not None and spec.id == default.id,
        model=_model_of(spec),
        owner=spec.owner,
        steps=UNSET if spec.workflow is None else _steps_of(spec.workflow),
    )


def _model_of(spec: AgentSpec) -> str | None:
    model = spec.definition if spec.workflow is None else spec.workflow.model
    return None if model is None else model.model


def _steps_of(workflow: WorkflowAgent) -> list[bodies.AgentStep]:
    needs = needs_of(workflow)
    return [
        bodies.AgentStep(
            id=step.id,
            name=step.name,
            prompt=step.prompt,
            agent=step.agent,
            model=None if step.model is None else step.model.model,
            tools=list(step.tools),
            depends_on=list(needs[step.id]),
        )
        for step in plan_of(workflow)
    ]


def self_link(run_id: str, mount: str) -> str:
    return f"{mount}/runs/run_{run_id}"


def etag(run: Run, position: int | None) -> str:
    """A strong validator: the body is made of what these two count, and of nothing else."""
    return f'"{run.version}.{"-" if position is None else position}"'


def _links(run_id: str, mount: str) -> bodies.Links:
    link = self_link(run_id, mount)
    return bodies.Links(
        link, f"{link}/events", f"{link}/steps", f"{link}/cancel", f"{link}/answer", f"{link}/retry"
    )


def _id(prefix: str, id: str | None) -> str | None:
    return None if id is None else f"{prefix}_{id}"


def _question(question: Question | None) -> bodies.Question | None:
    if question is None:
        return None
    return bodies.Question(question.key, question.question, question.schema)
