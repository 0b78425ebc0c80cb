"""Threads and their messages."""

from typing import Any

from msgspec.structs import replace

from runwell.domain import json_gate
from runwell.domain.ids import new_id
from runwell.domain.thread import Message, Role, Thread
from runwell.engine.core import Core
from runwell.ports.store import NewMessage


async def create(
    core: Core,
    owner: str,
    *,
    id: str | None = None,
    title: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Thread:
    """A new thread, or the owner's existing one with that id. Raises `ThreadNotFound` for a foreign id."""
    now = core.clock.now()
    thread = Thread(
        id=id or new_id(now),
        owner=owner,
        created_at=now,
        updated_at=now,
        title=title,
        metadata=json_gate.encode(metadata or {}),
    )
    return await core.store.threads.add(thread)


async def get(core: Core, owner: str, thread_id: str) -> Thread:
    return await core.store.threads.get(thread_id, owner)


async def page(core: Core, owner: str, *, before: str | None = None, limit: int) -> list[Thread]:
    return await core.store.threads.page(owner, before=before, limit=limit)


async def update(
    core: Core,
    owner: str,
    thread_id: str,
    *,
    title: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Thread:
    """Change what is given; None leaves it. Raises `ThreadNotFound`."""
    thread = await core.store.threads.get(thread_id, owner)
    changed = replace(
        thread,
        title=title if title is not None else thread.title,
        metadata=json_gate.encode(metadata) if metadata is not None else thread.metadata,
    )
    return await core.store.threads.update(changed, core.clock.now())


async def delete(core: Core, owner: str, thread_id: str) -> None:
    """Raises `ThreadNotFound`, and `ThreadBusy` while a run in it is live."""
    await core.store.threads.delete(thread_id, owner)


async def append(core: Core, owner: str, thread_id: str, role: Role, content: Any) -> Message:
    message = NewMessage(role, json_gate.encode(content))
    return await core.store.threads.append(thread_id, owner, message, core.clock.now())


async def messages(core: Core, owner: str, thread_id: str, *, after: int = 0, limit: int) -> list[Message]:
    await core.store.threads.get(thread_id, owner)
    return await core.store.threads.messages(thread_id, after=after, limit=limit)
