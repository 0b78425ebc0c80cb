"""`ports.outbox.Deliveries` on PostgreSQL. The rows are made by `telling`."""

from msgspec import json
from msgspec.structs import replace

from runwell.domain.callback import Delivery, DeliveryStatus, Post
from runwell.domain.damaged import Damaged
from runwell.domain.errors import DeliveryNotFound
from runwell.domain.instant import Instant
from runwell.store.damage import damaged_posts, last_post
from runwell.store.postgres.desk import Desk
from runwell.store.postgres.pool import Pool, Transaction
from runwell.store.postgres.rows import Row

LOOKED_AT = 5_000
"""Rows that are read at once where all are looked at."""
MOST_PASSED = 10_000
"""Due rows that are looked through for receivers that are not busy."""

_FIELDS = """id, owner, run_id, seq, event, url, format, status, created_at, callback_id, next_at, posts,
    tries, last, body"""
_GET = f"SELECT {_FIELDS} FROM deliveries WHERE id = $1 AND ($2::text IS NULL OR owner = $2)"
_DUE = f"""SELECT {_FIELDS} FROM deliveries
WHERE status = 'pending' AND next_at <= $1 ORDER BY next_at, pk LIMIT $2"""
# Bounded: rows of busy receivers are read past.
_DUE_ELSEWHERE = f"""SELECT {_FIELDS} FROM deliveries WHERE pk IN (
    SELECT pk FROM deliveries
    WHERE status = 'pending' AND next_at <= $1 ORDER BY next_at, pk LIMIT {MOST_PASSED}
) AND NOT EXISTS (
    SELECT 1 FROM unnest($3::text[]) AS busy (origin)
    WHERE lower(left(url, length(origin))) = origin
        AND substr(url, length(origin) + 1, 1) IN ('', '/', '?', '#')
)
ORDER BY next_at, pk LIMIT $2"""
_NEXT_DUE = "SELECT min(next_at) FROM deliveries WHERE status = 'pending' AND next_at > $1"
_LASTS = """SELECT pk, id, owner, last FROM deliveries
WHERE last IS NOT NULL AND pk > $1 ORDER BY pk LIMIT $2"""
_OF = f"SELECT {_FIELDS} FROM deliveries WHERE run_id = $1 ORDER BY pk"
_POSTS = """SELECT number, at, duration, status_code, error FROM posts
WHERE delivery_pk = (SELECT pk FROM deliveries WHERE id = $1) ORDER BY number"""
_RENDER = "UPDATE deliveries SET body = coalesce(body, $2) WHERE id = $1 RETURNING body"
_LOCK = "SELECT pk, posts, tries, last FROM deliveries WHERE id = $1 FOR UPDATE"
_RECORD = f"""UPDATE deliveries SET status = $2, next_at = $3, posts = $4, tries = $5, last = $6
WHERE pk = $1 RETURNING {_FIELDS}"""
_ADD_POST = """INSERT INTO posts (delivery_pk, number, at, duration, status_code, error)
VALUES ($1, $2, $3, $4, $5, $6)"""
_PAGE = f"""SELECT {_FIELDS} FROM deliveries
WHERE owner = $1 AND ($2::text[] IS NULL OR status = ANY($2)) AND ($3::bytea IS NULL OR callback_id = $3)
    AND ($4::bigint IS NULL OR created_at >= $4) AND ($5::bigint IS NULL OR created_at < $5)
    AND ($6::bytea IS NULL OR id < $6)
ORDER BY id DESC LIMIT $7"""
# A pending one keeps its count: asking twice does not double its time.
_REDELIVER = """UPDATE deliveries
SET tries = CASE status WHEN 'pending' THEN tries ELSE 0 END, status = 'pending', next_at = $3
WHERE id = $1 AND owner = $2"""
# Those that another process forgets at this moment are left to it.
_FORGET = """WITH old AS (
    SELECT pk FROM deliveries WHERE status != 'pending' AND created_at < $1
    ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
), posted AS (DELETE FROM posts WHERE delivery_pk IN (SELECT pk FROM old))
DELETE FROM deliveries WHERE pk IN (SELECT pk FROM old)"""


def _delivery_of(row: Row) -> Delivery:
    (
        id, owner, run_id, seq, event, url, format, status, created_at, callback_id, next_at, posts, tries,
        last, body,
    ) = row  # fmt: skip
    return Delivery(
        id=id.hex(), owner=owner, run_id=run_id.hex(), seq=seq, event=event, url=url, format=format,
        status=DeliveryStatus(status), created_at=created_at,
        callback_id=None if callback_id is None else callback_id.hex(), next_at=next_at, posts=posts,
        tries=tries, body=body, last=last_post(last),
    )  # fmt: skip


class PostgresDeliveries:
    def __init__(self, pool: Pool, desk: Desk) -> None:
        self._pool = pool
        self._desk = desk

    async def get(self, delivery_id: str, owner: str | None = None) -> Delivery:
        row = await self._pool.one(_GET, bytes.fromhex(delivery_id), owner)
        if row is None:
            raise DeliveryNotFound(delivery_id)
        return _delivery_of(row)

    async def due(
        self,
        now: Instant,
        limit: int,
        exclude: frozenset[str] = frozenset(),
        busy: frozenset[str] = frozenset(),
    ) -> list[Delivery]:
        # Those excluded are being posted now: few, and they lie among the first.
        most = limit + len(exclude)
        if busy:
            rows = await self._pool.all(_DUE_ELSEWHERE, now, most, sorted(busy))
        else:
            rows = await self._pool.all(_DUE, now, most)
        found = [each for row in rows if (each := _delivery_of(row)).id not in exclude]
        return found[:limit]

    async def damaged(self) -> list[Damaged]:
        found: list[Damaged] = []
        after = 0
        while rows := await self._pool.all(_LASTS, after, LOOKED_AT):
            found += damaged_posts((id, owner, last) for _, id, owner, last in rows)
            after = rows[-1][0]
        return found

    async def next_due(self, now: Instant) -> Instant | None:
        row = await self._pool.one(_NEXT_DUE, now)
        at: Instant | None = row[0] if row is not None else None
        return at

    async def render(self, delivery_id: str, body: bytes) -> bytes:
        async def work(transaction: Transaction) -> bytes:
            row = await transaction.one(_RENDER, bytes.fromhex(delivery_id), body)
            if row is None:
                raise DeliveryNotFound(delivery_id)
            return bytes(row[0])

        return await self._desk.write(work)

    async def record(
        self, delivery_id: str, post: Post | None, status: DeliveryStatus, next_at: Instant | None
    ) -> Delivery:
        async def work(transaction: Transaction) -> Delivery:
            found = await transaction.one(_LOCK, bytes.fromhex(delivery_id))
            if found is None:
                raise DeliveryNotFound(delivery_id)
            pk, posts, tries, last = found
            if post is not None:
                posts, tries = posts + 1, tries + 1
                last = json.encode(replace(post, number=posts))
                values = (pk, posts, post.at, post.duration, post.status_code, post.error)
                await transaction.run(_ADD_POST, *values)
            row = await transaction.one(_RECORD, pk, status.value, next_at, posts, tries, last)
            return _delivery_of(row)

        return await self._desk.write(work)

    async def posts(self, delivery_id: str) -> list[Post]:
        rows = await self._pool.all(_POSTS, bytes.fromhex(delivery_id))
        return [
            Post(number=number, at=at, duration=duration, status_code=status_code, error=error)
            for number, at, duration, status_code, error in rows
        ]

    async def of(self, run_id: str) -> list[Delivery]:
        return [_delivery_of(row) for row in await self._pool.all(_OF, bytes.fromhex(run_id))]

    async def page(
        self,
        owner: str,
        *,
        statuses: frozenset[DeliveryStatus] = frozenset(),
        callback_id: str | None = None,
        since: Instant | None = None,
        until: Instant | None = None,
        before: str | None = None,
        limit: int,
    ) -> list[Delivery]:
        words = [status.value for status in statuses] or None
        callback = None if callback_id is None else bytes.fromhex(callback_id)
        cursor = None if before is None else bytes.fromhex(before)
        rows = await self._pool.all(_PAGE, owner, words, callback, since, until, cursor, limit)
        return [_delivery_of(row) for row in rows]

    async def redeliver(self, ids: list[str], owner: str, now: Instant) -> int:
        async def work(transaction: Transaction) -> int:
            # In the order of ids, as everybody takes several.
            return sum(
                [await transaction.run(_REDELIVER, bytes.fromhex(id), owner, now) for id in sorted(ids)]
            )

        return await self._desk.write(work)

    async def forget(self, before: Instant, limit: int) -> int:
        return await self._desk.write(lambda transaction: transaction.run(_FORGET, before, limit))
