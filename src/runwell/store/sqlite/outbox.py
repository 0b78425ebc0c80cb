"""`ports.outbox.Deliveries` on SQLite. The rows are made by `telling`."""

from collections.abc import Sequence

from msgspec import json
from msgspec.structs import replace

from runwell.domain.callback import Delivery, DeliveryStatus, Post
from runwell.domain.damaged import Damaged
from runwell.domain.errors import DeliveryNotFound
from runwell.domain.instant import Instant
from runwell.store.damage import damaged_posts, last_post
from runwell.store.sqlite.reader import Reader
from runwell.store.sqlite.rows import Row
from runwell.store.sqlite.transaction import Job, Transaction
from runwell.store.sqlite.writer import Desk

LOOKED_AT = 5_000
"""Rows that are read at once where all are looked at."""
MOST_PASSED = 10_000
"""Due rows that are looked through for receivers that are not busy."""

_FIELDS = """id, owner, run_id, seq, event, url, format, status, created_at, callback_id, next_at, posts,
    tries, last, body"""
_GET = f"SELECT {_FIELDS} FROM deliveries WHERE id = ?1 AND (?2 IS NULL OR owner = ?2)"
_DUE = f"""SELECT {_FIELDS} FROM deliveries INDEXED BY deliveries_due
WHERE status = 'pending' AND next_at <= ? ORDER BY next_at, pk LIMIT ?"""
# Bounded: rows of busy receivers are read past, and this runs on the event loop.
_DUE_ELSEWHERE = f"""SELECT {_FIELDS} FROM deliveries WHERE pk IN (
    SELECT pk FROM deliveries INDEXED BY deliveries_due
    WHERE status = 'pending' AND next_at <= ? ORDER BY next_at, pk LIMIT {MOST_PASSED}
) AND NOT EXISTS (
    SELECT 1 FROM json_each(?) WHERE lower(substr(url, 1, length(value))) = value
        AND substr(url, length(value) + 1, 1) IN ('', '/', '?', '#')
)
ORDER BY next_at, pk LIMIT ?"""
_NEXT_DUE = "SELECT min(next_at) FROM deliveries WHERE status = 'pending' AND next_at > ?"
_LASTS = """SELECT pk, id, owner, last FROM deliveries
WHERE last IS NOT NULL AND pk > ? ORDER BY pk LIMIT ?"""
_OF = f"SELECT {_FIELDS} FROM deliveries WHERE run_id = ? ORDER BY pk"
_POSTS = """SELECT number, at, duration, status_code, error FROM posts
WHERE delivery_pk = (SELECT pk FROM deliveries WHERE id = ?) ORDER BY number"""
_RENDER = """UPDATE deliveries SET body = coalesce(body, ?) WHERE id = ? RETURNING body"""
_RECORD = f"""UPDATE deliveries SET status = ?, next_at = ?, posts = ?, tries = ?, last = ?
WHERE id = ? RETURNING {_FIELDS}"""
_COUNTS = "SELECT pk, posts, tries, last FROM deliveries WHERE id = ?"
_ADD_POST = """INSERT INTO posts (delivery_pk, number, at, duration, status_code, error)
VALUES (?, ?, ?, ?, ?, ?)"""
# A pending one keeps its count: asking twice does not double its time.
_REDELIVER = """UPDATE deliveries
SET tries = CASE status WHEN 'pending' THEN tries ELSE 0 END, status = 'pending', next_at = ?
WHERE id = ? AND owner = ?"""
_OLD = """SELECT pk FROM deliveries INDEXED BY deliveries_ended
WHERE status != 'pending' AND created_at < ? ORDER BY created_at LIMIT ?"""


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


class SqliteDeliveries:
    def __init__(self, reader: Reader, desk: Desk) -> None:
        self._reader = reader
        self._desk = desk

    async def get(self, delivery_id: str, owner: str | None = None) -> Delivery:
        row = self._reader.one(_GET, (bytes.fromhex(delivery_id), owner))
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
        if busy:
            values = (now, json.encode(sorted(busy)).decode(), limit + len(exclude))
            rows = self._reader.all(_DUE_ELSEWHERE, values)
        else:
            rows = self._reader.all(_DUE, (now, limit + len(exclude)))
        found = [each for row in rows if (each := _delivery_of(row)).id not in exclude]
        return found[:limit]

    async def damaged(self) -> list[Damaged]:
        found: list[Damaged] = []
        after = 0
        while rows := self._reader.all(_LASTS, (after, LOOKED_AT)):
            found += damaged_posts((id, owner, last) for _, id, owner, last in rows)
            after = rows[-1][0]
        return found

    async def next_due(self, now: Instant) -> Instant | None:
        row = self._reader.one(_NEXT_DUE, (now,))
        at: Instant | None = row[0] if row is not None else None
        return at

    async def render(self, delivery_id: str, body: bytes) -> bytes:
        return await self._desk.write(Render(delivery_id, body))

    async def record(
        self, delivery_id: str, post: Post | None, status: DeliveryStatus, next_at: Instant | None
    ) -> Delivery:
        return await self._desk.write(RecordPost(delivery_id, post, status, next_at))

    async def posts(self, delivery_id: str) -> list[Post]:
        rows = self._reader.all(_POSTS, (bytes.fromhex(delivery_id),))
        return [
            Post(number=number, at=at, duration=duration, status_code=status_code, error=error)
            for number, at, duration, status_code, error in rows
        ]

    async def of(self, run_id: str) -> list[Delivery]:
        return [_delivery_of(row) for row in self._reader.all(_OF, (bytes.fromhex(run_id),))]

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
        terms: list[str] = ["owner = ?"]
        values: list[object] = [owner]
        marks = ", ".join("?" * len(statuses))
        conditions: list[tuple[str, Sequence[object]]] = [
            (f"status IN ({marks})", sorted(statuses)),
            ("callback_id = ?", [] if callback_id is None else [bytes.fromhex(callback_id)]),
            ("created_at >= ?", [] if since is None else [since]),
            ("created_at < ?", [] if until is None else [until]),
            ("id < ?", [] if before is None else [bytes.fromhex(before)]),
        ]
        for term, given in conditions:
            if given:
                terms.append(term)
                values += given
        sql = f"""SELECT {_FIELDS} FROM deliveries INDEXED BY deliveries_by_owner
            WHERE {" AND ".join(terms)} ORDER BY id DESC LIMIT ?"""
        return [_delivery_of(row) for row in self._reader.all(sql, (*values, limit))]

    async def redeliver(self, ids: list[str], owner: str, now: Instant) -> int:
        return await self._desk.write(Redeliver(ids, owner, now))

    async def forget(self, before: Instant, limit: int) -> int:
        return await self._desk.write(ForgetDeliveries(before, limit))


class Render(Job[bytes]):
    def __init__(self, delivery_id: str, body: bytes) -> None:
        self._delivery_id = delivery_id
        self._body = body
        self.size = 256 + len(body)

    def run(self, transaction: Transaction) -> bytes:
        row = transaction.one(_RENDER, (self._body, bytes.fromhex(self._delivery_id)))
        if row is None:
            raise DeliveryNotFound(self._delivery_id)
        return bytes(row[0])


class RecordPost(Job[Delivery]):
    def __init__(
        self, delivery_id: str, post: Post | None, status: DeliveryStatus, next_at: Instant | None
    ) -> None:
        self._delivery_id = delivery_id
        self._post = post
        self._status = status
        self._next_at = next_at

    def run(self, transaction: Transaction) -> Delivery:
        id = bytes.fromhex(self._delivery_id)
        found = transaction.one(_COUNTS, (id,))
        if found is None:
            raise DeliveryNotFound(self._delivery_id)
        pk, posts, tries, last = found
        if self._post is not None:
            posts, tries = posts + 1, tries + 1
            post = replace(self._post, number=posts)
            values = (pk, posts, post.at, post.duration, post.status_code, post.error)
            transaction.run(_ADD_POST, values)
            last = json.encode(post)
        row = transaction.one(_RECORD, (self._status.value, self._next_at, posts, tries, last, id))
        if row is None:
            raise DeliveryNotFound(self._delivery_id)
        return _delivery_of(row)


class Redeliver(Job[int]):
    def __init__(self, ids: list[str], owner: str, now: Instant) -> None:
        self._values = [(now, bytes.fromhex(id), owner) for id in ids]

    def run(self, transaction: Transaction) -> int:
        return sum(transaction.run(_REDELIVER, values) for values in self._values)


class ForgetDeliveries(Job[int]):
    def __init__(self, before: Instant, limit: int) -> None:
        self._values = (before, limit)

    def run(self, transaction: Transaction) -> int:
        old = transaction.db.execute(_OLD, self._values).fetchall()
        for row in old:
            transaction.run("DELETE FROM posts WHERE delivery_pk = ?", row)
            transaction.run("DELETE FROM deliveries WHERE pk = ?", row)
        return len(old)
