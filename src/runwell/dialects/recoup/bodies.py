"""What this API sends, field by field: the source of both the bytes and their documentation.

What the original knows and this server does not (repositories, sandboxes, snapshots) is null, or what
the original has before anything happened.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from runwell.dialects.recoup.words import Status

Uuid = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"}, description="UTC, milliseconds")]
RunId = Annotated[str, Meta(pattern="^wrun_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """`error` and `message` are the same text."""

    status: Literal["error"] | UnsetType = "error"
    missing_fields: list[str] | UnsetType = UNSET
    path: list[str] | UnsetType = UNSET
    error: str
    message: str


class Started(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    run_id: RunId
    chat_id: Uuid
    session_id: Uuid


class RunStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`runId` as it was asked for."""

    run_id: str
    status: Status


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """`stopped` is false when nothing ran."""

    success: Literal[True] = True
    stopped: bool


class Success(msgspec.Struct, frozen=True):
    success: Literal[True] = True


class Chat(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`activeStreamId` is the run that can be watched now."""

    id: Uuid
    session_id: Uuid | None
    title: str
    model_id: str | None
    active_stream_id: RunId | None
    last_assistant_message_at: Time | None
    created_at: Time
    updated_at: Time


class ListedChat(Chat, frozen=True, kw_only=True, rename="camel"):
    has_unread: bool
    is_streaming: bool


class Session(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: Uuid
    user_id: Annotated[Uuid, Meta(description="The account that the key belongs to")]
    artist_id: str | None
    title: str
    status: Literal["running", "completed", "failed", "archived"]
    repo_owner: str | None = None
    repo_name: str | None = None
    branch: str | None = None
    clone_url: str | None = None
    is_new_branch: bool = False
    global_skill_refs: list[Any] = []
    sandbox_state: None = None
    lifecycle_state: str | None = None
    lifecycle_version: int = 0
    last_activity_at: Time | None = None
    sandbox_expires_at: Time | None = None
    hibernate_after: Time | None = None
    lifecycle_run_id: str | None = None
    lifecycle_error: str | None = None
    lines_added: int | None
    lines_removed: int | None
    snapshot_url: str | None = None
    snapshot_created_at: Time | None = None
    snapshot_size_bytes: int | None = None
    cached_diff: None = None
    cached_diff_updated_at: Time | None = None
    created_at: Time
    updated_at: Time


class SessionMade(msgspec.Struct, frozen=True, kw_only=True):
    session: Session
    chat: Chat


class SessionShown(msgspec.Struct, frozen=True, kw_only=True):
    session: Session


class ChatShown(msgspec.Struct, frozen=True, kw_only=True):
    chat: Chat


class ChatList(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    chats: list[ListedChat]
    default_model_id: str


class UiMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the AI SDK's clients keep it."""

    id: str
    role: Literal["user", "assistant", "system"]
    parts: list[dict[str, Any]]
    metadata: dict[str, Any] | UnsetType = UNSET


class ChatRead(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    chat: Chat
    is_streaming: bool
    messages: list[UiMessage]


BODIES = (
    Failure, Started, RunStatus, Stopped, Success, SessionMade, SessionShown, ChatShown, ChatList, ChatRead,
)  # fmt: skip
