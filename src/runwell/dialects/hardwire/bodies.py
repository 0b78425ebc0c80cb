"""What this API sends, field by field: the source of the bytes and of their documentation.

First what both forms have, then the documented form, whose answers stand in `data`, then the web client's
(`App…`).
"""

from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from runwell.dialects.hardwire.words import AppRunWord, AppStepWord, Role
from runwell.domain.json_gate import Json

T = TypeVar("T")

Uuid = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"}, description="UTC, milliseconds")]
UserId = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
DocsStatus = Literal["pending", "running", "completed", "failed", "cancelled"]


class _Body(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class User(_Body, frozen=True, kw_only=True):
    """Everybody's address counts as verified: no mail is sent."""

    id: UserId
    name: str
    email: str
    email_verified: bool = True
    image: None = None
    created_at: Time
    updated_at: Time


class SignedUp(_Body, frozen=True, kw_only=True):
    """Signing up signs nobody in."""

    token: None = None
    user: User


class SignedIn(_Body, frozen=True, kw_only=True):
    redirect: bool
    token: str
    url: str | UnsetType = UNSET
    user: User


class Session(_Body, frozen=True, kw_only=True):
    id: Uuid
    token: str
    user_id: UserId
    expires_at: Time
    created_at: Time
    updated_at: Time
    ip_address: str
    user_agent: str


class SessionShown(_Body, frozen=True, kw_only=True):
    session: Session
    user: User


class Success(_Body, frozen=True, kw_only=True):
    success: Literal[True] = True


class Model(_Body, frozen=True, kw_only=True):
    id: str
    name: str
    provider: str


class Models(_Body, frozen=True, kw_only=True):
    models: list[Model]


class Tool(_Body, frozen=True, kw_only=True):
    """An agent that is a tool. In the documented form `id` is its name, which steps and streams have."""

    id: str
    name: str
    description: str | None
    version: str | None = None
    source: Literal["mcp", "local"] = "local"


class ToolRead(Tool, frozen=True, kw_only=True):
    """`schema` is the JSON Schema of what it takes."""

    schema: Json


class Tools(_Body, frozen=True, kw_only=True):
    tools: list[Tool]


class StartError(_Body, frozen=True, kw_only=True):
    """Why there is no answer in an answer."""

    message: str
    code: str


class Data(msgspec.Struct, Generic[T], frozen=True):
    data: T


class Liveness(_Body, frozen=True, kw_only=True):
    status: Literal["ok"] = "ok"
    timestamp: Time


class Chat(_Body, frozen=True, kw_only=True):
    id: Uuid
    user_id: UserId
    created_at: Time
    updated_at: Time


class Chats(_Body, frozen=True, kw_only=True):
    """`total` counts all of them, not the page."""

    chats: list[Chat]
    total: int


class ListedWorkflow(_Body, frozen=True, kw_only=True):
    id: Uuid
    user_id: UserId
    name: str
    description: str | None
    created_at: Time
    updated_at: Time


class WorkflowList(_Body, frozen=True, kw_only=True):
    workflows: list[ListedWorkflow]


class WorkflowStep(_Body, frozen=True, kw_only=True):
    """`toolId` is what does the step; `inputs` has its prompt, if it has one."""

    id: str
    tool_id: str
    inputs: dict[str, str]
    outputs: list[str]
    name: str
    tools: list[str]


class Workflow(_Body, frozen=True, kw_only=True):
    id: Uuid
    user_id: UserId
    name: str
    description: str | None
    steps: list[WorkflowStep]
    created_at: Time
    updated_at: Time


class Preference(_Body, frozen=True, kw_only=True):
    user_id: UserId
    model_id: str


class Message(_Body, frozen=True, kw_only=True):
    id: Uuid
    chat_id: Uuid
    role: Role
    content: str
    created_at: Time


class Messages(_Body, frozen=True, kw_only=True):
    messages: list[Message]


class Sent(Message, frozen=True, kw_only=True):
    """The user's message, and what came of it: an answer, or a workflow run that is under way."""

    response: Message | None
    workflow_run_id: Uuid | UnsetType = UNSET
    error: StartError | UnsetType = UNSET


class RunStep(_Body, frozen=True, kw_only=True):
    """Times are null for a step that has not begun."""

    id: str
    status: DocsStatus
    started_at: Time | None
    completed_at: Time | None


class WorkflowRun(_Body, frozen=True, kw_only=True):
    """Times are null for what has not happened yet."""

    id: Uuid
    chat_id: Uuid
    workflow_id: Uuid
    status: DocsStatus
    started_at: Time | None
    completed_at: Time | None
    steps: list[RunStep]


class WorkflowRuns(_Body, frozen=True, kw_only=True):
    workflow_runs: list[WorkflowRun]


class AppChat(_Body, frozen=True, kw_only=True):
    id: Uuid
    title: str | None
    updated_at: Time


class AppChats(_Body, frozen=True, kw_only=True):
    chats: list[AppChat]


class AppListedWorkflow(_Body, frozen=True, kw_only=True):
    """`version` counts how often its steps were set; null without any."""

    id: Uuid
    name: str
    description: str | None
    version: int | None
    updated_at: Time


class AppWorkflowList(_Body, frozen=True, kw_only=True):
    workflows: list[AppListedWorkflow]


class AppMadeWorkflow(_Body, frozen=True, kw_only=True):
    id: Uuid
    name: str
    description: str | None
    version: int | None
    created_at: Time
    updated_at: Time


class AppStepTool(_Body, frozen=True, kw_only=True):
    id: str
    name: str


class AppWorkflowStep(_Body, frozen=True, kw_only=True):
    """`order` counts from 1."""

    id: str
    name: str
    prompt: str
    tools: list[AppStepTool]
    order: int


class AppReadWorkflow(_Body, frozen=True, kw_only=True):
    id: Uuid
    name: str
    description: str | None
    version: int | None
    steps: list[AppWorkflowStep]
    created_at: Time
    updated_at: Time


class AppChangedWorkflow(_Body, frozen=True, kw_only=True):
    id: Uuid
    name: str
    description: str | None
    updated_at: Time


class AppWorkflow(msgspec.Struct, Generic[T], frozen=True):
    workflow: T


class AppPreference(_Body, frozen=True, kw_only=True):
    model_id: str | None


class AppPreferenceSet(Success, frozen=True, kw_only=True):
    model_id: str


class AppMessage(_Body, frozen=True, kw_only=True):
    id: Uuid
    role: Role
    content: str
    created_at: Time


class AppMessages(_Body, frozen=True, kw_only=True):
    messages: list[AppMessage]


class AppSent(_Body, frozen=True, kw_only=True):
    user_message: AppMessage
    assistant_message: AppMessage | None
    chat_id: Uuid
    workflow_run_id: Uuid | UnsetType = UNSET
    error: StartError | UnsetType = UNSET


class AppToolUse(_Body, frozen=True, kw_only=True):
    id: str
    name: str
    status: AppStepWord
    output: Json | None


class AppRunStep(_Body, frozen=True, kw_only=True):
    """`stepId` is the same as `id`; `output` is text, or JSON as text."""

    id: str
    step_id: str
    name: str
    status: AppStepWord
    output: str | None
    error: str | None
    logs: Any = None
    tool_calls: list[AppToolUse] | None
    started_at: Time | None
    completed_at: Time | None


class AppRun(_Body, frozen=True, kw_only=True):
    """`startedAt` is when it was asked for: this form knows no run that is queued."""

    id: Uuid
    status: AppRunWord
    started_at: Time
    completed_at: Time | None


class AppWorkflowRun(AppRun, frozen=True, kw_only=True):
    trigger_message_id: Uuid
    steps: list[AppRunStep]


class AppWorkflowRuns(_Body, frozen=True, kw_only=True):
    workflow_runs: list[AppWorkflowRun]


class AppTool(_Body, frozen=True, kw_only=True):
    tool: ToolRead


class Snapshot(_Body, frozen=True, kw_only=True, tag="snapshot"):
    """A frame of a workflow run's stream."""

    workflow_run: AppRun
    steps: list[AppRunStep]
    message: AppMessage | None
