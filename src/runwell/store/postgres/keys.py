"""`ports.store.Keys` on PostgreSQL."""

from runwell.domain.errors import KeyNotFound
from runwell.domain.instant import Instant
from runwell.domain.principal import Key
from runwell.store.postgres.desk import Desk
from runwell.store.postgres.pool import Pool, Transaction
from runwell.store.postgres.rows import KEY_FIELDS, key_of

_INSERT = f"INSERT INTO keys ({KEY_FIELDS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
_BY_DIGEST = f"SELECT {KEY_FIELDS} FROM keys WHERE digest = $1"
_ALL = f"SELECT {KEY_FIELDS} FROM keys WHERE $1::text IS NULL OR owner = $1 ORDER BY id DESC"
_REVOKE = f"""UPDATE keys SET revoked_at = coalesce(revoked_at, $1)
WHERE id = $2 AND ($3::text IS NULL OR owner = $3) RETURNING {KEY_FIELDS}"""
_ANY = "SELECT 1 FROM keys WHERE revoked_at IS NULL LIMIT 1"


class PostgresKeys:
    def __init__(self, pool: Pool, desk: Desk) -> None:
        self._pool = pool
        self._desk = desk

    async def add(self, key: Key) -> None:
        scopes = " ".join(sorted(scope.value for scope in key.scopes))
        values = (
            bytes.fromhex(key.id), key.owner, key.name, key.prefix, key.digest, scopes,
            key.created_at, key.revoked_at,
        )  # fmt: skip
        await self._desk.write(lambda transaction: transaction.run(_INSERT, *values))

    async def by_digest(self, digest: bytes) -> Key | None:
        row = await self._pool.one(_BY_DIGEST, digest)
        return None if row is None else key_of(row)

    async def all(self, owner: str | None) -> list[Key]:
        return [key_of(row) for row in await self._pool.all(_ALL, owner)]

    async def revoke(self, key_id: str, owner: str | None, now: Instant) -> Key:
        async def work(transaction: Transaction) -> Key:
            row = await transaction.one(_REVOKE, now, bytes.fromhex(key_id), owner)
            if row is None:
                raise KeyNotFound(key_id)
            return key_of(row)

        return await self._desk.write(work)

    async def any(self) -> bool:
        return await self._pool.one(_ANY) is not None
