"""Writing the outbox: the deliveries that an event leads to, in the event's own transaction.

If the process dies before the commit neither the event nor its deliveries have happened; after it,
both have, and whoever posts finds them.
"""

from collections.abc import Iterator, Sequence

import msgspec

from runwell.domain.callback import TELLABLE, StandingCallback
from runwell.domain.events import Event
from runwell.domain.ids import new_id
from runwell.domain.instant import Instant
from runwell.domain.run import Run
from runwell.ports.signals import SignalKind
from runwell.store.damage import readable
from runwell.store.sqlite.rows import Row
from runwell.store.sqlite.transaction import Transaction

_STANDING = "SELECT value FROM callbacks WHERE owner = ? AND paused = 0 ORDER BY id"
_INSERT = """INSERT INTO deliveries
    (id, owner, run_id, seq, event, url, format, status, created_at, callback_id, next_at)
VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?)"""
_CALLBACK = msgspec.json.Decoder(StandingCallback).decode

Signals = tuple[tuple[SignalKind, str], ...]


def told(events: Sequence[Event]) -> list[tuple[int, str]]:
    """(place, type) of the events that somebody may want to be told of."""
    return [(place, event.type) for place, event in enumerate(events) if event.type in TELLABLE]


def tell(
    transaction: Transaction, run: Run, tellable: list[tuple[int, str]], before: int, now: Instant
) -> Signals:
    """Write the deliveries of a run's new events; `before` is the number of the last event before them.

    What to signal once they are durable: nothing, when nobody wants to be told.
    """
    standing = _standing(transaction, run.owner)
    if not standing and not run.callbacks:
        return ()
    written = 0
    for place, event in tellable:
        for url, format, callback_id in _wanting(run, standing, event):
            values = (
                bytes.fromhex(new_id(now)), run.owner, bytes.fromhex(run.id), before + place + 1, event,
                url, format, now, callback_id, now,
            )  # fmt: skip
            transaction.run(_INSERT, values)
            written += 1
    return ((SignalKind.DELIVERY_DUE, run.id),) if written else ()


def _wanting(
    run: Run, standing: tuple[StandingCallback, ...], event: str
) -> Iterator[tuple[str, str, bytes | None]]:
    for own in run.callbacks:
        if event in own.events:
            yield own.url, own.format, None
    for callback in standing:
        if callback.wants(event, run.agent):
            yield callback.url, callback.format, bytes.fromhex(callback.id)


def _standing(transaction: Transaction, owner: str) -> tuple[StandingCallback, ...]:
    """The owner's, from memory or from the rows: nearly always there are none, at every commit."""
    known = transaction.standing.get(owner)
    if known is None:
        rows: list[Row] = transaction.db.execute(_STANDING, (owner,)).fetchall()
        # One that cannot be read must not keep the run from ending, nor the others from being told.
        said = f"a callback of {owner} cannot be read, and is told of nothing"
        known = tuple(readable(_CALLBACK, (value for (value,) in rows), said))
        transaction.standing[owner] = known
    return known
