"""Writing the outbox: the deliveries that an event leads to, in the event's own transaction.

If the process dies before the commit neither the event nor its deliveries have happened; after it,
both have, and whoever posts finds them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from runwell.domain.callback import TELLABLE, StandingCallback
from runwell.domain.events import Event
from runwell.domain.ids import new_id
from runwell.domain.instant import Instant
from runwell.domain.run import Run
from runwell.ports.signals import SignalKind
from runwell.store.damage import readable
from runwell.store.postgres.pool import Transaction

_INSERT = """INSERT INTO deliveries
    (id, owner, run_id, seq, event, url, format, status, created_at, callback_id, next_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8, $9, $8)"""
_CALLBACK = msgspec.json.Decoder(StandingCallback).decode


def told(events: Sequence[Event]) -> list[tuple[int, str]]:
    """(place, type) of the events that somebody may want to be told of."""
    return [(place, event.type) for place, event in enumerate(events) if event.type in TELLABLE]


def deliveries(
    run: Run,
    standing: Sequence[bytes],
    tellable: Sequence[tuple[int, str]],
    before: int,
    now: Instant,
) -> list[tuple[Any, ...]]:
    """The rows of the outbox that a run's new events lead to; `before` is the number of the last event
    before them.

    `standing` are the owner's callbacks as the statement that wrote the events has seen them.
    """
    if not tellable or not (standing or run.callbacks):
        return []
    # One that cannot be read must not keep the run from ending, nor the others from being told.
    said = f"a callback of {run.owner} cannot be read, and is not told of run_{run.id}"
    callbacks = list(readable(_CALLBACK, standing, said))
    return [
        (
            bytes.fromhex(new_id(now)), run.owner, bytes.fromhex(run.id), before + place + 1, event,
            url, format, now, callback_id,
        )
        for place, event in tellable
        for url, format, callback_id in _wanting(run, callbacks, event)
    ]  # fmt: skip


async def put_out(transaction: Transaction, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write the rows of `deliveries`."""
    await transaction.many(_INSERT, rows)
    transaction.tell(*((SignalKind.DELIVERY_DUE, row[2].hex()) for row in rows))


def _wanting(
    run: Run, standing: list[StandingCallback], event: str
) -> Iterator[tuple[str, str, bytes | None]]:
    for own in run.callbacks:
        if event in own.events:
            yield own.url, own.format, None
    for callback in standing:
        if callback.wants(event, run.agent):
            yield callback.url, callback.format, bytes.fromhex(callback.id)
