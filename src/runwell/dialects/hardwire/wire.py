"""The two forms of this API. A form makes bodies of what the routes have found, and the writers of its
streams; the routes are the same."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
from starlette.types import Scope

from runwell.dialects.exchange import Reply
from runwell.dialects.hardwire import bodies
from runwell.dialects.hardwire.message_frames import AppMessageFrames, DocsMessageFrames
from runwell.dialects.hardwire.messages import MessageView
from runwell.dialects.hardwire.run_frames import AppRunFrames, DocsRunFrames
from runwell.dialects.hardwire.runs import Plan, RunView
from runwell.dialects.hardwire.workflows import Workflow
from runwell.domain.agent import AgentSpec
from runwell.domain.instant import Instant
from runwell.domain.thread import Thread

RunFrames = DocsRunFrames | AppRunFrames
MessageFrames = DocsMessageFrames | AppMessageFrames


class SentView(NamedTuple):
    """What came of a message. `run` is the id of a workflow run that was started."""

    question: MessageView
    answer: MessageView | None = None
    run: str | None = None
    error: bodies.StartError | None = None


class Wire(Protocol):
    """`strict`: requests must name what the original needs and we do not. `answers` are the types of the
    bodies, by the name of the route's handler. `snapshots`: of frames that come together the last is
    enough."""

    @property
    def strict(self) -> bool: ...
    @property
    def snapshots(self) -> bool: ...
    @property
    def answers(self) -> Mapping[str, Any]: ...

    def error(self, error: Exception, scope: Scope) -> Reply: ...
    def deleted(self) -> tuple[int, msgspec.Struct | None]: ...
    def liveness(self, now: Instant) -> msgspec.Struct | None: ...
    def models(self, models: list[bodies.Model]) -> msgspec.Struct: ...
    def chats(self, user: str, page: Sequence[Thread], total: int) -> msgspec.Struct: ...
    def workflows(self, user: str, workflows: Sequence[Workflow]) -> msgspec.Struct: ...
    def workflow(self, user: str, workflow: Workflow) -> msgspec.Struct: ...
    def workflow_made(self, user: str, workflow: Workflow) -> msgspec.Struct: ...
    def workflow_changed(self, user: str, workflow: Workflow) -> msgspec.Struct: ...

    def preference(self, user: str, model: str | None) -> msgspec.Struct:
        """Raises `Failed` where none is set and that is an error."""
        ...

    def preference_set(self, user: str, model: str) -> msgspec.Struct: ...

    def messages(self, messages: Sequence[MessageView]) -> msgspec.Struct:
        """Raises `Failed` where there is none and that is an error."""
        ...

    def sent(self, sent: SentView) -> msgspec.Struct: ...
    def tools(self, tools: Sequence[AgentSpec]) -> msgspec.Struct: ...
    def tool(self, tool: AgentSpec) -> msgspec.Struct: ...
    def run(self, run: RunView) -> msgspec.Struct: ...
    def runs(self, runs: Sequence[bytes]) -> bytes: ...
    def run_frames(self, run: RunView, plan: Plan) -> RunFrames: ...

    def run_frames_without_log(self, run: RunView, plan: Plan) -> bytes:
        """All frames of an ended run whose log was pruned."""
        ...

    def run_deleted(self, writer: RunFrames, scope: Scope) -> bytes:
        """The way out of a stream whose run was deleted while it was watched."""
        ...

    def message_frames(self, run_id: str, chat: str, *, workflow: bool) -> MessageFrames: ...
