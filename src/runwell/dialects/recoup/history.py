"""What was said in a chat, in order: the messages of its thread, and what ended runs made of them."""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

from runwell.dialects.recoup.bodies import UiMessage
from runwell.dialects.recoup.messages import answer_of, message_of
from runwell.dialects.recoup.turns import turn_of
from runwell.domain.errors import LogPruned
from runwell.domain.events import LoggedEvent
from runwell.domain.run import Run
from runwell.domain.thread import Message, Role
from runwell.engine.core import Core
from runwell.ports.store import RunFilter

PAGE = 500


class Said(NamedTuple):
    """One entry: a message of the thread, or the answer of an ended run that left none there."""

    message: Message | None
    run: Run | None


async def history(core: Core, owner: str, thread_id: str) -> list[UiMessage]:
    """Oldest first. What a live run is saying is not among them: its stream tells it."""
    messages = await _messages(core, thread_id)
    runs = {run.id: run for run in await _runs(core, owner, thread_id)}
    told: list[UiMessage] = []
    for entry in in_order(messages, runs):
        # A long chat is much to tell, and others are waiting.
        await asyncio.sleep(0)
        shown = await _shown(core, thread_id, entry)
        if shown is not None:
            told.append(shown)
    return told


def in_order(messages: list[Message], runs: dict[str, Run]) -> Iterator[Said]:
    """A run that left no message (it failed, it was cancelled) is told before the next message of the user.

    The answer of a run that was asked again, or that another one continued, is told by that other one.
    """
    replaced = {earlier for run in runs.values() if (earlier := run.retry_of or run.continues)}
    answered = {message.run_id for message in messages if message.role is Role.ASSISTANT}
    silent: dict[str, list[Run]] = {}
    for each in runs.values():
        if each.final and each.id not in answered and each.id not in replaced:
            silent.setdefault(_root(each, runs), []).append(each)
    left: list[Run] = []
    for message in messages:
        run = runs.get(message.run_id or "")
        if message.role is not Role.ASSISTANT:
            yield from (Said(None, each) for each in left)
            left = silent.pop(message.run_id or "", [])
            yield Said(message, run)
        elif run is None or run.id not in replaced:
            yield Said(message, run)
    yield from (Said(None, each) for each in left)
    # Their own message is not in the thread: they came into it by other ways.
    yield from (Said(None, run) for each in silent.values() for run in each)


def _root(run: Run, runs: dict[str, Run]) -> str:
    """The run that brought the message that this one answers."""
    while (earlier := run.retry_of or run.continues) is not None:
        if earlier not in runs:
            return earlier
        run = runs[earlier]
    return run.id


async def _shown(core: Core, thread_id: str, entry: Said) -> UiMessage | None:
    message, run = entry
    if run is not None and (message is None or message.role is Role.ASSISTANT):
        try:
            return answer_of(run.id, await _log(core, run))
        except LogPruned:
            # The thread still has what it answered.
            return message_of(thread_id, message) if message is not None else None
    if message is None:
        return None
    return message_of(thread_id, message, turn_of(run).message_id if run is not None else None)


async def _messages(core: Core, thread_id: str) -> list[Message]:
    found: list[Message] = []
    while True:
        after = found[-1].position if found else 0
        page = await core.store.threads.messages(thread_id, after=after, limit=PAGE)
        found += page
        if len(page) < PAGE:
            return found


async def _runs(core: Core, owner: str, thread_id: str) -> list[Run]:
    """Oldest first."""
    found: list[Run] = []
    where = RunFilter(thread_id=thread_id)
    while True:
        before = found[-1].id if found else None
        page = await core.store.runs.page(owner, where, before=before, after=None, limit=PAGE)
        found += page
        if len(page) < PAGE:
            return found[::-1]


async def _log(core: Core, run: Run) -> list[LoggedEvent]:
    found: list[LoggedEvent] = []
    while lines := await core.store.events.read(run.id, len(found), PAGE):
        found += lines
    return found
