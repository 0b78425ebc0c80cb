"""Who may start because of a change, and telling so inside its transaction.

The seam to a queue that lives on the same database: it puts its jobs in with the change that makes them
due, or neither happens. What is offered may be offered again, and may not start after all when its turn
comes; the fence decides. What is not offered would wait for ever, so two transactions that are about one
concurrency key look one after the other.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from runwell.domain.agent import ServedBy, read_definition
from runwell.domain.errors import NotItsTurn
from runwell.domain.instant import Instant
from runwell.domain.json_gate import Json
from runwell.domain.lifecycle import Change
from runwell.domain.run import Run, RunStatus
from runwell.store.postgres.pool import Transaction


class Offer(NamedTuple):
    """A queued run with nothing of its thread or key in its way. `attempt` is the one that it waits for;
    `defined` says that it carries its own definition, so that any worker can try it, unless that only
    names who does it: `served_by`, an agent in code."""

    run_id: str
    attempt: int
    agent: str
    defined: bool
    priority: int
    not_before: Instant | None
    served_by: str | None = None


Enlist = Callable[[Any, Sequence[Offer]], Awaitable[None]]
"""`enlist(connection, offers)`: called inside the transaction, on its asyncpg connection, with at least
one offer; those of changes that share the transaction come together. It may execute statements, and
neither begins nor ends a transaction. What it raises undoes the changes. It may be called again for the
same ones, in another transaction."""

_FIELDS = """id, attempt, agent, substring(definition FROM 1 FOR 1024), priority, not_before, owner,
    concurrency_key"""
"""Of a definition only its beginning: one that is longer is not a name."""
_CANDIDATES = f"""SELECT {_FIELDS} FROM runs
WHERE id = ANY($1::bytea[]) AND status = 'queued' AND behind = 0 ORDER BY pk"""
_LOCK_KEY = "SELECT pg_advisory_xact_lock(hashtextextended($1 || chr(10) || $2, 20510))"
_FIRST_OF_KEY = f"""SELECT {_FIELDS} FROM runs
WHERE status = 'queued' AND behind = 0 AND concurrency_key IS NOT NULL
    AND owner = $1 AND concurrency_key = $2 AND (not_before IS NULL OR not_before <= $3)
    AND (expires_at IS NULL OR expires_at > $3)
    AND NOT EXISTS (
        SELECT 1 FROM runs AS held
        WHERE held.status = 'running' AND held.concurrency_key IS NOT NULL
            AND held.owner = $1 AND held.concurrency_key = $2
    )
ORDER BY priority DESC, queued_at, pk LIMIT 1"""

_HOLDER = """SELECT 1 FROM runs WHERE status = 'running' AND concurrency_key IS NOT NULL
    AND owner = $1 AND concurrency_key = $2 AND id <> $3 LIMIT 1"""

_MOVES_NOBODY = frozenset({"record", "claim", "ask_cancel"})


async def offer(
    transaction: Transaction, enlist: Enlist | None, change: Change, let_go: Sequence[bytes], now: Instant
) -> None:
    """After `change` was written: tell `enlist` who may start because of it. `let_go` are the ids of runs
    that are behind nobody any more."""
    if enlist is None or change.command in _MOVES_NOBODY:
        return
    if let_go or change.run.concurrency_key is not None:
        await _offer(transaction, enlist, change.run, let_go, now)
    elif (own := own_offer(change.run)) is not None:
        await enlist(transaction.connection, [own])


async def offer_added(
    transaction: Transaction, enlist: Enlist | None, run: Run, behind: bool, now: Instant
) -> None:
    """The same for a run that was added; `behind`: somebody in its thread goes before it."""
    if enlist is None or behind:
        return
    if run.concurrency_key is not None:
        await _offer(transaction, enlist, run, (), now)
    elif (own := own_offer(run)) is not None:
        await enlist(transaction.connection, [own])


async def offer_new(transaction: Transaction, enlist: Enlist | None, run: Run, now: Instant) -> None:
    """The same for a run of which nobody knows whether it is behind another."""
    if enlist is not None:
        await _offer(transaction, enlist, run, (), now)


async def _offer(
    transaction: Transaction, enlist: Enlist, run: Run, let_go: Sequence[bytes], now: Instant
) -> None:
    candidates = [bytes.fromhex(run.id)] if run.status is RunStatus.QUEUED else []
    keys = {(run.owner, run.concurrency_key)} if run.concurrency_key is not None else set()
    offers: list[Offer] = []
    for row in await transaction.all(_CANDIDATES, [*candidates, *let_go]):
        *_, owner, key = row
        if key is not None:
            keys.add((owner, key))
        if key is None or _later(row, now):
            offers.append(_offer_of(row))
    offers += await _firsts(transaction, sorted(keys), now)
    if offers:
        await enlist(transaction.connection, offers)


async def take_key(transaction: Transaction, run: Run) -> None:
    """After the claim of `run` was written: its concurrency key is its own. Raises `NotItsTurn` when
    another run is running under it, which undoes the claim.

    The row was locked first, the key is last: whoever ends a run goes the same way.
    """
    key = run.concurrency_key
    if key is None:
        return
    await transaction.one(_LOCK_KEY, run.owner, key)
    # A statement of its own: it sees what was committed while that one waited.
    if await transaction.one(_HOLDER, run.owner, key, bytes.fromhex(run.id)) is not None:
        raise NotItsTurn(run.id)


def own_offer(run: Run) -> Offer | None:
    """That of a run which has just been queued, if it was: under no key, and behind nobody in its thread.
    One that was at work never is."""
    if run.status is not RunStatus.QUEUED:
        return None
    return Offer(
        run.id,
        run.attempt + 1,
        run.agent,
        run.definition is not None,
        run.priority,
        run.not_before,
        _served_by(run.definition),
    )


async def _firsts(
    transaction: Transaction, keys: Sequence[tuple[str, str | None]], now: Instant
) -> list[Offer]:
    """Of each key that nobody holds, the run that comes first. One that waits for its `not_before` was
    offered when it was queued, and is due by itself."""
    for owner, key in keys:
        # Held to the commit: whoever frees the key and whoever queues up for it see each other.
        await transaction.one(_LOCK_KEY, owner, key)
    found = [await transaction.one(_FIRST_OF_KEY, owner, key, now) for owner, key in keys]
    return [_offer_of(row) for row in found if row is not None]


def _later(row: Any, now: Instant) -> bool:
    return row[5] is not None and row[5] > now


def _offer_of(row: Any) -> Offer:
    id, attempt, agent, definition, priority, not_before, _, _ = row
    return Offer(
        id.hex(),
        attempt + 1,
        agent,
        definition is not None,
        priority,
        not_before,
        _served_by(definition),
    )


def _served_by(definition: Json | bytes | None) -> str | None:
    """Who does the run, where its definition is a name and no more."""
    if definition is None or not bytes(definition).startswith(b'{"served_by"'):
        return None
    named = read_definition(Json(definition))
    return named.served_by if isinstance(named, ServedBy) else None
